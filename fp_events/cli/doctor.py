"""`doctor`: is everything here that a daemon needs?"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from fp_events.domain.errors import (
    BrokerError,
    ConfigError,
    DaemonUnavailable,
    FpEventsError,
    StorageError,
    UsageError,
)

from .invocation import Invocation
from .output import Column, Format, FormatOption, field, show_rows, show_value
from .texts import plural

if TYPE_CHECKING:
    from fp_events.config import Config

_STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}
_PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: `verdict` is ok, warn or fail."""

    check: str
    verdict: str
    found: str
    mend: str = ""
    #: What the program ends with if this is the first failure.
    exit_code: int = 1


_COLUMNS = (
    field("check"),
    field("verdict", style=lambda text: _STYLES.get(text.strip(), "")),
    field("found"),
    Column("mend", lambda row: str(row["mend"])),
)


def doctor(context: typer.Context, form: FormatOption = Format.TABLE) -> None:
    """Check this machine and this project; every finding says how to mend it."""
    invocation: Invocation = context.obj
    if form is Format.IDS:
        raise UsageError("findings have no ids", mend="use --format table, json or yaml")
    findings = [*_machine(), *_project(invocation)]
    rows = [{"check": f.check, "verdict": f.verdict, "found": f.found, "mend": f.mend} for f in findings]
    if form is Format.TABLE:
        show_rows(rows, _COLUMNS, form=form, ids=str, empty="")
    else:
        show_value(rows, form=form)
    failed = [finding for finding in findings if finding.verdict == "fail"]
    if failed:
        if form is Format.TABLE:
            print(f"\n{plural(len(failed), 'check')} failed", file=sys.stderr)
        raise typer.Exit(failed[0].exit_code)


def _machine() -> Iterator[Finding]:
    version = platform.python_version()
    if sys.version_info >= _PYTHON:
        yield Finding("python", "ok", f"{version} in {sys.prefix}")
    else:
        yield Finding("python", "fail", version, "use Python 3.11 or newer")
    from fp_events.brokers.mosquitto import find_mosquitto

    mosquitto = find_mosquitto()
    if mosquitto is not None:
        yield Finding("mosquitto", "ok", str(mosquitto))
    else:
        yield Finding(
            "mosquitto",
            "warn",
            "not installed: `mqtt.url: embedded` falls back on a broker that forgets",
            "install it (apt install mosquitto, brew install mosquitto), or name a broker in mqtt.url",
        )
    dot = shutil.which("dot")
    mend = "" if dot else "install it for `fp-events graph --format svg` (apt install graphviz)"
    yield Finding("graphviz", "ok" if dot else "warn", dot or "not installed", mend)


def _project(invocation: Invocation) -> Iterator[Finding]:
    try:
        config = invocation.config()
    except FpEventsError as error:
        problems = error.problems if isinstance(error, ConfigError) else [error]
        for problem in problems:
            where = f"{problem.where}: " if problem.where else ""
            yield Finding("project", "fail", where + problem.what, problem.mend, error.exit_code)
        return
    yield Finding("project", "ok", f"{config.name} in {config.root}, {plural(len(config.pipelines), 'pipeline')}")
    for check in (_plans, _ledger_folder, _daemon, _broker):
        yield from _guarded(check, config)


def _guarded(check: Callable[[Config], Iterator[Finding]], config: Config) -> Iterator[Finding]:
    name = check.__name__.removeprefix("_").replace("_", " ")
    try:
        yield from check(config)
    except FpEventsError as error:
        where = f"{error.where}: " if error.where else ""
        yield Finding(name, "fail", where + error.what, error.mend, error.exit_code)


def _plans(config: Config) -> Iterator[Finding]:
    from fp_events import app

    problems = app.check(config)
    for problem in problems:
        where = f"{problem.where}: " if problem.where else ""
        verdict = "warn" if problem.warning else "fail"
        yield Finding("plans", verdict, where + problem.what, problem.mend, ConfigError.exit_code)
    if not problems:
        yield Finding("plans", "ok", "topics, inputs and outputs fit together")


def _ledger_folder(config: Config) -> Iterator[Finding]:
    file = config.ledger_file
    if file is None:
        yield Finding("ledger folder", "warn", "the ledger is in memory: it forgets", "set ledger.url to a file")
        return
    folder = _nearest(file.parent)
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Finding(
            "ledger folder",
            "fail",
            f"{folder} is not writable",
            "make it writable for this user",
            StorageError.exit_code,
        )
        return
    free = shutil.disk_usage(folder).free
    verdict = "ok" if free > 1024**3 else "warn"
    yield Finding("ledger folder", verdict, f"{file.parent}, {free / 1024**3:.1f} GiB free", "")


def _nearest(folder: Path) -> Path:
    """The folder, or what of its path there is: the rest will be made."""
    while not folder.exists():
        folder = folder.parent
    return folder


def _daemon(config: Config) -> Iterator[Finding]:
    from .daemon import call

    try:
        status: dict[str, Any] = call(config, "status")
    except DaemonUnavailable:
        yield Finding("daemon", "ok", "not running", "")
        return
    broker = status["broker"]
    if broker["connected"]:
        yield Finding("daemon", "ok", f"process {status['pid']}, connected to {broker['address']}")
    else:
        yield Finding(
            "daemon",
            "fail",
            f"process {status['pid']}, not connected to {broker['address']}: {broker['last_error']}",
            "is the broker running?",
            DaemonUnavailable.exit_code,
        )


def _broker(config: Config) -> Iterator[Finding]:
    import asyncio

    from .link import connected, options_for

    if config.mqtt.url == "embedded" and not _embedded_runs(config):
        yield _usual_port()
        return
    options = options_for(config)

    async def visit() -> None:
        async with connected(options, patience=5):
            return

    try:
        asyncio.run(visit())
    except BrokerError as error:
        yield Finding("broker", "fail", f"{options.address}: {error.what}", error.mend, error.exit_code)
        return
    yield Finding("broker", "ok", f"{options.address} lets us in")


def _embedded_runs(config: Config) -> bool:
    from fp_events import app

    try:
        app.broker_address(config)
    except BrokerError:
        return False
    return True


def _usual_port() -> Finding:
    from fp_events.brokers.probe import free_port

    if free_port(1883) is None:
        return Finding("broker", "ok", "embedded, starts with `serve`; port 1883 is taken, so it will use another")
    return Finding("broker", "ok", "embedded, starts with `serve` on port 1883")
