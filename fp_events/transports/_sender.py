"""Publications under way on one connection."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

from fp_events.domain.message import Confirmation, Confirmed, Publication

from ._acks import Acknowledgements
from ._reasons import reason_name

#: The reason of every UNKNOWN.
LOST = "there is no connection, or it was lost before an answer"


class Burst:
    """Publications that are waited for together; each is settled once."""

    def __init__(self, publications: Sequence[Publication]) -> None:
        self.publications = publications
        #: How many were handed to `Output`, in their order.
        self.begun = 0
        self._missing = len(publications)
        #: Those that were not sent, by place.
        self._others: dict[int, Confirmation] = {}
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not publications:
            self.done.set_result(None)

    def sent(self) -> None:
        """One more of them is SENT."""
        self._missing -= 1
        # The future is cancelled where the caller has stopped waiting.
        if not self._missing and not self.done.done():
            self.done.set_result(None)

    def failed(self, index: int, result: Confirmed, reason: str) -> None:
        event_id = self.publications[index].event_id
        self._others[index] = Confirmation(event_id=event_id, result=result, reason=reason)
        self.sent()

    def confirmations(self) -> list[Confirmation]:
        """One for each, in order; only once `done`."""
        found = [Confirmation(event_id=one.event_id, result=Confirmed.SENT) for one in self.publications]
        for index, confirmation in self._others.items():
            found[index] = confirmation
        return found


#: One publication of a burst, and what an answer to it says of acknowledgements sent before it.
Item: TypeAlias = tuple[Burst, int, int]


class CannotSend(Exception):
    """A publication that no broker would take; the reason in words."""


class Output(Protocol):
    """Where publications become packets."""

    #: Nothing more should be written before the socket has taken what waits.
    full: bool

    def write(self, publication: Publication) -> int:
        """Queue a PUBLISH packet; its packet identifier, 0 for QoS 0. Raises CannotSend."""

    def flush(self) -> None:
        """Hand what is queued to the socket."""


class Sender:
    """Sends in order, at most `window` unanswered (the broker's Receive Maximum; MQTT 5, 3.3.4).

    `under_way`, empty and filled here, is what `output` may look at for packet identifiers in use.
    """

    def __init__(self, window: int, output: Output, acks: Acknowledgements, under_way: dict[int, Item]) -> None:
        self._window = window
        self._output = output
        self._acks = acks
        self._under_way = under_way
        #: Identifiers of QoS 2 publications that the broker has taken and we have released (MQTT 5, 4.3.3).
        self._released: set[int] = set()
        self._waiting: deque[Burst] = deque()
        #: QoS 0: done once the socket has taken it.
        self._unflushed: list[tuple[Burst, int]] = []
        self._lost = False

    async def send(self, publications: Sequence[Publication]) -> list[Confirmation]:
        if self._lost:
            # Who publishes again at once must not keep the loop from noticing the loss.
            await asyncio.sleep(0)
            return unsent(publications)
        burst = Burst(publications)
        self._waiting.append(burst)
        self.pump()
        await burst.done
        return burst.confirmations()

    def confirm(self, packet_ids: Sequence[int]) -> None:
        """Many positive answers to QoS 1. `pump` is to be called afterwards."""
        mark = 0
        for packet_id in packet_ids:
            item = self._under_way.pop(packet_id, None)
            if item is not None:
                burst, _, mark = item
                burst.sent()
        if self._released:
            self._released.difference_update(packet_ids)
        self._acks.answered(mark)

    def answer(self, packet_id: int, code: int) -> None:
        """The broker has answered for good. `pump` is to be called afterwards, once for many answers."""
        item = self._under_way.pop(packet_id, None)
        if item is None:
            return
        burst, index, mark = item
        self._released.discard(packet_id)
        self._acks.answered(mark)
        if code >= 0x80:
            burst.failed(index, Confirmed.REFUSED, reason_name(code))
        else:
            burst.sent()

    def release(self, packet_id: int) -> bool:
        """The broker has taken a QoS 2 publication (PUBREC): False where it is none of ours."""
        item = self._under_way.get(packet_id)
        if item is None:
            return False
        self._acks.answered(item[2])
        self._released.add(packet_id)
        return True

    def adopt(self, released: Mapping[int, Item]) -> None:
        """Go on with what the broker took on an earlier connection: to be released again, not published again."""
        for packet_id, (burst, index, _) in released.items():
            self._under_way[packet_id] = (burst, index, 0)
            self._released.add(packet_id)

    def disown(self, packet_ids: Sequence[int]) -> None:
        """The broker knows nothing of these any more."""
        for packet_id in packet_ids:
            burst, index, _ = self._under_way.pop(packet_id)
            self._released.discard(packet_id)
            burst.failed(index, Confirmed.UNKNOWN, LOST)

    def unanswered(self) -> list[Publication]:
        """What the broker was sent and has not answered."""
        return [burst.publications[index] for burst, index, _ in self._under_way.values()]

    def flushed(self) -> None:
        """The socket has taken everything."""
        items, self._unflushed = self._unflushed, []
        for burst, _ in items:
            burst.sent()

    def lost(self) -> dict[int, Item]:
        """The connection is gone; what the broker has taken at QoS 2 and not completed is left to the caller."""
        self._lost = True
        released = {packet_id: self._under_way.pop(packet_id) for packet_id in sorted(self._released)}
        items = [*self._unflushed, *((burst, index) for burst, index, _ in self._under_way.values())]
        items += [(burst, index) for burst in self._waiting for index in range(burst.begun, len(burst.publications))]
        self._under_way.clear()
        self._unflushed.clear()
        self._waiting.clear()
        for burst, index in items:
            burst.failed(index, Confirmed.UNKNOWN, LOST)
        return released

    def pump(self) -> None:
        """Send what may be sent now."""
        output, under_way, window = self._output, self._under_way, self._window
        mark = self._acks.mark()
        while self._waiting and len(under_way) < window and not output.full:
            burst = self._waiting[0]
            index = burst.begun
            for publication in burst.publications[index : index + window - len(under_way)]:
                try:
                    packet_id = output.write(publication)
                except CannotSend as refusal:
                    burst.failed(index, Confirmed.REFUSED, str(refusal))
                else:
                    if packet_id:
                        under_way[packet_id] = (burst, index, mark)
                    else:
                        self._unflushed.append((burst, index))
                index += 1
                if self._output.full:  # `write` may have filled it
                    break
            burst.begun = index
            if index == len(burst.publications):
                self._waiting.popleft()
        output.flush()


def unsent(publications: Sequence[Publication]) -> list[Confirmation]:
    """The confirmations of a burst that has no connection to go to."""
    return [Confirmation(event_id=one.event_id, result=Confirmed.UNKNOWN, reason=LOST) for one in publications]
