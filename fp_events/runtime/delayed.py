"""Runs that are not to start before a time.

They stand apart from the runs that may start: they hold no key, and they do not take the room that intake needs.
Their time is the wall clock's, also when that is set: it is looked at once a second.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import Protocol

from .entry import Entry
from .limits import Limits
from .pending import Pending, Waiter

#: Seconds between two looks at the clock.
LOOK = 1.0
#: Runs handed over at a time, so that the loop has its turn between them.
PART = 200


class Taking(Protocol):
    """What is needed of the runner."""

    pending: Pending

    def take(self, entries: Iterable[Entry]) -> None:
        """Run what is due."""

    def take_waiting(self, entry: Entry, due: float) -> None:
        """Hold a run that does not start before monotonic `due`."""


class Delayed:
    """Accepted runs whose time has not come, by id."""

    def __init__(self, runner: Taking, limits: Limits) -> None:
        self._runner = runner
        self._limits = limits
        self._heap: list[tuple[datetime, int, Entry]] = []
        self._order = count()
        self._entries: dict[str, Entry] = {}
        self._waiters: dict[str, list[Waiter]] = {}
        self._bytes = 0
        self._earlier = asyncio.Event()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def full(self) -> bool:
        """No more should come."""
        return len(self._entries) >= self._limits.pending_runs or self._bytes >= self._limits.pending_bytes

    def add(self, entry: Entry, due_at: datetime) -> None:
        """Have a run start at `due_at`, or at once where that is over."""
        self._entries[entry.run_id] = entry
        self._bytes += entry.size
        heapq.heappush(self._heap, (due_at, next(self._order), entry))
        if self._heap[0][2] is entry:
            self._earlier.set()

    def when_ended(self, run_id: str, call: Waiter) -> bool:
        """Have `call` called when the run has ended; False where no such run is here."""
        if run_id not in self._entries:
            return False
        self._waiters.setdefault(run_id, []).append(call)
        return True

    def release(self, run_id: str) -> Entry | None:
        """Hand a run to the runner, which is to end it; None where no such run is here."""
        entry = self._entries.get(run_id)
        if entry is not None:
            self._hand_over([entry], partial(self._runner.take_waiting, entry, float("inf")))
        return entry

    async def run(self) -> None:
        """Hand over what is due. Runs for ever."""
        while True:
            self._earlier.clear()
            due = self._due()
            if due:
                self._hand_over(due, partial(self._runner.take, due))
                await self._runner.pending.room()
                continue
            try:
                async with asyncio.timeout(self._wait()):
                    await self._earlier.wait()
            except TimeoutError:
                continue

    def _wait(self) -> float | None:
        if not self._heap:
            return None
        return max(0.0, min(LOOK, (self._heap[0][0] - datetime.now(UTC)).total_seconds()))

    def _due(self) -> list[Entry]:
        now = datetime.now(UTC)
        found: list[Entry] = []
        while self._heap and len(found) < PART:
            at, _, entry = self._heap[0]
            released = entry.run_id not in self._entries
            if at > now and not released:
                break
            heapq.heappop(self._heap)
            if not released:
                found.append(entry)
        return found

    def _hand_over(self, entries: list[Entry], take: Callable[[], None]) -> None:
        for entry in entries:
            del self._entries[entry.run_id]
            self._bytes -= entry.size
        if len(self._heap) > 2 * len(self._entries) + PART:
            # Cancelled ones must not stay until they would have been due.
            self._heap = [item for item in self._heap if item[2].run_id in self._entries]
            heapq.heapify(self._heap)
        take()
        for entry in entries:
            for call in self._waiters.pop(entry.run_id, ()):
                self._runner.pending.when_ended(entry.run_id, call)
