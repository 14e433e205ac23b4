"""Runs that memory has no room for: they wait in the ledger, and come in the order of their acceptance.

Intake goes on meanwhile. If it waited, the broker's answers to what this daemon publishes would wait behind the
messages that nobody reads; and many a broker keeps no more than a thousand messages for a client, and drops the rest.

    in memory --(full)--> left in the ledger --(the last page is read)--> joined --> in memory
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from fp_events.domain.ports import Ledger
from fp_events.domain.records import StoredRun
from fp_events.domain.run import RunState

from .entry import Entry
from .patience import patiently
from .pending import Pending

#: Runs read from the ledger at a time, and bytes of their payloads.
PAGE = 1_000
PAGE_BYTES = 8 * 1024 * 1024


class Overflow:
    """Decides for each burst whether its runs are held, and brings back those that are not."""

    def __init__(
        self,
        ledger: Ledger,
        pending: Pending,
        *,
        take: Callable[[Iterable[Entry]], None],
        entry_of: Callable[[StoredRun], Entry | None],
        enabled: bool,
    ) -> None:
        """`take`: runs them. `entry_of`: None where a run cannot be run now. `enabled`: the ledger is on a disk."""
        self._ledger = ledger
        self._pending = pending
        self._take = take
        self._entry_of = entry_of
        self.enabled = enabled
        #: Some runs are in the ledger only.
        self.active = False
        #: How many, roughly.
        self.left = 0
        #: The last row that was read; None: the first run that was left is looked up.
        self._read_to: int | None = None
        self._first = ""
        #: A burst is on its way to the ledger, the runs of which will be left there.
        self._landing = False
        #: What becomes durable while the last page is being read: the page has it, or lacks it.
        self._beside: Beside | None = None
        self._changed = asyncio.Event()

    def shown(self) -> dict[str, int | bool]:
        """What `status` shows."""
        return {"active": self.active, "runs": self.left}

    def begin(self, seq: int) -> None:
        """All QUEUED runs after row `seq` are in the ledger only."""
        self.active = True
        self._read_to = seq
        self._changed.set()

    def enter(self) -> Landing:
        """A burst is about to be accepted, the one before has landed; tell `landed` when it is."""
        if not self.active and self.enabled and self._pending.full:
            self.active = True
            self._read_to, self._first = None, ""
        if not self.active:
            return Landing(held=True)
        if self._beside is not None:
            return Landing(held=False, beside=self._beside)
        self._landing = True
        return Landing(held=False)

    def landed(self, landing: Landing, entries: Sequence[Entry]) -> Sequence[Entry]:
        """The burst is durable, or failed to be (then without entries); those to be run from memory."""
        if landing.held:
            return entries
        if landing.beside is None:
            self._landing = False
        elif landing.beside is self._beside:
            landing.beside.entries.extend(entries)
            return ()
        elif landing.beside.joined:
            return self._unknown(entries)
        if entries:
            self._first = self._first or entries[0].run_id
            self.left += len(entries)
        self._changed.set()
        return ()

    async def run(self) -> None:
        """Bring them back as there is room. Runs for ever."""
        while True:
            await self._pending.room()
            self._changed.clear()
            if not self.active or not await self._page(last=False):
                await self._changed.wait()

    async def _page(self, *, last: bool) -> bool:
        """Read the next runs; False where there is nothing to do until something has changed."""
        if self._read_to is None:
            if not self._first:
                return False
            first = await patiently(partial(self._ledger.run, self._first))
            self._read_to = 0 if first is None else first.seq - 1
        question = partial(self._ledger.unfinished, after_seq=self._read_to, limit=PAGE, max_bytes=PAGE_BYTES)
        rows = await patiently(question)
        size = sum(len(row.message.payload) for row in rows if row.message is not None)
        self._hold(rows)
        if len(rows) == PAGE or size >= PAGE_BYTES:
            if last:
                # More than a page has come meanwhile: what came beside it is read in its turn.
                self.left += 0 if self._beside is None else len(self._beside.entries)
                self._beside = None
            return True
        if not last:
            if self._landing:
                return False
            # From now on nothing more is left there.
            self._beside = Beside()
            return await self._page(last=True)
        self._join()
        return False

    def _hold(self, rows: Sequence[StoredRun]) -> None:
        found: list[Entry] = []
        for row in rows:
            self._read_to = row.seq
            # Others are in memory: they wait for their time, or came by a command.
            if row.state is RunState.QUEUED and self._pending.get(row.run_id) is None:
                entry = self._entry_of(row)
                if entry is not None:
                    found.append(entry)
        self.left = max(0, self.left - len(found))
        self._take(found)

    def _join(self) -> None:
        beside, self._beside = self._beside, None
        self.active, self.left = False, 0
        if beside is not None:
            beside.joined = True
            self._take(self._unknown(beside.entries))

    def _unknown(self, entries: Iterable[Entry]) -> list[Entry]:
        """Those that the last page did not have. One that it had and that has ended is refused its claim."""
        return [entry for entry in entries if self._pending.get(entry.run_id) is None]


@dataclass(slots=True)
class Beside:
    """Bursts that were accepted while what was thought to be the last page was read."""

    entries: list[Entry] = field(default_factory=list)
    #: It was the last one.
    joined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """What becomes of one burst."""

    #: Its runs are held in memory.
    held: bool
    beside: Beside | None = None
