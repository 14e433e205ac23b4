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

    def acknowledge(self, burst: Sequence[Delivery]) -> list[Delivery]:
        """The deliveries to acknowledge now, in receive order (MQTT 5, 4.6): none before all earlier ones."""
        for delivery in burst:
            if delivery.connection == self._connection and delivery.packet_id and delivery.number > self._sent:
                self._done.add(delivery.number)
        ready = []
        while self._open and self._open[0].number in self._done:
            delivery = self._open.popleft()
            self._done.remove(delivery.number)
            self._sent = delivery.number
            ready.append(delivery)
        return ready

    def mark(self) -> int:
        """What a packet sent now will confirm when it is answered: to be given to `answered`."""
        return self._sent

    def answered(self, mark: int) -> None:
        self.confirmed = max(self.confirmed, mark)
