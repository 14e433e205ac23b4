"""A project, a broker in memory, and daemons that serve it, one life after another, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fp_events import config as configuration
from fp_events.app import serving as app
from fp_events.domain.connection import ConnectOptions
from fp_events.domain.message import ConnectionStatus, Properties, Publication
from fp_events.domain.observation import RetryRecord, RunRecord
from fp_events.domain.ports import Ledger, ReceivedIds
from fp_events.ledgers.memory import MemoryLedger
from fp_events.ledgers.sqlite import SqliteLedger
from fp_events.runtime.announcements import availability
from fp_events.runtime.options import ServiceOptions
from fp_events.runtime.router import Router
from fp_events.runtime.service import Service
from fp_events.runtime.socket_door import ask
from fp_events.transports.memory import MemoryBroker, MemoryTransport

from . import gates

CODE = """
from tests.runtime import gates


def result(n: int, do: list | None) -> dict:
    gates.act(n, do)
    return {"n": n}
"""

KEYED_CODE = """
from tests.runtime import gates


def total(n: int, do: list | None, key: str, previous_total: int | None) -> int:
    gates.act(n, do, key)
    return (10 * (previous_total or 0) + n) % 10**12


def result(n: int, key: str, total: int) -> dict:
    return {"n": n, "key": key, "total": total}
"""

Changes = Callable[[ServiceOptions], ServiceOptions]


class Daemon:
    """One life of the daemon."""

    def __init__(self, house: House, options: ServiceOptions) -> None:
        self._house = house
        self._changed = asyncio.Condition()
        #: Runs that have ended, attempts that have failed, and log lines.
        self.ended: list[RunRecord] = []
        self.retries: list[RetryRecord] = []
        self.log: list[tuple[str, dict[str, Any]]] = []
        self._ready = asyncio.Event()
        options = replace(
            options,
            observers=(*options.observers, self.ended.append),
            retry_observers=(*options.retry_observers, self.retries.append),
            log=self,
        )
        self._folder = options.folder
        self._executors = options.executors
        self.service = Service(options, on_ready=lambda _: self._ready.set())
        self.task = asyncio.create_task(self.service.run(), name="service")

    def info(self, event: str, **facts: Any) -> None:
        self.log.append((event, facts))

    warning = info

    async def ready(self) -> None:
        waiting = asyncio.create_task(self._ready.wait())
        await asyncio.wait({waiting, self.task}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self.task.done():
            self.task.result()

    async def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """One command through the control socket."""
        return await ask(self._folder, command, arguments)

    async def until(self, true: Callable[[], object]) -> None:
        """Wait until something in this process is so; the daemon runs in the meantime."""
        async with asyncio.timeout(gates.PATIENCE):
            while not true():
                if self.task.done():
                    self.task.result()
                    raise AssertionError("the daemon has ended")
                await asyncio.sleep(0.001)

    async def asked(self, true: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Ask for the status until it is as wanted."""
        async with asyncio.timeout(gates.PATIENCE):
            while True:
                status = await self.ask("status")
                if true(status):
                    return status
                await asyncio.sleep(0.005)

    async def outcomes(self, count: int) -> list[str]:
        """How the first runs ended, once so many have."""
        await self.until(lambda: len(self.ended) >= count)
        return [record.outcome.value for record in self.ended]

    async def stop(self) -> bool:
        """SIGTERM, in effect; True if everything that ran could end."""
        self.service.stop()
        async with asyncio.timeout(gates.PATIENCE):
            return await self.task

    async def end(self) -> None:
        """At once, whatever runs."""
        if not self.task.done():
            self.service.stop()
            self.service.stop()
            await self.task
        # Threads would have died with their process: the next life must not meet them.
        for executor in self._executors:
            await executor.close(2.0)
        await self._house.steering.idle()

    async def crash(self) -> None:
        """SIGKILL, in effect: nothing that happens from now on reaches the ledger, and the broker sees a cut."""
        ledger = self._house.ledger
        assert isinstance(ledger, MemoryLedger)
        self._house.ledger = ledger.after_crash()
        self.task.cancel()
        with contextlib.suppress(Exception, asyncio.CancelledError):
            await self.task


