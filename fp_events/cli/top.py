"""`top`: rates, latencies, queues and failures, as they change."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fp_events.domain.errors import UsageError

from .daemon import call
from .invocation import Invocation
from .output import Column, Format, FormatOption, console, field, note, safe, show_facts, show_rows, show_value
from .texts import ago, duration, size
from .top_figures import figures

if TYPE_CHECKING:
    from rich.text import Text

    from fp_events.config import Config

#: Runs whose latencies are looked at, and failures that are shown.
_LAST = 500
_FAILED = 5
#: Seconds over which latencies are taken.
_WITHIN = 30.0


def _rate(name: str, title: str) -> Column:
    return Column(title, lambda row: f"{row[name]:.1f}" if row[name] else "", right=True)


def _time(name: str, title: str) -> Column:
    return Column(title, lambda row: duration(row[name]), right=True)


def _count(name: str, *, style: str = "") -> Column:
    return Column(name.replace("_", " "), lambda row: str(row[name]) if row[name] else "",
                  style=(lambda _: style) if style else None, right=True)  # fmt: skip


_COLUMNS: Sequence[Column] = (
    field("name", title="pipeline"),
    Column("", lambda row: "paused" if row["paused"] else "", style=lambda _: "yellow"),
    _rate("received_per_s", "in/s"),
    _rate("finished_per_s", "ended/s"),
    _rate("failed_per_s", "failed/s"),
    _count("queued"),
    _count("running"),
    _count("waiting"),
    _time("oldest_ready_s", "oldest"),
    _time("latency_p50_s", "p50"),
    _time("latency_p99_s", "p99"),
    _count("failed", style="red"),
    _count("dead_letters"),
)


def top(
    context: typer.Context,
    interval: Annotated[float, typer.Option("--interval", min=0.2, max=60, help="Seconds between two looks.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Look once, and end; so it is without a terminal.")] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Watch rates, latencies, queues and failures; q or Ctrl-C ends it."""
    if form is Format.IDS:
        raise UsageError("figures have no ids", mend="use --format table, json or yaml")
    invocation: Invocation = context.obj
    config = invocation.config()
    looks = _looks(config)
    before = next(looks)
    live = form is Format.TABLE and not once and sys.stdout.isatty() and sys.stdin.isatty()
    if not live:
        time.sleep(min(interval, 1.0))
        _print(before, next(looks), form)
        return
    try:
        with _keys() as pressed:
            _refresh(looks, before, interval, pressed)
    except KeyboardInterrupt:
        return


def _looks(config: Config) -> Iterator[dict[str, Any]]:
    """The status now, with the runs that ended last and those that failed last."""
    while True:
        ended = call(config, "runs.list", {"state": "finished", "limit": _LAST}, by_daemon=True)["runs"]
        failed = call(config, "runs.list", {"outcome": "failed,timed_out,rejected", "limit": _FAILED}, by_daemon=True)
        yield {**call(config, "status"), "last_ended": ended, "last_failed": failed["runs"]}


def _figures(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    return figures(before, now, now["last_ended"], within=_WITHIN)


def _print(before: Mapping[str, Any], now: Mapping[str, Any], form: Format) -> None:
    found = _figures(before, now)
    if form is not Format.TABLE:
        show_value(found, form=form)
        return
    show_facts(_facts(found))
    print()
    show_rows(found["pipelines"], _COLUMNS, form=form, ids=lambda row: str(row["name"]), empty="no pipelines")
    for line in _failures(now):
        note(line)


def _facts(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    broker = found["broker"]
    link = "connected" if broker["connected"] else "not connected"
    rates = f"{found['received_per_s']:.1f}/s in, {found['finished_per_s']:.1f}/s ended, {found['pending']} pending"
    return [
        ("daemon", f"{found['project']}, up {duration(found['uptime_s'])}"),
        ("broker", f"{broker['address']}, {link}"),
        ("ledger", f"{size(found['ledger']['size_bytes'])}{_problem(found)}"),
        ("work", rates),
    ]


def _problem(found: Mapping[str, Any]) -> str:
    problem = found["ledger"]["problem"]
    return f", {problem}" if problem else ""


def _failures(now: Mapping[str, Any]) -> list[str]:
    return [
        f"{ago(run['finished_at'])}  {run['pipeline']}  {run['outcome']}  {run['error'] or ''}  {run['run_id']}"
        for run in now["last_failed"]
    ]


def _refresh(
    looks: Iterator[dict[str, Any]], before: dict[str, Any], interval: float, pressed: Callable[[float], str]
) -> None:
    from rich.live import Live

    wait = min(interval, 1.0)
    with Live(console=console(), auto_refresh=False, screen=True) as display:
        while "q" not in pressed(wait):
            now = next(looks)
            display.update(_screen(_figures(before, now), _failures(now)), refresh=True)
            before, wait = now, interval


def _screen(found: Mapping[str, Any], failures: Sequence[str]) -> Text:
    from rich.text import Text

    facts = Text("\n").join(Text.assemble((f"{name:<8}", "dim"), safe(value)) for name, value in _facts(found))
    lines = [facts, Text()]
    rows = [[safe(column.text(row)) for column in _COLUMNS] for row in found["pipelines"]]
    titles = [column.title.upper() for column in _COLUMNS]
    widths = [max(len(row[index]) for row in [titles, *rows]) for index in range(len(_COLUMNS))]
    lines.append(_line(titles, widths, ["bold"] * len(widths)))
    for cells in rows:
        styles = [column.style(text) if column.style else "" for column, text in zip(_COLUMNS, cells, strict=True)]
        lines.append(_line(cells, widths, styles))
    if failures:
        lines += [Text(), Text("last failures", style="bold"), *(Text(safe(line), style="red") for line in failures)]
    lines += [Text(), Text("q ends", style="dim")]
    shown = Text("\n").join(lines)
    shown.no_wrap = True
    shown.overflow = "ellipsis"
    return shown


def _line(cells: Sequence[str], widths: Sequence[int], styles: Sequence[str]) -> Text:
    from rich.text import Text

    parts = [
        (f"{text:>{width}}  " if column.right else f"{text:<{width}}  ", style)
        for text, width, style, column in zip(cells, widths, styles, _COLUMNS, strict=True)
    ]
    return Text.assemble(*parts)


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """What waits for keys of the terminal, for so many seconds; empty where none was pressed, `q` where it is gone."""
    import os
    import select
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def pressed(seconds: float) -> str:
        ready, _, _ = select.select([descriptor], [], [], seconds)
        # Not through `sys.stdin`, which would keep the rest of an arrow key where `select` does not see it.
        return (os.read(descriptor, 64).decode(errors="replace") or "q") if ready else ""

    try:
        tty.setcbreak(descriptor)
        yield pressed
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
