"""The daemon: its start, its roles, its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import anyio
import anyio.abc

from fp_events.domain.records import Batch, Opened

from .drain import drain
from .options import ServeInfo, ServiceOptions
from .parts import Parts, Role, assemble
from .recovery import Recovered, recover
from .routers import Routers


class Service:
    """One daemon. `run` returns when it has drained."""

    #: Made once the ledger is open.
    parts: Parts
    _routers: Routers

    def __init__(self, options: ServiceOptions, *, on_ready: Callable[[ServeInfo], None] = lambda _: None) -> None:
        self._o = options
        self._on_ready = on_ready
        self._stop = asyncio.Event()
        self._stop_now = asyncio.Event()

    def stop(self) -> None:
        """Drain, then end. Called again: end at once."""
        if self._stop.is_set():
            self._stop_now.set()
        self._stop.set()

    def reload(self) -> None:
        """Read the project again soon and swap the pipelines that have changed; what comes of it is logged."""
        self.parts.reloader.ask()

    async def run(self) -> bool:
        """Serve until `stop`; True if everything that ran could end."""
        o = self._o
        opened = await o.ledger.open()
        try:
            self._routers = Routers(o, opened)
            self.parts = assemble(o, self._routers, opened)
            async with anyio.create_task_group() as roles:
                roles.start_soon(self.parts.committer.run, name="committer")
                drained = await self._serve(opened, roles)
                roles.cancel_scope.cancel()
            return drained
        finally:
            with anyio.CancelScope(shield=True):
                for executor in o.executors:
                    await executor.close(0.0)
                if o.close_resources is not None:
                    await o.close_resources()
                await o.ledger.close()

    async def _serve(self, opened: Opened, roles: anyio.abc.TaskGroup) -> bool:
        o, parts = self._o, self.parts
        await parts.committer.commit(Batch(settings=self._routers.settings()))
        for executor in o.executors:
            await executor.start()
            roles.start_soon(parts.runner.collect, executor, name=f"collect:{type(executor).__name__}")
        found = await recover(o.ledger, parts.runner, parts.overflow)
        parts.teller.recovered(found)
        await parts.scheduler.load()
        await parts.socket.open()
        parts.loop.start()
        try:
            if parts.http is not None:
                await parts.http.open()
            for watcher in o.watchers:
                await watcher.open(parts.health)
            for name, role in self._roles(opened, found).items():
                roles.start_soon(role, name=name)
            for watcher in o.watchers:
                watcher.started()
            await self._stop.wait()
            for watcher in o.watchers:
                watcher.draining()
            return await drain(parts, self._stop_now)
        finally:
            parts.loop.stop()
            with anyio.CancelScope(shield=True):
                for watcher in o.watchers:
                    await watcher.close()
                if parts.http is not None:
                    await parts.http.close()
                await parts.socket.close()

    def _roles(self, opened: Opened, found: Recovered) -> dict[str, Role]:
        async def start_runs() -> None:
            await self.parts.runner.recover(found.suspects)
            self.parts.runner.open()

        return {"ready": partial(self._ready, opened, found), **self.parts.roles(), "recovery": start_runs}

    async def _ready(self, opened: Opened, found: Recovered) -> None:
        parts = self.parts
        await parts.transport.connected()
        status = parts.transport.status()
        granted = dict(status.granted)
        served = {**self._routers.main.served, **self._routers.direct.served}
        if parts.direct is not None:
            await parts.direct.transport.connected()
            granted |= parts.direct.transport.status().granted
        self._on_ready(
            ServeInfo(
                address=status.address,
                subscriptions=[(text, granted, served.get(text, ())) for text, granted in sorted(granted.items())],
                ledger=str(self._o.ledger_path or "memory"),
                queued=found.queued,
                waiting=found.waiting,
                interrupted=found.interrupted,
                unsent=opened.unsent,
                socket=str(self.parts.socket.path),
                control=self._o.control is not None,
            )
        )
