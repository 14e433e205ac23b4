"""Intake of triggers that acknowledge `when_executed`: the broker keeps the message until its runs are settled."""

from __future__ import annotations

import time
from collections.abc import Sequence

from fp_events.domain.message import ConnectionStatus, Delivery
from fp_events.domain.ports import Transport

from .aim import Aim
from .entry import Entry
from .formats import Formats
from .held import Held
from .router import Router, Target
from .runner import Runner
from .taking import Taking


class DirectIntake(Taking):
    """Takes from a connection of its own, since acknowledgements go in order and a retry holds up all later ones."""

    def __init__(self, *, transport: Transport, router: Router, runner: Runner, formats: Formats) -> None:
        super().__init__(transport, runner.pending)
        self.transport = transport
        self._router = router
        self._runner = runner
        self._formats = formats
        self._aims: dict[Target, Aim] = {}
        #: By packet id: what is not acknowledged, as many as the broker has under way to us.
        self._held: dict[int, Held] = {}

    def connected(self, status: ConnectionStatus) -> None:
        """Called at every connect and loss: when the broker has lost our session, nothing comes again."""
        if status.connected and not status.session_present:
            self._held.clear()

    def renew(self) -> None:
        """The router has newer pipelines: look at their settings again."""
        self._aims.clear()

    async def accept(self, burst: Sequence[Delivery]) -> None:
        """Make runs of these; one that is executed already, and has come again, is not executed twice."""
        now = time.monotonic()
        taken: list[Entry] = []
        unwanted: list[Delivery] = []
        for delivery in burst:
            known = self._held.get(delivery.packet_id) if delivery.duplicate else None
            if known is not None and _same(known.delivery, delivery):
                known.delivery = delivery
                continue
            held = Held(delivery)
            for target, captures in self._router.match(delivery):
                aim = self._aims.get(target)
                if aim is None:
                    aim = self._aims[target] = Aim(target, self._runner.lanes[target.pipeline.name], self._formats)
                taken.append(aim.unsaved(delivery.message, captures, now, held))
            if held.missing:
                self._held[delivery.packet_id] = held
            else:
                unwanted.append(delivery)
        self.received += len(burst)
        self.unmatched += len(unwanted)
        self._transport.acknowledge(unwanted)
        self._runner.take(taken)

    def acknowledge(self, done: Sequence[Held]) -> None:
        """All runs of these messages are settled."""
        for held in done:
            packet_id = held.delivery.packet_id
            if self._held.get(packet_id) is held:
                del self._held[packet_id]
        self._transport.acknowledge([held.delivery for held in done])


def _same(one: Delivery, other: Delivery) -> bool:
    return (one.message.topic, one.message.payload) == (other.message.topic, other.message.payload)
