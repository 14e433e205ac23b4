"""From the transport to the ledger: accept, then acknowledge."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from fp_events.domain.message import ConnectionStatus, Delivery
from fp_events.domain.ports import Transport
from fp_events.domain.records import Accept, Accepted, Batch, NewRun, TransportKey

from .committer import Committer
from .entry import Entry
from .formats import Formats
from .overflow import Overflow
from .received_ids import StoredIds
from .router import Match, Router
from .runner import Runner
from .taking import Taking

#: Seconds at the most that intake leaves to the runs after a burst, while runs are left in the ledger.
LONGEST_TURN = 0.1
#: Setting under which the number of the broker's session is remembered.
SESSION = "broker.session"


class Intake(Taking):
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
        received_ids: StoredIds,
        overflow: Overflow,
        on_command: Callable[[Delivery], bool] | None,
    ) -> None:
        super().__init__(transport, router, runner, formats)
        self._committer = committer
        self._session = session
        self._received_ids = received_ids
        self._overflow = overflow
        self._on_command = on_command
        self._now = 0.0
        self._burst = 0
        self._may_start = False
        #: (delivery, message row) of what was acknowledged and is not yet known to be processed.
        self._unconfirmed: deque[tuple[int, int]] = deque()

    def connected(self, status: ConnectionStatus) -> None:
        """Called at every connect and loss: a lost session makes older packet ids mean nothing."""
        if status.connected and not status.session_present:
            self._session += 1
            self._committer.post(Batch(settings={SESSION: str(self._session).encode()}))

    def confirm(self) -> None:
        """Make durable which messages cannot come again, where no later message has done it."""
        confirmed = self._confirmed()
        if confirmed is not None:
            self._committer.post(Batch(confirmed_message_id=confirmed))

    async def accept(self, burst: Sequence[Delivery]) -> None:
        """Have the ledger accept, then acknowledge, then run."""
        accepts: list[Accept] = []
        entries: list[list[Entry]] = []
        deliveries: list[Delivery] = []
        unsaved: list[Entry] = []
        landing = self._overflow.enter()
        self._begin(may_start=landing.held and self._runner.is_open)
        is_command, match = self._on_command, self._router.match
        for delivery in burst:
            if is_command is not None and is_command(delivery):
                continue
            targets = match(delivery)
            if not targets:
                self.unmatched += 1
                continue
            if self._router.receives:
                targets = self._take_unsaved(delivery, targets, unsaved)
                if not targets:
                    continue
            accept, new = self._new(delivery, targets)
            accepts.append(accept)
            entries.append(new)
            deliveries.append(delivery)
        self.received += len(burst)
        confirmed = self._confirmed()
        if accepts or confirmed is not None:
            settings: Mapping[str, bytes | None] = {}
            if self._router.exactly_once:
                settings = self._received_ids.settings(deliveries)
            batch = Batch(accepts=tuple(accepts), confirmed_message_id=confirmed, settings=settings)
            taken: Sequence[Entry] = ()
            try:
                committed = await self._committer.commit(batch)
                taken = self._taken(committed.accepted, entries, deliveries)
            finally:
                taken = self._overflow.landed(landing, taken)
            self._transport.acknowledge(burst)
            self._runner.take(taken)
            if not landing.held:
                # What waits is not helped by more of it: the runs have their turn.
                await self._unless_stopped(partial(asyncio.sleep, min(LONGEST_TURN, time.monotonic() - self._now)))
        else:
            self._overflow.landed(landing, ())
            self._transport.acknowledge(burst)
        if unsaved:
            self._runner.take(unsaved)

    def _take_unsaved(self, delivery: Delivery, targets: Sequence[Match], unsaved: list[Entry]) -> Sequence[Match]:
        """Runs of triggers that acknowledge when_received; the other matches are returned.

        At most once, so what may be a second copy is dropped.
        """
        saved: list[Match] = []
        for match in targets:
            target, captures = match
            if target.trigger.acknowledge == "when_saved":
                saved.append(match)
                continue
            aim = self._aim(target)
            if delivery.duplicate:
                aim.queue.received += 1
                aim.queue.duplicates += 1
            else:
                unsaved.append(aim.unsaved(delivery.message, captures, self._now))
        return saved

    def _begin(self, *, may_start: bool) -> None:
        """Nothing of this burst is claimed yet."""
        self._now = time.monotonic()
        self._burst += 1
        self._may_start = may_start

    def _is_full(self) -> bool:
        """What is saved may wait in the ledger; what is not is in memory alone."""
        return super()._is_full() and (not self._overflow.enabled or self._router.receives)

    def _new(self, delivery: Delivery, targets: Sequence[Match]) -> tuple[Accept, list[Entry]]:
        message = delivery.message
        runs: list[NewRun] = []
        entries: list[Entry] = []
        for target, captures in targets:
            aim = self._aims.get(target) or self._aim(target)
            if aim.burst != self._burst:
                aim.begin(self._burst, may_start=self._may_start)
            run, entry = aim.run(message, captures, self._now)
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
