"""Points of a curve, and a daemon's cost per message as one."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import projects, table
from benchmarks.broker import broker
from benchmarks.measure import PACE, WARM_UP, scratch
from benchmarks.passage import Load, Passed, drive
from benchmarks.processes import running

#: Seconds for a daemon's start: with thousands of triggers it takes its time.
_PATIENCE = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What something costs at one size."""

    size: int
    #: Microseconds of CPU per message, or per run of a plan.
    cost_us: float
    #: Other figures, by name.
    more: Mapping[str, float] = field(default_factory=dict)
    #: Why it has no figures; empty if it has.
    problem: str = ""


def ratios(points: list[Point]) -> dict[int, float]:
    """Cost by size, in terms of the smallest size's."""
    first = points[0].cost_us
    return {point.size: point.cost_us / first if first else math.nan for point in points}


def shown(name: str, points: list[Point]) -> list[str]:
    """As a table."""
    more = list({key: None for point in points for key in point.more})
    by_size = ratios(points)
    rows = (
        [
            f"{point.size:,}",
            table.number(point.cost_us, 2),
            table.number(by_size[point.size], 2),
            *(table.number(point.more.get(key, math.nan), 2) for key in more),
        ]
        for point in points
    )
    problems = [f"  {point.size:,}: {point.problem}" for point in points if point.problem]
    return [*table.lines([name, "CPU us", "x", *more], rows), *problems]


def daemon_cost(
    size: int, settings: projects.Settings, load: Load, prepare: Callable[[Path], None] | None = None
) -> Point:
    """A burst through a daemon with these settings; `prepare` may do something to the project's folder first."""
    print(f"  {size:,}", file=sys.stderr, flush=True)
    try:
        with scratch() as folder:
            passed = _passed(folder, settings, load, prepare)
    except RuntimeError as error:
        return Point(size=size, cost_us=math.nan, problem=str(error))
    return Point(size=size, cost_us=passed.cpu_us, more={"results/s": passed.per_second, "MiB": passed.peak})


def _passed(folder: Path, settings: projects.Settings, load: Load, prepare: Callable[[Path], None] | None) -> Passed:
    with broker(folder) as place:
        projects.write(folder, place.port, settings)
        if prepare is not None:
            prepare(folder)
        with running(projects.serve(folder), cwd=folder, log=folder / "system.log") as process:
            control = projects.Control(folder, process, seconds=_PATIENCE)
            control.wait_subscribed()
            control.close()
            for part in (Load(count=WARM_UP, rate=PACE, topic=load.topic, topics=load.topics), load):
                passed = drive(place.port, part, folder, pid=process.pid)
                if not passed.whole:
                    raise RuntimeError(f"{passed.distinct:,} results of {passed.sent:,} messages")
    return passed
