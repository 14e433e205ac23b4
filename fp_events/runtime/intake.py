"""From the transport to the ledger: accept, then acknowledge."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

import anyio

from fp_events.domain.message import ConnectionStatus, Delivery
from fp_events.domain.ports import Transport
from fp_events.domain.records import Accept, Accepted, Batch, NewRun, TransportKey

from .aim import Aim
from .committer import Committer
from .entry import Entry
from .formats import Formats
from .router import Match, Router, Target
from .runner import Runner

T = TypeVar("T")

#: Messages of one commit, and their bytes.
PART = 1_000
PART_BYTES = 4 * 1024 * 1024
#: Setting under which the number of the broker's session is remembered.
SESSION = "broker.session"


class Intake:
    """Receives, matches, has the ledger accept, acknowledges, and hands the new runs to the runner."""

    def __init__(
        self,
        *,
        transport: Transport,
        router: Router,
        committer: Committer,
        runner: Runner,
        formats: Formats,
        session: int,
        on_command: Callable[[Delivery], bool] | None,
    ) -> None:
        self._transport = transport
        self._router = router
        self._committer = committer
        self._runner = runner
        self._formats = formats
        self._session = session
        self._on_command = on_command
        self._aims: dict[Target, Aim] = {}
        #: Those that the burst in hand has runs for.
        self._touched: set[Aim] = set()
        self._now = 0.0
        self._may_start = False
        #: (delivery, message row) of what was acknowledged and is not yet known to be processed.
        self._unconfirmed: deque[tuple[int, int]] = deque()
        self._stopped = False
        self._waiting = anyio.CancelScope()
        #: Messages since the start, and those that no trigger wanted.
        self.received = 0
        self.unmatched = 0

    def connected(self, status: ConnectionStatus) -> None:
        """Called at every connect and loss: a lost session makes older packet ids mean nothing."""
        if status.connected and not status.session_present:
            self._session += 1
            self._committer.post(Batch(settings={SESSION: str(self._session).encode()}))

    async def run(self) -> None:
        """Take messages in until `stop`; what has begun to be accepted is also acknowledged."""
        while await self._unless_stopped(self._room):
            burst = await self._unless_stopped(self._transport.receive)
            for part in _parts(burst or ()):
                if not await self._unless_stopped(self._room):
                    return  # not acknowledged: it comes again
                await self._accept(part)

    async def _room(self) -> bool:
        await self._runner.pending.room()
        return True

    async def _unless_stopped(self, wait: Callable[[], Awaitable[T]]) -> T | None:
        found: T | None = None
        with anyio.CancelScope() as self._waiting:
            if not self._stopped:
                found = await wait()
        return found

    def stop(self) -> None:
        """Take nothing more in."""
        self._stopped = True
        self._waiting.cancel()

    def confirm(self) -> None:
        """Make durable which messages cannot come again, where no later message has done it."""
        confirmed = self._confirmed()
        if confirmed is not None:
            self._committer.post(Batch(confirmed_message_id=confirmed))

    async def _accept(self, burst: Sequence[Delivery]) -> None:
        accepts: list[Accept] = []
        entries: list[list[Entry]] = []
        deliveries: list[Delivery] = []
        self._begin()
        for delivery in burst:
            if self._on_command is not None and self._on_command(delivery):
                continue
            targets = self._router.match(delivery)
            if not targets:
                self.unmatched += 1
                continue
            accept, new = self._new(delivery, targets)
            accepts.append(accept)
            entries.append(new)
            deliveries.append(delivery)
        self.received += len(burst)
        confirmed = self._confirmed()
        if accepts or confirmed is not None:
            committed = await self._committer.commit(Batch(accepts=tuple(accepts), confirmed_message_id=confirmed))
            taken = self._taken(committed.accepted, entries, deliveries)
            self._transport.acknowledge(burst)
            self._runner.take(taken)
        else:
            self._transport.acknowledge(burst)

    def _begin(self) -> None:
        """Nothing of this burst is claimed yet."""
        self._now = time.monotonic()
        self._may_start = self._runner.is_open
        for aim in self._touched:
            aim.ahead = 0
        self._touched.clear()

    def _new(self, delivery: Delivery, targets: Sequence[Match]) -> tuple[Accept, list[Entry]]:
        message = delivery.message
        runs: list[NewRun] = []
        entries: list[Entry] = []
        for target, captures in targets:
            aim = self._aims.get(target)
            if aim is None:
                aim = self._aims[target] = Aim(target, self._runner.lanes[target.pipeline.name], self._formats)
            run, entry = aim.run(message, captures, self._now, may_start=self._may_start)
            aim.queue.last_message = self._now
            self._touched.add(aim)
            runs.append(run)
            entries.append(entry)
        packet_id = delivery.packet_id
        key = TransportKey(self._session, packet_id) if packet_id else None
        redelivered = delivery.duplicate and packet_id > 0
        return Accept(message=message, runs=tuple(runs), transport_key=key, redelivered=redelivered), entries

    def _taken(
        self, accepted: Sequence[Accepted], entries: Sequence[list[Entry]], deliveries: Sequence[Delivery]
    ) -> list[Entry]:
        """The runs that were stored. Of the others, whose messages had been seen, there is a count."""
        taken: list[Entry] = []
        for answer, new, delivery in zip(accepted, entries, deliveries, strict=True):
            if not answer.duplicates:
                taken += new
            else:
                for entry in new:
                    if entry.run_id in answer.duplicates and entry.trigger is not None:
                        self._runner.lanes[entry.pipeline].queues[entry.trigger].duplicates += 1
                    else:
                        taken.append(entry)
            if delivery.packet_id and answer.message_id:
                self._unconfirmed.append((delivery.number, answer.message_id))
        return taken

    def _confirmed(self) -> int | None:
        """The last message row whose acknowledgement the broker has processed, if that is news."""
        mark = self._transport.confirmed
        row: int | None = None
        while self._unconfirmed and self._unconfirmed[0][0] <= mark:
            row = self._unconfirmed.popleft()[1]
        return row


def _parts(burst: Sequence[Delivery]) -> Iterator[Sequence[Delivery]]:
    """The burst in parts: the loop has its turn between them, and what is held stays bounded."""
    start = size = 0
    for index, delivery in enumerate(burst, start=1):
        size += len(delivery.message.payload)
        if index == len(burst) or index - start >= PART or size >= PART_BYTES:
            yield burst[start:index]
            start, size = index, 0
