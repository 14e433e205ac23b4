"""The runs that are in memory, how much they hold, and who waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fp_events.domain.run import AttemptResult, Outcome

from .entry import Entry
from .limits import Limits

Waiter = Callable[[Outcome, AttemptResult | None], None]


class Pending:
    """Every run that is not finished, by id."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._entries: dict[str, Entry] = {}
        self._waiters: dict[str, list[Waiter]] = {}
        self._room = asyncio.Event()
        self._room.set()
        #: Bytes that they hold, roughly.
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, run_id: str) -> Entry | None:
        """The run of that id."""
        return self._entries.get(run_id)

    def add(self, entry: Entry) -> None:
        """Hold a run."""
        self._entries[entry.run_id] = entry
        self.bytes += entry.size
        if not self._has_room():
            self._room.clear()

    def drop(self, entry: Entry) -> None:
        """Hold a run no more; nothing to do for one that is not held."""
        if self._entries.get(entry.run_id) is not entry:
            return
        del self._entries[entry.run_id]
        self._waiters.pop(entry.run_id, None)
        self.bytes -= entry.size
        if not self._room.is_set() and self._has_room():
            self._room.set()

    def settled(self, entry: Entry, outcome: Outcome, result: AttemptResult | None) -> None:
        """The run's outcome is durable: tell who waits for it, and hold it no more."""
        if self._waiters:
            for call in self._waiters.pop(entry.run_id, ()):
                call(outcome, result)
        self.drop(entry)

    def when_ended(self, run_id: str, call: Waiter) -> bool:
        """Have `call` called when the run is FINISHED and durable; False where no such run is held."""
        if run_id not in self._entries:
            return False
        self._waiters.setdefault(run_id, []).append(call)
        return True

    @property
    def full(self) -> bool:
        """No more should come."""
        return not self._room.is_set()

    async def room(self) -> None:
        """Wait until more may come."""
        await self._room.wait()

    def _has_room(self) -> bool:
        return len(self._entries) < self._limits.pending_runs and self.bytes < self._limits.pending_bytes
