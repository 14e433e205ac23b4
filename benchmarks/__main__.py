"""`make bench`: every system and every goal in one run; tables, JSON and a plot.

python -m benchmarks [--short] [--messages N] [--rounds N] [--only WORD...] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from . import curves, goals, measure, plot, startup, systems, table
from .curves.points import ratios
from .fsync import fsync_ms
from .goals import Goal
from .measure import Effort, Row
from .processes import end_on_signals
from .systems import all_systems


def machine() -> str:
    """What the figures were measured on."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].partition(":")[2].strip() if models else platform.machine()
    return f"{os.cpu_count()} x {model}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"


def as_json(row: Row) -> dict[str, Any]:
    """A system's medians and rounds."""
    figures = {name for found in row.rounds for name in found}
    return {
        "system": row.system.name,
        "durable": row.system.keeps,
        "note": row.system.note,
        "problem": row.problem,
        **{name: row.median(name) for name in sorted(figures)},
        "rounds": row.rounds,
    }


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--short", action="store_true", help="two minutes: one round, small sizes")
    parser.add_argument("--messages", type=int, help="of a burst (20,000)")
    parser.add_argument("--rounds", type=int, help="interleaved (5)")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="systems whose name contains one of these words")
    parser.add_argument("--no-curves", action="store_true", help="systems side by side, and no more")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"))
    parser.add_argument("--plot", type=Path, default=Path("build/bench.svg"))
    given = parser.parse_args()
    effort = Effort(messages=4_000, rounds=1, paced=1.0, warm_up=500) if given.short else Effort()
    given.effort = replace(effort, messages=given.messages or effort.messages, rounds=given.rounds or effort.rounds)
    return given


def alone(given: argparse.Namespace) -> Iterator[Goal]:
    """Goals that need no other system."""
    sizes = curves.SHORT if given.short else curves.SIZES
    for name, figure, bound in (
        ("nodes", "compiled plan / calls by hand", 1.3),
        ("triggers", "CPU per message by triggers / 1", 1.2),
        ("ledger", "CPU per message by rows in the ledger / 0", 1.3),
    ):
        print(f"curve: {name}", file=sys.stderr, flush=True)
        yield attempt(figure, bound, partial(curve_goal, given, name, sizes[name], figure, bound))
    times = 3 if given.short else startup.TIMES
    print("start and queue", file=sys.stderr, flush=True)
    for figure, bound, unit, value in (
        ("serve to subscribed", 1.5, "s", partial(startup.serve_seconds, times)),
        ("fp-events --help", 0.25, "s", partial(startup.help_seconds, times)),
        ("RSS with 100,000 messages of 200 B waiting", 200.0, "MiB", lambda: startup.queue_mib()["peak"]),
    ):
        yield attempt(figure, bound, partial(simple_goal, figure, bound, unit, value))


def curve_goal(given: argparse.Namespace, name: str, sizes: Sequence[int], figure: str, bound: float) -> Goal:
    """A goal about growth."""
    points = curves.CURVES[name](sizes, given.effort.messages)
    if name == "nodes":
        over = {point.size: point.more["compiled / by hand"] for point in points}
        driver = ", ".join(f"{point.more['driver / by hand']:.0f}" for point in points)
        goal = goals.of_curve(figure, bound, over)
        return replace(goal, detail=f"{goal.detail} nodes; Hamilton's driver: {driver}")
    goal = goals.of_curve(figure, bound, ratios(points))
    problems = [f"{point.size:,}: {point.problem}" for point in points if point.problem]
    return replace(goal, detail="; ".join([goal.detail, *problems]))


def simple_goal(figure: str, bound: float, unit: str, measured: Callable[[], float]) -> Goal:
    """A goal about one figure."""
    return Goal(figure=figure, value=measured(), bound=bound, unit=unit)


def attempt(figure: str, bound: float, make: Callable[[], Goal]) -> Goal:
    """The goal, or why it has no figure: one that fails does not take the others with it."""
    try:
        return make()
    except RuntimeError as error:
        return Goal(figure=figure, value=float("nan"), bound=bound, detail=str(error).splitlines()[0])


def main() -> None:
    """Measure, print, write."""
    end_on_signals()
    given = parse()
    with measure.scratch() as folder:
        fsync = fsync_ms(folder)
        chosen = all_systems(folder)
    if given.short:
        chosen = [system for system in chosen if system.name not in (systems.POOL, systems.LOCAL_EVENTS)]
    if given.only:
        chosen = [system for system in chosen if any(word in system.name for word in given.only)]
    about = machine()
    rows = measure.compare(chosen, given.effort)
    found: list[Goal] = [] if given.only else list(goals.of_systems(rows, fsync))
    if not given.no_curves:
        save(given, about, fsync, rows, found)  # what follows takes long, and may be interrupted
        found += alone(given)
    save(given, about, fsync, rows, found)
    show(given, about, fsync, rows, found)
    print(f"\nwritten to {given.json} and {given.plot}")


def show(given: argparse.Namespace, about: str, fsync: float, rows: Mapping[str, Row], found: list[Goal]) -> None:
    """Tables on the terminal."""
    print(f"\n{about}; write and fdatasync of 4 KiB: {fsync:.3f} ms")
    what = f"{given.effort.messages:,} messages a burst, latency at {measure.PACE:,.0f} msg/s"
    print(f"{what}, medians of {given.effort.rounds} rounds\n")
    print("\n".join(table.of_systems(rows)))
    ours = [passed for row in rows.values() for passed in row.rounds if "sink_us" in passed]
    if ours:
        generator, sink = (min(passed[name] for passed in ours) for name in ("generator_us", "sink_us"))
        print(f"\nThe load itself costs {generator:.1f} us of CPU per message to send, {sink:.1f} to receive.")
    if found:
        print("\n" + "\n".join(table.of_goals(found)))


def save(given: argparse.Namespace, about: str, fsync: float, rows: Mapping[str, Row], found: list[Goal]) -> None:
    """JSON, and the plot."""
    given.json.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": about,
        "fsync_ms": fsync,
        "messages": given.effort.messages,
        "rows": [as_json(row) for row in rows.values()],
        "goals": [goal.as_json() for goal in found],
    }
    given.json.write_text(json.dumps(document, indent=2) + "\n")
    given.plot.parent.mkdir(parents=True, exist_ok=True)
    given.plot.write_text(plot.bars(rows, about))


if __name__ == "__main__":
    main()
