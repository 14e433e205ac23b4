"""The goals, and whether they are met."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import systems
from .measure import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One figure and its bound."""

    figure: str
    #: NaN if it was not measured.
    value: float
    bound: float
    at_least: bool = False
    unit: str = ""
    #: What the figure comes from.
    detail: str = ""

    @property
    def met(self) -> bool | None:
        """None if it was not measured."""
        if math.isnan(self.value):
            return None
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def as_json(self) -> dict[str, Any]:
        """As it is written to the file."""
        return {
            "figure": self.figure,
            "value": None if math.isnan(self.value) else self.value,
            "bound": self.bound,
            "at_least": self.at_least,
            "unit": self.unit,
            "detail": self.detail,
            "met": self.met,
        }


def of_systems(rows: Mapping[str, Row], fsync: float) -> Iterator[Goal]:
    """Goals about systems side by side; `fsync` is in milliseconds."""
    node_red, driver, echo = rows[systems.NODE_RED], rows[systems.DRIVER], rows[systems.ECHO]
    local, default = rows[systems.LOCAL], rows[systems.DEFAULT]
    for figure, mine, other, name, bound, more in (
        ("durable burst / Node-RED, executor local", local, node_red, "per_second", 1.25, True),
        ("the same, default settings", default, node_red, "per_second", 1.0, True),
        ("CPU per message, default settings / Node-RED", default, node_red, "cpu_us", 0.8, False),
        ("durable burst / aiomqtt + AsyncDriver", local, driver, "per_second", 10.0, True),
        ("not durable (when_executed) / codec echo", rows[systems.EXECUTED], echo, "per_second", 0.6, True),
    ):
        detail = f"{mine.median(name):,.0f} / {other.median(name):,.0f} {'us' if name == 'cpu_us' else '/s'}"
        yield Goal(figure=figure, value=mine.ratio(other, name), bound=bound, at_least=more, detail=detail)
    echo_p50, p50 = echo.median("p50_ms"), local.median("p50_ms")
    yield Goal(
        figure="p50 at 1,000 msg/s, durable",
        value=p50,
        bound=echo_p50 + 3 * fsync + 0.3,
        unit="ms",
        detail=f"bound: codec echo {echo_p50:.2f} + 3 x fsync {fsync:.2f} + 0.3",
    )
    yield Goal(figure="p99 at 1,000 msg/s, durable", value=local.median("p99_ms"), bound=2.5, unit="ms")


def of_curve(figure: str, bound: float, points: Mapping[int, float]) -> Goal:
    """A goal about how a cost grows; `points` are ratios to the smallest size."""
    worst = math.nan if any(map(math.isnan, points.values())) else max(points.values(), default=math.nan)
    detail = ", ".join(f"{size:,}: {ratio:.2f}" for size, ratio in points.items())
    return Goal(figure=figure, value=worst, bound=bound, detail=detail)
