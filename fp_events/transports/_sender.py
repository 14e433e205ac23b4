"""Publications under way on one connection."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fp_events.domain.message import Confirmation, Confirmed, Publication

from ._reasons import reason_name

#: The reason of every UNKNOWN.
LOST = "there is no connection, or it was lost before an answer"


class Burst:
    """Publications that are waited for together."""

    def __init__(self, publications: Sequence[Publication]) -> None:
        self._publications = publications
        self._results: list[Confirmation | None] = [None] * len(publications)
        self._missing = len(publications)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not publications:
            self.done.set_result(None)

    def resolve(self, index: int, result: Confirmed, reason: str = "") -> None:
        if self._results[index] is not None:
            return
        event_id = self._publications[index].event_id
        self._results[index] = Confirmation(event_id=event_id, result=result, reason=reason)
        self._missing -= 1
        # The future is cancelled where the caller has stopped waiting.
        if not self._missing and not self.done.done():
            self.done.set_result(None)

    def confirmations(self) -> list[Confirmation]:
        """One for each, in order; only once `done`."""
        return [confirmation for confirmation in self._results if confirmation is not None]


@dataclass(frozen=True, slots=True)
class Item:
    """One publication of a burst."""

    burst: Burst
    index: int
    publication: Publication
    #: What an answer says of acknowledgements sent before (`Acknowledgements.mark`).
    mark: int = 0


class CannotSend(Exception):
    """A publication that no broker would take; the reason in words."""


class Sender:
    """Sends in order, at most `window` unanswered (the broker's Receive Maximum; MQTT 5, 3.3.4).

    `write(publication)` queues the packet and returns its packet identifier, 0 for QoS 0; raises CannotSend.
    """

    def __init__(
        self,
        window: int,
        *,
        write: Callable[[Publication], int],
        mark: Callable[[], int],
        answered: Callable[[int], None],
    ) -> None:
        self._window = window
        self._write = write
        self._mark = mark
        self._answered = answered
        self._waiting: deque[Item] = deque()
        self._under_way: dict[int, Item] = {}
        #: QoS 0: done once the socket has taken it.
        self._unflushed: list[Item] = []
        self._lost = False

    async def send(self, publications: Sequence[Publication]) -> list[Confirmation]:
        if self._lost:
            # Who publishes again at once must not keep the loop from noticing the loss.
            await asyncio.sleep(0)
            return unsent(publications)
        burst = Burst(publications)
        self._waiting.extend(Item(burst, index, publication) for index, publication in enumerate(publications))
        self._pump()
        await burst.done
        return burst.confirmations()

    def answer(self, packet_id: int, code: int) -> None:
        """The broker has answered for good."""
        item = self._under_way.pop(packet_id, None)
        if item is None:
            return
        self._answered(item.mark)
        if code >= 0x80:
            item.burst.resolve(item.index, Confirmed.REFUSED, reason_name(code))
        else:
            item.burst.resolve(item.index, Confirmed.SENT)
        self._pump()

    def flushed(self) -> None:
        """The socket has taken everything."""
        items, self._unflushed = self._unflushed, []
        for item in items:
            item.burst.resolve(item.index, Confirmed.SENT)

    def lost(self) -> None:
        """The connection is gone."""
        self._lost = True
        items = [*self._under_way.values(), *self._unflushed, *self._waiting]
        self._under_way.clear()
        self._unflushed.clear()
        self._waiting.clear()
        for item in items:
            item.burst.resolve(item.index, Confirmed.UNKNOWN, LOST)

    def _pump(self) -> None:
        while self._waiting and len(self._under_way) < self._window:
            item = self._waiting.popleft()
            try:
                packet_id = self._write(item.publication)
            except CannotSend as refusal:
                item.burst.resolve(item.index, Confirmed.REFUSED, str(refusal))
            else:
                if packet_id:
                    self._under_way[packet_id] = Item(item.burst, item.index, item.publication, self._mark())
                else:
                    self._unflushed.append(item)


def unsent(publications: Sequence[Publication]) -> list[Confirmation]:
    """The confirmations of a burst that has no connection to go to."""
    return [Confirmation(event_id=one.event_id, result=Confirmed.UNKNOWN, reason=LOST) for one in publications]
