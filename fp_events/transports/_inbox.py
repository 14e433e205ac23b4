"""Deliveries that have arrived and have not been received yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from fp_events.domain.message import NO_PROPERTIES, Delivery, Message

#: Bytes that a held delivery costs beside its payload and topic (tracemalloc, CPython 3.11).
OVERHEAD = 310
#: The same for properties, and for each user property.
PROPERTIES_OVERHEAD, PAIR_OVERHEAD = 110, 160


class Inbox:
    """A burst in the making, bounded by bytes.

    `on_room` is called when an inbox that was full has been emptied.
    """

    def __init__(self, max_bytes: int, on_room: Callable[[], None]) -> None:
        self.full = False
        self._max_bytes = max_bytes
        self._on_room = on_room
        self._bytes = 0
        self._items: list[Delivery] = []
        #: Deliveries of a lost connection: they come again if the broker kept the session.
        self._held: list[Delivery] = []
        self._arrived = asyncio.Event()

    def put(self, delivery: Delivery) -> None:
        self._items.append(delivery)
        self._bytes += held_bytes(delivery.message)
        if self._bytes >= self._max_bytes:
            self.full = True
        if len(self._items) == 1:
            self._arrived.set()

    @property
    def room(self) -> int:
        """Bytes until it is full."""
        return self._max_bytes - self._bytes

    def put_all(self, burst: list[Delivery], size: int) -> None:
        """Deliveries that `size` bytes are held for (`OVERHEAD`, `held_bytes`)."""
        if not burst:
            return
        if not self._items:
            self._arrived.set()
        self._items += burst
        self._bytes += size
        self.full = self._bytes >= self._max_bytes

    async def take(self) -> list[Delivery]:
        """Everything there is; waits for the first."""
        while not self._items:
            self._arrived.clear()
            await self._arrived.wait()
        burst, self._items = self._items, []
        self._bytes = 0
        if self.full:
            self.full = False
            self._on_room()
        return burst

    def hold(self) -> None:
        """The connection is lost: keep back what can be acknowledged no more."""
        self._held += [delivery for delivery in self._items if delivery.packet_id]
        self._items = [delivery for delivery in self._items if not delivery.packet_id]
        self._weigh()

    def release(self, *, session_present: bool) -> None:
        """There is a connection again: what the broker will not send again is handed out after all."""
        held, self._held = self._held, []
        if held and not session_present:
            # Their packet identifiers belong to a session that is no more, and may mean other messages now.
            orphans = [replace(delivery, packet_id=0) for delivery in held]
            self._items = sorted(orphans + self._items, key=lambda delivery: delivery.number)
            self._weigh()
            self._arrived.set()

    def _weigh(self) -> None:
        """Others are held than before: what was full may not be any more, and the next connection is to be read."""
        self._bytes = sum(held_bytes(delivery.message) for delivery in self._items)
        self.full = self._bytes >= self._max_bytes


def held_bytes(message: Message) -> int:
    """About what a delivery of `message` costs while it is held."""
    size = OVERHEAD + len(message.payload) + len(message.topic)
    properties = message.properties
    if properties is not NO_PROPERTIES:
        size += PROPERTIES_OVERHEAD + len(properties.correlation_data or b"")
        size += len(properties.content_type or "") + len(properties.response_topic or "")
        size += sum(PAIR_OVERHEAD + len(name) + len(value) for name, value in properties.user)
    return size
