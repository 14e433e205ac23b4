"""What every intake does: take bursts from a connection while there is room, until it is stopped."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import anyio

from fp_events.domain.message import Delivery
from fp_events.domain.ports import Transport

from .aim import Aim
from .formats import Formats
from .router import Router, Target
from .runner import Runner

T = TypeVar("T")

#: Messages accepted together, and their bytes.
PART = 1_000
PART_BYTES = 4 * 1024 * 1024


class Taking(ABC):
    """Receives while the daemon may hold more runs."""

    def __init__(self, transport: Transport, router: Router, runner: Runner, formats: Formats) -> None:
        self._transport = transport
        self._router = router
        self._runner = runner
        self._pending = runner.pending
        self._formats = formats
        #: What has been looked at of the router's triggers.
        self._aims: dict[Target, Aim] = {}
        self._stopped = False
        self._waiting = anyio.CancelScope()
        #: Messages since the start, and those that no trigger wanted.
        self.received = 0
        self.unmatched = 0

    async def run(self) -> None:
        """Take messages in until `stop`; what has begun to be accepted is also acknowledged."""
        while await self._has_room():
            parts = _parts(await self._unless_stopped(self._transport.receive) or ())
            # Nothing keeps what is accepted: thousands of deliveries make room for their runs.
            while parts:
                if not await self._has_room():
                    return  # not acknowledged: it comes again
                await self.accept(parts.popleft())

    def stop(self) -> None:
        """Take nothing more in."""
        self._stopped = True
        self._waiting.cancel()

    def renew(self) -> None:
        """The router has newer pipelines: look at their settings again."""
        self._aims.clear()

    @abstractmethod
    async def accept(self, burst: Sequence[Delivery]) -> None:
        """Make runs of these."""

    def _aim(self, target: Target) -> Aim:
        aim = self._aims.get(target)
        if aim is None:
            aim = self._aims[target] = Aim(target, self._runner.lanes[target.pipeline.name], self._formats)
        return aim

    async def _has_room(self) -> bool:
        """Wait until the daemon may hold more; False when it is stopped."""
        if self._is_full():
            await self._unless_stopped(self._pending.room)
        return not self._stopped

    def _is_full(self) -> bool:
        """Whether to wait until some runs have ended."""
        return self._pending.full

    async def _unless_stopped(self, wait: Callable[[], Awaitable[T]]) -> T | None:
        found: T | None = None
        with anyio.CancelScope() as self._waiting:
            if not self._stopped:
                found = await wait()
        return found


def _parts(burst: Sequence[Delivery]) -> deque[Sequence[Delivery]]:
    """The burst in parts: the loop has its turn between them, and what is held stays bounded."""
    parts: deque[Sequence[Delivery]] = deque()
    start = size = 0
    for index, delivery in enumerate(burst, start=1):
        size += len(delivery.message.payload)
        if index == len(burst) or index - start >= PART or size >= PART_BYTES:
            parts.append(burst[start:index])
            start, size = index, 0
    return parts
