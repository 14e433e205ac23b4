"""How a demonstration looks: a live table on a terminal, lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from .demo_figures import Figures
from .output import console
from .plant import LINES, SITES
from .texts import duration, plural

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

#: Seconds between two lines of a log.
_LINE_EVERY = 3.0
_ZONE_STYLES = {"A": "green", "B": "green", "C": "yellow", "D": "red"}


@contextmanager
def drawing(figures: Figures, start: float, limit: float, *, live: bool) -> Iterator[Callable[[], None]]:
    """What draws the state of things when it is called; `start` as `monotonic` has it, `limit` in seconds."""
    if live:
        from rich.live import Live

        with Live(console=console(), auto_refresh=False) as display:
            yield lambda: display.update(screen(figures, monotonic() - start, limit), refresh=True)
        return
    due = 0.0

    def draw() -> None:
        nonlocal due
        passed = monotonic() - start
        if passed >= due:
            due = passed + _LINE_EVERY
            print(line(figures, passed), flush=True)

    yield draw


def line(figures: Figures, seconds: float) -> str:
    """The state of things in one line."""
    return (
        f"{seconds:5.1f} s  {plural(figures.sent, 'reading')}, {figures.finished} runs succeeded, "
        f"{figures.failed} failed, {figures.rate():.0f}/s, latency {_latencies(figures)}, "
        f"{plural(figures.alert_count, 'alert')}, {plural(len(figures.summaries), 'daily summary', 'daily summaries')}"
    )


def screen(figures: Figures, seconds: float, limit: float) -> Group:
    """The state of things as tables, in the 24 lines of the smallest terminal."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    head = Text.assemble(
        ("fp-events demo", "bold"),
        f"  {seconds:.0f} of {limit:.0f} s, Ctrl-C ends\n",
        f"{plural(figures.sent, 'reading')}, ",
        (f"{figures.finished} runs succeeded", "green"),
        f", {figures.failed} failed, {figures.rate():.0f} runs/s, ",
        f"from publish to result {_latencies(figures)}\n",
    )
    side_by_side = Table.grid(padding=(0, 6))
    side_by_side.add_row(_machines(figures), _energy(figures))
    return Group(head, side_by_side, "", _alerts(figures))


def _table(title: str, *columns: str) -> Table:
    from rich.table import Table

    return Table(
        *columns, title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim"
    )


def _machines(figures: Figures) -> Table:
    from rich.text import Text

    table = _table("machines", "line", "temperature", "vibration", "crest", "zone")
    for name in LINES:
        health = figures.health.get(name, {})
        zone = str(health.get("zone", ""))
        vibration = f"{health['rms']:.2f} mm/s" if health else ""
        crest = str(health.get("crest_factor", ""))
        style = _ZONE_STYLES.get(zone, "")
        table.add_row(name, figures.latest.get(name, ""), vibration, crest, Text(zone, style=style))
    return table


def _energy(figures: Figures) -> Table:
    table = _table("energy", "site", "last", "day", "kWh")
    for name in SITES:
        day = figures.summaries.get(name, {})
        kwh = f"{day['kwh']:.1f}" if day else ""
        table.add_row(name, figures.latest.get(name, ""), str(day.get("date", "")), kwh)
    return table


def _alerts(figures: Figures) -> Table:
    from rich.text import Text

    table = _table(plural(figures.alert_count, "alert"), "line", "what", "value", "z-score", "at")
    for alert in reversed(figures.alerts):
        style = "red" if alert["kind"].endswith("high") else "cyan"
        at = str(alert["measured_at"])[11:19]
        table.add_row(alert["line"], Text(alert["kind"], style=style), str(alert["value"]), str(alert["z_score"]), at)
    return table


def _latencies(figures: Figures) -> str:
    middle, high = figures.latency(0.5), figures.latency(0.95)
    return "-" if middle is None else f"p50 {duration(middle)}, p95 {duration(high)}"
