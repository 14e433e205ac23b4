"""How a demonstration looks: a live table on a terminal, lines elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .demo_figures import Figures
from .plant import LINES, SITES
from .texts import duration, plural

if TYPE_CHECKING:
    from rich.console import Group

_ZONE_STYLES = {"A": "green", "B": "green", "C": "yellow", "D": "red"}


def line(figures: Figures, seconds: float) -> str:
    """The state of things in one line."""
    return (
        f"{seconds:5.1f} s  {plural(figures.sent, 'reading')}, {figures.finished} runs succeeded, "
        f"{figures.failed} failed, {figures.rate():.0f}/s, latency {_latencies(figures)}, "
        f"{plural(figures.alert_count, 'alert')}, {plural(len(figures.summaries), 'daily summary', 'daily summaries')}"
    )


def screen(figures: Figures, seconds: float, limit: float) -> Group:
    """The state of things as tables."""
    from rich.console import Group
    from rich.text import Text

    head = Text.assemble(
        ("fp-events demo", "bold"),
        f"  {seconds:.0f} of {limit:.0f} s, Ctrl-C ends\n",
        f"{plural(figures.sent, 'reading')}, ",
        (f"{figures.finished} runs succeeded", "green"),
        f", {figures.failed} failed, {figures.rate():.0f} runs/s, ",
        f"from publish to result {_latencies(figures)}\n",
    )
    return Group(head, *_tables(figures))


def _tables(figures: Figures) -> list[Group]:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    machines = Table("line", "temperature", "vibration", "crest", "zone", title="machines", title_justify="left")
    for name in LINES:
        health = figures.health.get(name, {})
        zone = str(health.get("zone", ""))
        vibration = f"{health['rms']:.2f} mm/s" if health else ""
        machines.add_row(
            name,
            figures.latest.get(name, ""),
            vibration,
            str(health.get("crest_factor", "")),
            Text(zone, style=_ZONE_STYLES.get(zone, "")),
        )
    energy = Table("site", "last", "day", "kWh", title="energy", title_justify="left")
    for name in SITES:
        day = figures.summaries.get(name, {})
        kwh = f"{day['kwh']:.1f}" if day else ""
        energy.add_row(name, figures.latest.get(name, ""), str(day.get("date", "")), kwh)
    alerts = Table("line", "what", "value", "z", "at", title=plural(figures.alert_count, "alert"), title_justify="left")
    for alert in reversed(figures.alerts):
        style = "red" if alert["kind"].endswith("high") else "cyan"
        at = str(alert["measured_at"])[11:19]
        alerts.add_row(alert["line"], Text(alert["kind"], style=style), str(alert["value"]), str(alert["z_score"]), at)
    return [Group(machines), Group(energy), Group(alerts)]


def _latencies(figures: Figures) -> str:
    middle, high = figures.latency(0.5), figures.latency(0.95)
    return "-" if middle is None else f"p50 {duration(middle)}, p95 {duration(high)}"
