"""Points of a curve, and a daemon's cost per message as one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import projects, table
from benchmarks.broker import broker
from benchmarks.measure import PACE, WARM_UP, scratch
from benchmarks.passage import Load, drive
from benchmarks.processes import running


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What something costs at one size."""

    size: int
    #: Microseconds of CPU per message, or per run of a plan.
    cost_us: float
    #: Other figures, by name.
    more: Mapping[str, float] = field(default_factory=dict)


def ratios(points: list[Point]) -> dict[int, float]:
    """Cost by size, in terms of the smallest size's."""
    return {point.size: point.cost_us / points[0].cost_us for point in points if points[0].cost_us}


def shown(name: str, points: list[Point]) -> list[str]:
    """As a table."""
    more = list(points[0].more)
    by_size = ratios(points)
    return table.lines(
        [name, "CPU us", "x", *more],
        (
            [
                f"{point.size:,}",
                f"{point.cost_us:,.2f}",
                f"{by_size.get(point.size, float('nan')):.2f}",
                *(f"{point.more[key]:,.2f}" for key in more),
            ]
            for point in points
        ),
    )


def daemon_cost(
    size: int,
    settings: projects.Settings,
    load: Load,
    prepare: Callable[[Path], None] | None = None,
) -> Point:
    """A burst through a daemon with these settings; `prepare` may do something to the project's folder first."""
    print(f"  {size:,}", file=sys.stderr, flush=True)
    with scratch() as folder, broker(folder) as place:
        projects.write(folder, place.port, settings)
        log = folder / "system.log"
        if prepare is not None:
            prepare(folder)
        with running(projects.serve(folder), cwd=folder, log=log) as process:
            control = projects.Control(folder, process, seconds=120.0)
            control.wait_subscribed()
            warm = Load(count=WARM_UP, rate=PACE, topic=load.topic, topics=load.topics)
            for part in (warm, load):
                passed = drive(place.port, part, folder, pid=process.pid)
                if not passed.whole:
                    raise RuntimeError(f"{passed.distinct:,} results of {passed.sent:,} at size {size:,}")
            control.close()
    return Point(size=size, cost_us=passed.cpu_us, more={"results/s": passed.per_second, "MiB": passed.peak})
