"""What `doctor` looks at: the machine, then the project."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fp_events.domain.errors import BrokerError, ConfigError, DaemonUnavailable, FpEventsError, StorageError

from .invocation import Invocation
from .texts import plural

if TYPE_CHECKING:
    from fp_events.config import Config

_PYTHON = (3, 11)
#: Bytes of free disk below which a ledger is in danger.
_LITTLE = 1024**3


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: `verdict` is ok, warn or fail."""

    check: str
    verdict: str
    found: str
    mend: str = ""
    #: What the program ends with if this is the first failure.
    exit_code: int = 1


def findings(invocation: Invocation) -> list[Finding]:
    """Everything, in the order in which it is to be mended."""
    return [*_machine(), *_project(invocation)]


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
    mend = "" if dot else "install it for drawings as SVG, PNG and PDF (apt install graphviz)"
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
    yield Finding("project", "ok", f"{config.name} in {config.shown}, {plural(len(config.pipelines), 'pipeline')}")
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
    verdict = "ok" if free > _LITTLE else "warn"
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

    from fp_events.app.link import connected, options_for

    if config.mqtt.url == "embedded" and not _embedded_runs(config):
        yield _embedded()
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


def _embedded() -> Finding:
    from fp_events.brokers.in_process import amqtt_installed
    from fp_events.brokers.mosquitto import find_mosquitto
    from fp_events.brokers.probe import free_port

    if find_mosquitto() is None and not amqtt_installed():
        mend = "install Mosquitto, or name a broker in mqtt.url"
        return Finding("broker", "fail", "embedded, and there is no broker to start", mend, BrokerError.exit_code)
    if free_port(1883) is None:
        return Finding("broker", "ok", "embedded, starts with `serve`; port 1883 is taken, so it will use another")
    return Finding("broker", "ok", "embedded, starts with `serve` on port 1883")
