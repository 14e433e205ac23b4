"""Intake of triggers that acknowledge `when_executed`: the broker keeps the message until its runs are settled."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from fp_events.domain.message import ConnectionStatus, Delivery
from fp_events.domain.ports import Transport

from .entry import Entry
from .formats import Formats
from .held import Held
from .router import Router
from .runner import Runner
from .taking import Taking


class DirectIntake(Taking):
    """Takes from a connection of its own, since acknowledgements go in order and a retry holds up all later ones."""

    def __init__(self, *, transport: Transport, router: Router, runner: Runner, formats: Formats) -> None:
        super().__init__(transport, router, runner, formats)
        self.transport = transport
        #: By packet id: what is not acknowledged beyond doubt, as many as the broker has under way to us.
        self._held: dict[int, Held] = {}
        #: Of these, what is acknowledged; it may come again where the acknowledgement was lost.
        self._acknowledged: deque[Held] = deque()

    def connected(self, status: ConnectionStatus) -> None:
        """Called at every connect and loss: when the broker has lost our session, nothing comes again."""
        if status.connected and not status.session_present:
            self._held.clear()
            self._acknowledged.clear()

    async def accept(self, burst: Sequence[Delivery]) -> None:
        """Make runs of these; one that is executed already, and has come again, is not executed twice."""
        now = time.monotonic()
        taken: list[Entry] = []
        unwanted: list[Delivery] = []
        settled: list[Held] = []
        self._forget()
        for delivery in burst:
            known = self._held.get(delivery.packet_id) if delivery.duplicate else None
            if known is not None and _same(known.delivery, delivery):
                known.delivery = delivery
                if not known.missing:
                    settled.append(known)
                continue
            held = Held(delivery)
            for target, captures in self._router.match(delivery):
                aim = self._aims.get(target) or self._aim(target)
                taken.append(aim.unsaved(delivery.message, captures, now, held))
            if held.missing:
                self._held[delivery.packet_id] = held
            else:
                unwanted.append(delivery)
        self.received += len(burst)
        self.unmatched += len(unwanted)
        self._transport.acknowledge(unwanted)
        self.acknowledge(settled)
        self._runner.take(taken)

    def acknowledge(self, done: Sequence[Held]) -> None:
        """All runs of these messages are settled."""
        self._transport.acknowledge([held.delivery for held in done])
        self._acknowledged.extend(done)
        self._forget()

    def _forget(self) -> None:
        """What the broker has taken back for sure does not come again."""
        confirmed = self._transport.confirmed
        while self._acknowledged and self._acknowledged[0].delivery.number <= confirmed:
            held = self._acknowledged.popleft()
            if self._held.get(held.delivery.packet_id) is held:
                del self._held[held.delivery.packet_id]


def _same(one: Delivery, other: Delivery) -> bool:
    return (one.message.topic, one.message.payload) == (other.message.topic, other.message.payload)
