"""Runs that no ledger knows: triggers that acknowledge `when_received` or `when_executed`.

Their results go to the broker from memory. What is not confirmed when the process dies comes again under
`when_executed`, since its message is not acknowledged, and is lost under `when_received`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from fp_events.domain.message import Confirmed, Publication
from fp_events.domain.ports import Transport
from fp_events.domain.records import Finish

from .entry import Entry
from .held import Held

#: Publications handed to the transport at a time.
BURST = 500
#: Seconds before what the broker has not answered is published again.
AGAIN = 0.05

#: What settlement wants back: lane, entry, finish, the attempt's result.
Ending = tuple[Any, Entry, Finish, Any]


class Unsaved:
    """Publishes what such runs return, then has them told and their messages acknowledged."""

    def __init__(self, transport: Transport, on_refused: Callable[[Publication, str], None]) -> None:
        self._transport = transport
        self._on_refused = on_refused
        #: Ended since the loop's last turn.
        self._ended: list[Ending] = []
        #: What is to be published, and the end it belongs to.
        self._outbox: deque[tuple[Publication, Ending]] = deque()
        #: Publications of an end that are not confirmed, by run.
        self._missing: dict[str, int] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def connect(
        self,
        *,
        tell: Callable[[list[Ending]], None],
        dead_letter: Callable[[Ending, str], Publication],
    ) -> None:
        """`tell`: the runs are settled. `dead_letter`: what is sent of one whose result was refused."""
        self._tell = tell
        self._dead_letter = dead_letter

    def deliver_to(self, acknowledge: Callable[[Sequence[Held]], None]) -> None:
        """Who acknowledges the messages whose runs are settled."""
        self._acknowledge = acknowledge

    def finish(self, ending: Ending) -> None:
        """A run has ended."""
        if not self._ended:
            asyncio.get_running_loop().call_soon(self._take)
        self._ended.append(ending)
        self._idle.clear()

    async def emptied(self) -> None:
        """Wait until everything is confirmed."""
        await self._idle.wait()

    def _take(self) -> None:
        ended, self._ended = self._ended, []
        settled = []
        for ending in ended:
            publications = ending[2].publications
            if publications:
                self._missing[ending[1].run_id] = len(publications)
                self._outbox.extend([(publication, ending) for publication in publications])
            else:
                settled.append(ending)
        self._settle(settled)
        self._wake.set()

    async def run(self) -> None:
        """Publish for ever."""
        while True:
            await self._wake.wait()
            if not self._outbox:
                self._wake.clear()
                if not self._ended:
                    self._idle.set()
                continue
            await self._transport.connected()
            burst = [self._outbox.popleft() for _ in range(min(BURST, len(self._outbox)))]
            await self._publish(burst)

    async def _publish(self, burst: list[tuple[Publication, Ending]]) -> None:
        answers = await self._transport.publish([publication for publication, _ in burst])
        settled: list[Ending] = []
        again: list[tuple[Publication, Ending]] = []
        for (publication, ending), answer in zip(burst, answers, strict=True):
            if answer.result is Confirmed.UNKNOWN:
                again.append((publication, ending))
                continue
            run_id = ending[1].run_id
            if answer.result is Confirmed.REFUSED:
                self._on_refused(publication, answer.reason)
                if not publication.event_id.startswith(f"{run_id}:dlq"):
                    # In its own time: whether the broker takes that instead shows later.
                    self._outbox.append((self._dead_letter(ending, answer.reason), ending))
                    continue
            self._missing[run_id] -= 1
            if not self._missing[run_id]:
                del self._missing[run_id]
                settled.append(ending)
        self._settle(settled)
        if again:
            self._outbox.extendleft(reversed(again))
            await asyncio.sleep(AGAIN)

    def _settle(self, endings: list[Ending]) -> None:
        if not endings:
            return
        self._tell(endings)
        done = []
        for _, entry, _, _ in endings:
            held = entry.delivery
            if held is not None:
                held.missing -= 1
                if not held.missing:
                    done.append(held)
        if done:
            self._acknowledge(done)
