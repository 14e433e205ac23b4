"""A broker, a daemon that counts messages by key, a publisher, and a sink that logs every result."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.brokers import Mosquitto, mosquitto
from tests.endtoend.harness import Daemon, Sink, write_project

from .oracle import Account, account, acknowledged, number_of, read_ledger
from .proxy import Proxy, proxy

ROOT = Path(__file__).parents[1]
#: Seconds that the rest of a load may take to come through, counted from the last result.
SETTLING = 25
#: Messages without a result that are too many, and seconds that they may take.
BEHIND, CATCHING_UP = 2_000, 120

PROJECT = """\
name: faults
mqtt: {{url: "mqtt://127.0.0.1:{port}", keepalive: {keepalive}}}
log: {{format: json}}
"""
#: One run for each message; the state counts them.
COUNT = """\
triggers:
  - {topic: "load/{device}", map: {i: payload.i}, key: "{device}"}
state: {total: previous_total}
outputs: [{node: result, topic: "done/{device}"}]
params: {effects: effects.log}
"""
COUNT_CODE = '''\
"""Counts, and leaves a trace of each call."""

import os


def total(previous_total: int | None, i: int) -> int:
    """Messages of this key so far."""
    return (previous_total or 0) + 1


def called(effects: str, i: int) -> bool:
    """A side effect."""
    file = os.open(effects, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, b"%d\\n" % i)
    finally:
        os.close(file)
    return True


def result(i: int, total: int, called: bool) -> dict:
    """What the sink logs."""
    return {"i": i, "total": total}
'''


@dataclass(kw_only=True)
class Load:
    """Everything that runs."""

    folder: Path
    broker: Mosquitto
    proxy: Proxy | None
    sink: Sink
    daemon: Daemon
    _publisher: asyncio.subprocess.Process | None = None
    _first: int = 0

    @property
    def log(self) -> Path:
        """The publisher's."""
        return self.folder / "publisher.log"

    @property
    def ledger(self) -> Path:
        """The daemon's."""
        return self.folder / ".fp-events" / "ledger.db"

    def acknowledged(self) -> int:
        """Messages that the broker has taken."""
        return len(acknowledged(self.log))

    async def subscribe(self) -> None:
        """Let the daemon make its session at the broker, and go: from now on nothing is published to nobody."""
        await self.daemon.start()
        assert await self.daemon.stop() == 0

    async def publish(self, *, rate: float = 300.0, count: int | None = None, qos: int = 1) -> None:
        """Let the publisher stream."""
        self._publisher = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "faults.publisher", "--port", str(self.broker.port), "--log", str(self.log)),
            *("--rate", str(rate), "--first", str(self._first), "--qos", str(qos)),
            *(() if count is None else ("--count", str(count))),
            cwd=ROOT,
        )

    async def published(self, *, all_of_it: bool = False) -> None:
        """End the stream, or wait for its own end; return when the broker has acknowledged everything."""
        if self._publisher is None:
            return
        if not all_of_it:
            with contextlib.suppress(ProcessLookupError):
                self._publisher.send_signal(signal.SIGTERM)
        await self._publisher.wait()
        self._publisher = None
        self._first = max(acknowledged(self.log), default=-1) + 1

    async def catch_up(self) -> None:
        """Where much has piled up, let a daemon live until it has not: one that always dies early gets nowhere."""
        if self._behind() < BEHIND:
            return
        await self.daemon.start()
        async with asyncio.timeout(CATCHING_UP):
            while self._behind() > BEHIND // 10:
                await asyncio.sleep(0.1)
        await self.daemon.kill()

    def _behind(self) -> int:
        return self.acknowledged() - len({payload for _, payload, _ in self.sink.messages})

    async def until_results(self, count: int, patience: float = 20.0) -> None:
        """Wait until the sink has so many more messages than now."""
        have = len(self.sink.messages)
        await self.sink.until(lambda messages: len(messages) >= have + count, patience)

    async def settle(self) -> Account:
        """End the stream, wait until everything has come through or nothing comes any more, stop, and count."""
        await self.published()
        wanted = acknowledged(self.log)
        have: set[int] = set()
        place, last = 0, time.monotonic()
        while not wanted <= have and time.monotonic() < last + SETTLING:
            await asyncio.sleep(0.05)
            fresh = self.sink.messages[place:]
            if fresh:
                place, last = place + len(fresh), time.monotonic()
            have.update(number_of(payload) for _, payload, _ in fresh)
        await self.daemon.until(lambda status: not status["totals"]["pending"])
        assert await self.daemon.stop() == 0
        return self.account()

    def account(self) -> Account:
        """The oracle's word; the daemon has ended."""
        effects = self.folder / "effects.log"
        called = [int(line) for line in effects.read_text().split()] if effects.exists() else []
        return account(self.log, self.sink.messages, read_ledger(self.ledger), called)

    async def close(self) -> None:
        """End what still runs."""
        if self._publisher is not None:
            with contextlib.suppress(ProcessLookupError):
                self._publisher.kill()
            await self._publisher.wait()
        if self.daemon.running:
            await self.daemon.kill()


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a load is made of, where it differs."""

    files: Mapping[str, str] = field(default_factory=dict)
    broker: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    through_proxy: bool = False
    #: Seconds.
    keepalive: float = 30.0
    #: Filters of the sink.
    sink: tuple[str, ...] = ("done/#",)


@contextlib.asynccontextmanager
async def load(folder: Path, setup: Setup = Setup()) -> AsyncIterator[Load]:
    """Everything but the daemon and the publisher runs."""
    async with contextlib.AsyncExitStack() as stack:
        broker = await stack.enter_async_context(mosquitto(setup.broker))
        between = stack.enter_context(proxy(broker.port)) if setup.through_proxy else None
        project = PROJECT.format(port=between.port if between else broker.port, keepalive=setup.keepalive)
        files = {
            "conf/project.yml": project,
            "conf/pipelines/count.yml": COUNT,
            "pipelines/count.py": COUNT_CODE,
            **setup.files,
        }
        effects = f"effects: {folder / 'effects.log'}"
        write_project(folder, {name: text.replace("effects: effects.log", effects) for name, text in files.items()})
        sink = await stack.enter_async_context(Sink(broker.port, *setup.sink))
        environ = {"PYTHONPATH": os.environ.get("PYTHONPATH", ""), **setup.environ}
        made = Load(folder=folder, broker=broker, proxy=between, sink=sink, daemon=Daemon(folder, environ))
        try:
            yield made
        finally:
            await made.close()
