"""Tables on the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from . import systems
from .goals import Goal
from .measure import Row


def lines(head: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> list[str]:
    """Columns as wide as what is in them; the first `left` to the left, the others to the right."""
    table = [list(head), *(list(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


def number(value: float, digits: int = 0) -> str:
    """With thousands; `-` for what was not measured."""
    return "-" if math.isnan(value) else f"{value:,.{digits}f}"


def of_systems(rows: Mapping[str, Row]) -> list[str]:
    """A line for each system, then what has to be known of it."""
    others = [rows.get(name) for name in (systems.NODE_RED, systems.DRIVER, systems.ECHO)]
    head = ["system", "keeps", "results/s", "x Node-RED", "x aiomqtt", "x echo", "CPU us", "p50 ms", "p99 ms", "MiB"]
    found = lines(
        head,
        (
            [
                row.system.name,
                "yes" if row.system.keeps else "no",
                number(row.median("per_second")),
                *(number(row.ratio(other, "per_second") if other else math.nan, 2) for other in others),
                number(row.median("cpu_us")),
                number(row.median("p50_ms"), 2),
                number(row.median("p99_ms"), 2),
                number(row.median("rss_mib")),
            ]
            for row in rows.values()
        ),
        left=2,
    )
    for row in rows.values():
        remarks = "; ".join(text for text in (row.system.note, row.problem) if text)
        found += [f"  {row.system.name}: {remarks}"] if remarks else []
    return found


def of_goals(goals: Iterable[Goal]) -> list[str]:
    """A line for each goal."""
    verdicts = {True: "met", False: "MISSED", None: "-"}
    rows = [
        [
            goal.figure,
            number(goal.value, 2),
            f"{'>=' if goal.at_least else '<='} {goal.bound:.2f}",
            goal.unit,
            verdicts[goal.met],
            goal.detail,
        ]
        for goal in goals
    ]
    # The last column is text.
    details = [row.pop() for row in rows]
    table = lines(["goal", "measured", "bound", "unit", ""], rows)
    return [table[0], *(f"{line}   {detail}".rstrip() for line, detail in zip(table[1:], details, strict=True))]
