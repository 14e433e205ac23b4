"""All schedules in memory, and the one way to change them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fp_events.domain.records import Batch
from fp_events.domain.schedule import ScheduleFired, ScheduleWrite, StoredSchedule

Rows = Mapping[str, StoredSchedule]


class ScheduleBook:
    """Rows by id, as the ledger has them. Whoever changes one, or fires it, holds the book meanwhile."""

    def __init__(
        self,
        commit: Callable[[Batch], Awaitable[Any]],
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._rows: dict[str, StoredSchedule] = {}
        self._commit = commit
        self._on_change = on_change
        self.lock = asyncio.Lock()

    @property
    def rows(self) -> Rows:
        """What is durable now."""
        return self._rows

    def fill(self, rows: Iterable[StoredSchedule]) -> None:
        """Take over what the ledger has."""
        self._rows = {row.schedule.schedule_id: row for row in rows}

    async def change(self, decide: Callable[[Rows], Mapping[str, StoredSchedule | None]]) -> None:
        """Store what `decide` makes of the rows; None deletes. What it raises leaves everything as it was."""
        async with self.lock:
            changes = decide(self._rows)
            if not changes:
                return
            writes = tuple(ScheduleWrite(schedule_id=name, stored=stored) for name, stored in changes.items())
            await self._commit(Batch(schedules=writes))
            for name, stored in changes.items():
                if stored is None:
                    self._rows.pop(name, None)
                else:
                    self._rows[name] = stored
        self._on_change()

    def fired(self, moves: Sequence[ScheduleFired]) -> None:
        """What the ledger has just been told; the caller holds the lock."""
        for move in moves:
            row = self._rows[move.schedule_id]
            self._rows[move.schedule_id] = replace(row, last_fire_at=move.last_fire_at, next_fire_at=move.next_fire_at)
