"""The runs of one trigger that may start, in the order in which they do."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from .entry import Entry

#: Runs that have left from the middle, above which the queue is made anew: they keep their messages until then.
_LEFT = 100


@dataclass(slots=True, eq=False)
class TriggerQueue:
    """Runs of one trigger that may start now: 8 bytes each, as there may be 100,000."""

    limit: int
    #: The executor's workers bound what runs at a time more closely: more may be handed over.
    elastic: bool = False
    #: How many there are.
    waiting: int = 0
    #: An operator's word: nothing starts from here.
    paused: bool = False
    #: Handed to the executor, or about to be.
    executing: int = 0
    #: Messages that matched, and those of them that made no run because they had been seen.
    received: int = 0
    duplicates: int = 0
    #: Monotonic time of the last message.
    last_message: float | None = None
    _runs: deque[Entry] = field(default_factory=deque)
    #: Those with a priority above 0, which go first.
    _urgent: list[tuple[int, int, Entry]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=count)
    #: Those that have left and stand in one of the two still, once.
    _left: set[Entry] = field(default_factory=set)

    def put(self, entry: Entry) -> None:
        """Put one in, behind those of its priority."""
        self.waiting += 1
        entry.queued = True
        overrides = entry.odd.overrides
        if overrides is not None and overrides.priority:
            heapq.heappush(self._urgent, (-overrides.priority, next(self._order), entry))
        else:
            self._runs.append(entry)

    def pop(self) -> Entry:
        """Take the next one out."""
        while True:
            entry = heapq.heappop(self._urgent)[2] if self._urgent else self._runs.popleft()
            if not self._left or entry not in self._left:
                self.waiting -= 1
                entry.queued = False
                return entry
            self._left.remove(entry)

    def discard(self, entry: Entry) -> None:
        """Take one out that will not be started from here; nothing to do for one that is not in."""
        if not entry.queued:
            return
        if entry in self._left:
            # It came back since, and now stands here twice.
            self._tidy()
        self.waiting -= 1
        entry.queued = False
        self._left.add(entry)
        if len(self._left) > _LEFT and len(self._left) * 4 > self.waiting:
            self._tidy()

    def oldest(self) -> Entry | None:
        """The one that was made first, nearly."""
        first = next((entry for entry in self._runs if entry.queued), None)
        found = [entry for *_, entry in self._urgent if entry.queued] + ([first] if first is not None else [])
        return min(found, key=lambda entry: entry.created_at, default=None)

    def _tidy(self) -> None:
        """Let go of those that have left: of each, what stands here first."""
        left = self._left.copy()

        def stays(entry: Entry) -> bool:
            if entry not in left:
                return True
            left.remove(entry)
            return False

        self._runs = deque(entry for entry in self._runs if stays(entry))
        self._urgent = [item for item in sorted(self._urgent, key=lambda item: item[:2]) if stays(item[2])]
        self._left.clear()