class House:
    """The project's folder, its broker and its ledger."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broker = MemoryBroker()
        self.steering = gates.renew()
        self.ledger: Ledger = MemoryLedger()
        self._number = 0
        self._write("conf/project.yml", {"name": "house", "mqtt": {"client_id": "daemon"}})

    def use_sqlite(self) -> None:
        """Keep the ledger in a file."""
        self.ledger = SqliteLedger(self.folder / ".fp-events" / "ledger.db", synchronous="normal")

    def project(self, **settings: Any) -> None:
        """Change `conf/project.yml`."""
        self._write("conf/project.yml", {"name": "house", "mqtt": {"client_id": "daemon"}, **settings})

    def pipeline(self, name: str = "work", code: str = CODE, **settings: Any) -> None:
        """A pipeline on `in/<name>`; its `result` goes to `out/<name>`."""
        defaults: dict[str, Any] = {
            "triggers": [{"topic": f"in/{name}", "map": {"n": "payload.n", "do": "payload.do ?? null"}}],
            "outputs": [{"node": "result", "topic": f"out/{name}"}],
        }
        self._write(f"conf/pipelines/{name}.yml", {**defaults, **settings})
        self._text(f"pipelines/{name}.py", code)

    def keyed(self, name: str = "work", **settings: Any) -> None:
        """A pipeline with a key and state: `total` has the numbers of the key's runs as its digits."""
        mapping = {"n": "payload.n", "do": "payload.do ?? null", "key": "topic.source"}
        keyed: dict[str, Any] = {
            "triggers": [{"topic": f"in/{name}/{{source}}", "map": mapping, "key": "{source}"}],
            "state": {"total": "previous_total"},
        }
        self.pipeline(name, KEYED_CODE, **{**keyed, **settings})

    def publish(self, topic: str, n: int, *do: str, **properties: Any) -> None:
        """Publish a number, and what its run is to do at each attempt."""
        user = tuple(properties.pop("user", ()))
        self.broker.publish(topic, json.dumps({"n": n, "do": list(do)}), properties=Properties(user=user, **properties))

    def unacknowledged(self, client_id: str) -> int:
        """Messages that the broker holds for a client: on their way to it, or waiting."""
        return self.broker.unacknowledged(client_id)

    def published(self, topic: str) -> list[Any]:
        """Payloads that the daemon has published to a topic."""
        return [json.loads(one.payload) for one in self.broker.published if one.topic == topic]

    def publications(self, topic: str) -> list[Publication]:
        """What was published to a topic, whole."""
        return [one for one in self.broker.published if one.topic == topic]

    @contextlib.asynccontextmanager
    async def serving(self, change: Changes = lambda options: options) -> AsyncIterator[Daemon]:
        """A daemon that is connected and subscribed; ended at once if the test has not."""
        daemon = Daemon(self, change(self.options()))
        try:
            async with asyncio.timeout(gates.PATIENCE):
                await daemon.ready()
            yield daemon
        finally:
            self.steering.open_all()
            await daemon.end()

    def options(self) -> ServiceOptions:
        """As `serve` makes them, but for broker and ledger."""
        config = configuration.load(self.folder)
        options = app._options(config, self.folder / ".fp-events", None, "5", fail_fast=False)
        options.folder.mkdir(exist_ok=True)
        names = options.names

        def transport(
            router: Router,
            stale: Sequence[str],
            on_connection: Callable[[ConnectionStatus], None],
            received_ids: ReceivedIds,
        ) -> MemoryTransport:
            connect = ConnectOptions(
                host="",
                port=0,
                client_id=names.client_id,
                subscriptions=router.subscriptions,
                stale_filters=stale,
                will=availability(names, "offline"),
                greeting=(availability(names, "online"),),
            )
            return MemoryTransport(self.broker, connect, on_connection=on_connection)

        def direct(
            router: Router, stale: Sequence[str], on_connection: Callable[[ConnectionStatus], None]
        ) -> MemoryTransport:
            connect = ConnectOptions(
                host="",
                port=0,
                client_id=f"{names.client_id}-x",
                subscriptions=router.subscriptions,
                stale_filters=stale,
            )
            return MemoryTransport(self.broker, connect, on_connection=on_connection)

        return replace(
            options,
            ledger=self.ledger,
            ledger_path=None,
            transport=transport,
            direct_transport=direct,
            grace=5.0,
        )

    def _write(self, name: str, settings: dict[str, Any]) -> None:
        self._text(name, json.dumps(settings))  # JSON is YAML

    def _text(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """An empty project."""
    yield House(tmp_path)
    gates.renew()
