"""`serve`: the daemon."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from fp_events.domain.errors import UsageError

from .arguments import LevelOption
from .invocation import Invocation
from .output import console, safe, warn
from .publish import UrlOption, broker_override
from .texts import plural

if TYPE_CHECKING:
    from rich.text import Text

    from fp_events.app import ServeReport
    from fp_events.config import Config
    from fp_events.runtime.options import ServeInfo

#: MQTT's first reason code that says no (MQTT 5, 3.9.3).
_REFUSAL = 0x80


def serve(
    context: typer.Context,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="End with 69 if the broker does not answer at the start.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Swap pipelines whenever their files change; so does SIGHUP at any time.")
    ] = False,
    mqtt_url: UrlOption = None,
    log_level: LevelOption = None,
) -> None:
    """Run the daemon until SIGTERM or Ctrl-C, which drain it; a second one ends it at once."""
    from fp_events import app

    invocation: Invocation = context.obj
    overrides = broker_override(mqtt_url)
    if log_level:
        overrides["log"] = {"level": log_level}
    # What reads a log expects its lines alone.
    config = invocation.config(overrides, tells=sys.stderr.isatty())
    if watch and config.remote:
        raise UsageError("--watch looks at files of this machine", mend="use `fp-events reload`, which looks again")
    raise typer.Exit(app.serve(config, on_ready=partial(_announce, config), fail_fast=fail_fast, watch=watch))


def _announce(config: Config, report: ServeReport) -> None:
    """Say what is served: to a person, or as events of the log."""
    if sys.stderr.isatty():
        for warning in report.warnings:
            warn(str(warning))
        console(stderr=True).print(_banner(report))
        return
    import structlog

    log = structlog.get_logger("fp_events.cli")
    for warning in report.warnings:
        log.warning("configuration_doubtful", what=warning.what, where=warning.where, mend=warning.mend)
    info = report.info
    log.info(
        "serving",
        broker=info.address,
        embedded=report.embedded or None,
        subscriptions=[
            {"filter": text, "qos": qos, "pipelines": list(names)} for text, qos, names in info.subscriptions
        ],
        ledger=info.ledger,
        **({"project": config.shown, "copy": config.root, "home": str(config.home)} if config.remote else {}),
        **_leftovers(info),
    )


def _banner(report: ServeReport) -> Text:
    from rich.text import Text

    info = report.info
    broker = f"{info.address} ({report.embedded})" if report.embedded else info.address
    lines = [Text.assemble(("serving", "bold green"), f" from {safe(broker)}, ledger {safe(info.ledger)}")]
    for topic, qos, names in info.subscriptions:
        told = ("refused by the broker", "red") if qos >= _REFUSAL else (f"qos {qos}", "dim")
        lines.append(Text.assemble("  ", (safe(topic), "cyan"), "  ", told, f"  {', '.join(names)}"))
    found = [
        plural(count, what.replace("_", " ").removesuffix("s")) for what, count in _leftovers(info).items() if count
    ]
    if found:
        lines.append(Text(f"  from before: {', '.join(found)}", style="yellow"))
    doors = "the local socket and MQTT" if info.control else "the local socket"
    lines.append(Text(f"  takes commands on {doors}; Ctrl-C drains and ends", style="dim"))
    return Text("\n").join(lines)


def _leftovers(info: ServeInfo) -> dict[str, int]:
    return {
        "queued_runs": info.queued,
        "waiting_runs": info.waiting,
        "interrupted_runs": info.interrupted,
        "unsent_results": info.unsent,
    }
