"""Resources: what is opened once per worker, given to runs by name, and closed when nobody needs it any more.

A resource of an ordinary function belongs to the process. One of an async function belongs to the event loop that it
was opened on, and is opened, kept and closed by one task of that loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

from fp_events.domain.closing import at_end_of_loop
from fp_events.domain.hooks import Resource

from .holding import PATIENCE, OfLoop, OfProcess, log, on_thread


class Pool:
    """All resources of a process. Equal ones, by code and arguments, are one, whichever pipelines use them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of_process: dict[str, OfProcess] = {}
        self._of_loops: dict[asyncio.AbstractEventLoop, dict[str, OfLoop]] = {}
        #: Version -> leases that have it.
        self._leases: dict[str, int] = {}

    def lease(self, resources: Mapping[str, Resource]) -> Lease:
        """For one handler, until it is retired."""
        return Lease(self, resources)

    def of_process(self, resource: Resource) -> OfProcess:
        """The one of this process."""
        with self._lock:
            found = self._of_process.get(resource.version)
            if found is None:
                found = self._of_process[resource.version] = OfProcess(resource)
            return found

    def of_loop(self, resource: Resource) -> OfLoop:
        """The one of the running loop."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if loop not in self._of_loops:
                self._of_loops[loop] = {}
                at_end_of_loop(loop, self._close_loop)
            known = self._of_loops[loop]
            found = known.get(resource.version)
            if found is None:
                found = known[resource.version] = OfLoop(resource)
            return found

    def take(self, resources: Mapping[str, Resource]) -> None:
        """Keep these open from when they are first asked for."""
        with self._lock:
            for version in {resource.version for resource in resources.values()}:
                self._leases[version] = self._leases.get(version, 0) + 1

    def give_back(self, resources: Mapping[str, Resource]) -> list[OfProcess | OfLoop]:
        """The opposite; what is to be closed, since nobody has it any more."""
        closing: list[OfProcess | OfLoop] = []
        with self._lock:
            for version in {resource.version for resource in resources.values()}:
                self._leases[version] -= 1
                if self._leases[version]:
                    continue
                del self._leases[version]
                closing += filter(None, [self._of_process.pop(version, None)])
                closing += filter(None, [known.pop(version, None) for known in self._of_loops.values()])
        return closing

    async def close(self) -> None:
        """Close all that belongs to this process and to the running loop."""
        await self._close_loop()
        try:
            async with asyncio.timeout(PATIENCE):
                await on_thread(self.close_process)
        except TimeoutError:
            log.warning("resources are not closed within %g s; the process ends without", PATIENCE)

    def close_process(self) -> None:
        """The same where no loop runs."""
        with self._lock:
            closing, self._of_process = list(self._of_process.values()), {}
        for found in reversed(closing):
            found.close()

    async def _close_loop(self) -> None:
        with self._lock:
            closing = list(self._of_loops.pop(asyncio.get_running_loop(), {}).values())
        for found in reversed(closing):
            await found.closed()


class Lease:
    """The resources of one handler: kept open while it is in use, and while an attempt of it is under way."""

    def __init__(self, pool: Pool, resources: Mapping[str, Resource]) -> None:
        self._pool = pool
        self.resources = resources
        self._lock = threading.Lock()
        #: Attempts under way, and one for the handler from its first use until it is retired.
        self._users = 0
        self._is_held = False
        self._is_retired = False

    def hold(self) -> None:
        """The handler is in use."""
        with self._lock:
            self._hold()

    def __enter__(self) -> None:
        with self._lock:
            self._hold()
            self._come()

    def __exit__(self, *_: object) -> None:
        self._leave()

    def get(self, name: str) -> Any:
        """A resource that an ordinary function opens; raises ResourceUnavailable."""
        return self._pool.of_process(self.resources[name]).get()

    async def get_on_loop(self, name: str) -> Any:
        """Any resource, on the running loop, which opening it does not hold up."""
        resource = self.resources[name]
        if resource.is_async:
            return await self._pool.of_loop(resource).get()
        found = self._pool.of_process(resource)
        return found.get() if found.is_open else await on_thread(found.get)

    def retire(self) -> None:
        """The handler has been replaced."""
        with self._lock:
            was_held, self._is_held, self._is_retired = self._is_held, False, True
        if was_held:
            self._leave()

    def _hold(self) -> None:
        if not self._is_held and not self._is_retired:
            self._is_held = True
            self._come()

    def _come(self) -> None:
        if self._users == 0:
            self._pool.take(self.resources)
        self._users += 1

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            closing = self._pool.give_back(self.resources) if self._users == 0 else []
        for found in closing:
            found.close()
