"""Which deliveries have been acknowledged, and which acknowledgements the broker has processed for sure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from fp_events.domain.message import Delivery


class Acknowledgements:
    """Puts acknowledgements into receive order and remembers how far the broker has followed.

    A broker reads a connection in order. So once it has answered a packet of ours (a *probe*), it has
    processed every acknowledgement that was sent before that packet.
    """

    def __init__(self) -> None:
        #: Number of the last delivery that is acknowledged, with all before it, for sure.
        self.confirmed = 0
        self._connection = 0
        #: Number of the last delivery acknowledged on this connection, all before it included; 0: none yet.
        self._sent = 0
        self._open: deque[Delivery] = deque()
        self._done: set[int] = set()

    @property
    def unconfirmed(self) -> bool:
        """Acknowledgements were sent that a probe would confirm."""
        return self._sent > self.confirmed

    def begin(self, connection: int) -> None:
        """A new connection: what was open comes again, or never."""
        self._connection = connection
        self._sent = 0
        self._open.clear()
        self._done.clear()

    def received(self, delivery: Delivery) -> None:
        if delivery.packet_id:
            self._open.append(delivery)

    def received_all(self, burst: Sequence[Delivery]) -> None:
        self._open.extend([delivery for delivery in burst if delivery.packet_id])

    def acknowledge(self, burst: Sequence[Delivery]) -> list[Delivery]:
        """The deliveries to acknowledge now, in receive order (MQTT 5, 4.6): none before all earlier ones."""
        waiting, done, connection = self._open, self._done, self._connection
        ready = []
        for delivery in burst:
            if delivery.connection != connection or not delivery.packet_id:
                continue
            if waiting and waiting[0] is delivery:
                ready.append(waiting.popleft())
            elif delivery.number > (ready[-1].number if ready else self._sent):
                done.add(delivery.number)
            while done and waiting and waiting[0].number in done:
                done.remove(waiting[0].number)
                ready.append(waiting.popleft())
        if ready:
            self._sent = ready[-1].number
        return ready

    def mark(self) -> int:
        """What a packet sent now will confirm when it is answered: to be given to `answered`."""
        return self._sent

    def answered(self, mark: int) -> None:
        self.confirmed = max(self.confirmed, mark)
