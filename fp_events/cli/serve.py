"""`serve`: the daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .invocation import Invocation
from .output import note, warn
from .publish import UrlOption
from .texts import plural

if TYPE_CHECKING:
    from fp_events.app import ServeInfo


def serve(
    context: typer.Context,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="End with 69 if the broker does not answer at the start.")
    ] = False,
    mqtt_url: UrlOption = None,
    log_level: Annotated[str | None, typer.Option("--log-level", help="DEBUG, INFO, WARNING or ERROR.")] = None,
) -> None:
    """Run the daemon until SIGTERM or Ctrl-C, which drain it; a second one ends it at once."""
    from fp_events import app

    invocation: Invocation = context.obj
    overrides: dict[str, Any] = {}
    if mqtt_url:
        overrides["mqtt"] = {"url": mqtt_url}
    if log_level:
        overrides["log"] = {"level": log_level}
    raise typer.Exit(app.serve(invocation.config(overrides), on_ready=_banner, fail_fast=fail_fast))


def _banner(info: ServeInfo) -> None:
    """Say what is served; on stderr, as the log is."""
    note(str(info))
    for warning in info.warnings:
        warn(str(warning))
    note(plural(0, "x"))
