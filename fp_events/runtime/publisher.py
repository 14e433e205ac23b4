"""Outbox rows to the broker, in order, until it confirms each."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from fp_events.domain.message import Confirmation, Confirmed, Publication
from fp_events.domain.ports import Ledger, Transport
from fp_events.domain.records import Batch, Committed, Refused

from .committer import Committer
from .limits import Limits
from .patience import patiently

#: Publications handed to the transport at a time, and their bytes.
BURST = 500
#: Bursts that the transport has at a time.
UNDER_WAY = 8
BURST_BYTES = 4 * 1024 * 1024
#: Rows read from the ledger at a time, and their bytes.
PAGE = 4_000
PAGE_BYTES = 8 * 1024 * 1024
#: Seconds before what the broker has not answered is published again.
AGAIN = 0.05
#: Events (not durable) that wait at the most, for a connection above all; older ones are dropped first.
EVENTS = 10_000


class Publisher:
    """Publishes what settlement committed. Marks it sent when the broker confirms, refused when it says no."""

    def __init__(
        self,
        ledger: Ledger,
        committer: Committer,
        transport: Transport,
        *,
        limits: Limits,
        on_refused: Callable[[Publication, str], None],
        on_behind: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """`on_behind`: results come faster than the broker, which is there, takes them; and when that is over."""
        self._ledger = ledger
        self._committer = committer
        self._transport = transport
        self._limits = limits
        self._on_refused = on_refused
        self._on_behind = on_behind
        #: The broker has answered since the connection was made; what `on_behind` was told last.
        self._flows = False
        self._is_behind = False
        self._outbox: deque[Publication] = deque()
        self._events: deque[Publication] = deque(maxlen=EVENTS)
        self._held_bytes = 0
        #: There may be unsent rows in the ledger that are not in memory.
        self._spilled = True
        #: The last row that was read; all later ones are still there only. None: not known, some of what is in memory
        #: may be there too.
        self._read_to: int | None = None
        #: What becomes durable while the ledger is being read: the reading has it, or lacks it. None: no reading.
        self._beside: list[Publication] | None = None
        self._wake = asyncio.Event()
        self._wake.set()
        self._idle = asyncio.Event()
        #: Bursts that the transport has, oldest first.
        self._under_way: deque[tuple[list[Publication], asyncio.Task[Sequence[Confirmation]]]] = deque()
        #: Publications of theirs that the broker has not answered.
        self._again: list[Publication] = []

    def enqueue(self, publications: Iterable[Publication]) -> None:
        """Publish what has just become durable."""
        full = len(self._outbox) >= self._limits.held_publications or self._held_bytes >= self._limits.held_bytes
        if self._beside is not None:
            self._beside.extend(publications)
        elif self._spilled or full:
            # Order is the ledger's: once something was left there, all later ones follow through it.
            self._spilled = True
            self._judge()
        else:
            self._hold(publications)
        self._rouse()

    def look(self) -> None:
        """Publish what the ledger has unsent, once everything in memory is confirmed."""
        self._spilled = True
        self._read_to = None
        self._beside = None
        self._rouse()

    def tell(self, publication: Publication) -> None:
        """Publish an event when there is a connection: never stored, dropped when too many wait."""
        self._events.append(publication)
        self._rouse()

    def tell_all(self, publications: Iterable[Publication]) -> None:
        """The same for several."""
        self._events.extend(publications)
        self._rouse()

    def _judge(self) -> None:
        behind = self._spilled and self._flows
        if behind is not self._is_behind:
            self._is_behind = behind
            self._on_behind(behind)

    async def emptied(self) -> None:
        """Wait until everything durable is confirmed, and every event told."""
        await self._idle.wait()

    def _rouse(self) -> None:
        self._idle.clear()
        self._wake.set()

    async def run(self) -> None:
        """Publish for ever."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                self._settle()
                if self._again:
                    await self._come_back()
                elif self._spilled and self._may_read:
                    await self._refill()
                    self._wake.set()
                else:
                    await self._send()
        finally:
            for _, sending in self._under_way:
                sending.cancel()

    async def _send(self) -> None:
        """Hand over what waits: a burst does not wait for the broker's answer to the one before."""
        while len(self._under_way) < UNDER_WAY and (self._outbox or self._events):
            if not self._transport.status().connected:
                # A broker that is away is no reason not to run: what is computed waits in the ledger.
                self._flows = False
                self._judge()
            await self._transport.connected()
            if self._under_way and self._under_way[0][1].done():
                # Perhaps the connection was lost in between: nothing may overtake what has to be sent again.
                self._wake.set()
                return
            burst = self._take()
            sending = asyncio.create_task(self._publish(burst), name="publish")
            sending.add_done_callback(self._answered)
            self._under_way.append((burst, sending))
        if not (self._under_way or self._outbox or self._events or self._spilled):
            self._idle.set()

    async def _publish(self, burst: list[Publication]) -> Sequence[Confirmation]:
        return await self._transport.publish(burst)

    def _answered(self, sending: asyncio.Task[Sequence[Confirmation]]) -> None:
        self._wake.set()

    async def _come_back(self) -> None:
        """Some of what was sent has no answer: all of that goes first, in order, once nothing is under way."""
        if self._under_way:
            return
        again, self._again = self._again, []
        self._outbox.extendleft(reversed(again))
        self._held_bytes += sum(len(publication.payload) for publication in again)
        # The transport may take a moment to know that its connection is gone.
        await asyncio.sleep(AGAIN)
        self._wake.set()

    @property
    def _may_read(self) -> bool:
        if self._read_to is None:
            return not self._outbox and not self._under_way
        return len(self._outbox) < PAGE // 2 and self._held_bytes < self._limits.held_bytes

    async def _refill(self) -> None:
        """Read the next page; what the transport has goes out meanwhile."""
        if self._read_to is None:
            # What is confirmed but not yet marked sent would be read again.
            await self._committer.flushed()
        beside = self._beside = []
        most, after = min(PAGE_BYTES, self._limits.held_bytes), self._read_to or 0
        rows = await patiently(partial(self._ledger.unsent, after_seq=after, limit=PAGE, max_bytes=most))
        found = [row.publication for row in rows]
        is_last = len(rows) < PAGE and sum(len(publication.payload) for publication in found) < most
        if is_last:
            # A row may be read before its poster is told that it is durable.
            await self._committer.flushed()
        if self._beside is not beside:
            # `look` was called meanwhile: once all that is in memory is confirmed it is read from the beginning.
            self._beside = None
            return
        self._hold(found)
        if is_last:
            known = {publication.event_id for publication in found}
            self._hold(publication for publication in beside if publication.event_id not in known)
        self._spilled = not is_last
        self._read_to = rows[-1].seq if rows and not is_last else None
        self._beside = None
        self._judge()

    def _hold(self, publications: Iterable[Publication]) -> None:
        for publication in publications:
            self._outbox.append(publication)
            self._held_bytes += len(publication.payload)

    def _take(self) -> list[Publication]:
        burst: list[Publication] = []
        size = 0
        if len(self._events) <= BURST:
            burst += self._events
            self._events.clear()
        while self._events and len(burst) < BURST:
            burst.append(self._events.popleft())
        while self._outbox and len(burst) < BURST and size < BURST_BYTES:
            publication = self._outbox.popleft()
            size += len(publication.payload)
            self._held_bytes -= len(publication.payload)
            burst.append(publication)
        return burst

    def _settle(self) -> None:
        """Note the answers to what was sent, in order."""
        while self._under_way and self._under_way[0][1].done():
            burst, sending = self._under_way.popleft()
            self._note(burst, sending.result())

    def _note(self, burst: list[Publication], answers: Sequence[Confirmation]) -> None:
        sent: list[str] = []
        refused: list[tuple[Publication, Refused]] = []
        for publication, answer in zip(burst, answers, strict=True):
            event_id = publication.event_id
            if not event_id:
                continue  # an event: nobody waits for it
            if answer.result is Confirmed.SENT:
                sent.append(event_id)
            elif answer.result is Confirmed.REFUSED:
                refused.append((publication, Refused(event_id=event_id, reason=_reason(answer))))
            else:
                self._again.append(publication)
        if sent:
            self._flows = True
            self._judge()
        if refused:
            batch = Batch(sent=tuple(sent), refused=tuple(refusal for _, refusal in refused))
            self._committer.post(batch, partial(self._tell_refused, refused))
        elif sent:
            # Nobody waits for it: a crash before it sends the same event ids again.
            self._committer.post_later(Batch(sent=tuple(sent)))

    def _tell_refused(self, refused: list[tuple[Publication, Refused]], committed: Committed) -> None:
        for publication, refusal in refused:
            self._on_refused(publication, refusal.reason)


def _reason(answer: Confirmation) -> str:
    return answer.reason or "refused by the broker"
