"""All systems side by side: interleaved rounds, medians."""

from __future__ import annotations

import math
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .broker import broker
from .passage import Load, Passed, drive
from .processes import ROOT
from .systems import System

#: Messages per second of the latency measurement.
PACE = 1000.0
#: Messages before a measurement; engines compile what is hot.
WARM_UP = 2000
#: Seconds without a result after which a system counts as stalled.
QUIET = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is measured."""

    #: Of a burst.
    messages: int = 20_000
    rounds: int = 5
    #: Seconds of the latency measurement.
    paced: float = 5.0
    warm_up: int = WARM_UP


@dataclass(slots=True, kw_only=True)
class Row:
    """A system's figures, by round."""

    system: System
    rounds: list[dict[str, float]] = field(default_factory=list)
    #: Why figures are missing, or what went wrong in a round.
    problem: str = ""

    def median(self, figure: str) -> float:
        """NaN where it was never measured."""
        return statistics.median([found[figure] for found in self.rounds if figure in found] or [float("nan")])

    def ratio(self, other: Row, figure: str) -> float:
        """Median over rounds of this system's figure in terms of another's, which was measured minutes apart."""
        both = zip(self.rounds, other.rounds, strict=False)
        return statistics.median(
            [mine[figure] / its[figure] for mine, its in both if figure in mine and its.get(figure)] or [float("nan")]
        )


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder on the project's disk: /tmp may be memory, where fsync costs nothing."""
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=build, prefix="bench-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def warmed(system: System, warm_up: int) -> Iterator[Callable[[Load], Passed]]:
    """A system that was just started and has seen some messages: what sends a load through it.

    Raises RuntimeError where it does not start, or results are missing.
    """
    with scratch() as folder, broker(folder) as running, system.started(running, folder) as pid:

        def send(load: Load) -> Passed:
            passed = drive(
                running.port,
                load,
                folder,
                pid=pid,
                results="out/#" if system.command else "in/#",
                file=folder / system.runs if system.runs else None,
                quiet=QUIET,
            )
            if not passed.whole:
                pace = "in a burst" if load.rate is None else f"at {load.rate:,.0f} msg/s"
                raise RuntimeError(f"stalls: {passed.distinct:,} results of {passed.sent:,} {pace}")
            return passed

        send(Load(count=warm_up, rate=PACE))
        yield send


def figures(system: System, effort: Effort) -> Iterator[dict[str, float]]:
    """One round of a system. The burst comes last: some do not survive it. Raises RuntimeError."""
    with warmed(system, effort.warm_up) as send:
        paced = send(Load(count=int(PACE * effort.paced), rate=PACE))
        yield {"p50_ms": paced.percentile(50), "p99_ms": paced.percentile(99), "paced_cpu_us": paced.cpu_us}
        burst = send(Load(count=effort.messages))
        yield {
            "per_second": burst.per_second,
            "cpu_us": burst.cpu_us,
            "rss_mib": burst.peak,
            "duplicates": burst.duplicates,
            "generator_us": burst.generator_us,
            "sink_us": burst.sink_us,
        }


def compare(systems: Sequence[System], effort: Effort) -> Mapping[str, Row]:
    """Every system in every round, so that a slow minute of the machine hits all of them."""
    rows = {system.name: Row(system=system, problem=system.missing) for system in systems}
    for number in range(1, effort.rounds + 1):
        for row in rows.values():
            if row.system.missing:
                continue
            print(f"round {number} of {effort.rounds}: {row.system.name}", file=sys.stderr, flush=True)
            found: dict[str, float] = {}
            try:
                for part in figures(row.system, effort):
                    found |= part
            except RuntimeError as error:
                row.problem = str(error).splitlines()[0]
                print(f"  {error}", file=sys.stderr)
            row.rounds.append({name: value for name, value in found.items() if not math.isnan(value)})
    return rows
