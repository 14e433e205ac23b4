"""One task for all points in time: retries that are due, deadlines."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from itertools import count

#: Longest sleep: a clock that was suspended is noticed this late.
LONGEST = 60.0


class Timers:
    """Calls back at monotonic times, on the loop, in order."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._changed = asyncio.Event()

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Have `call` called at `time.monotonic()` >= `when`."""
        heapq.heappush(self._heap, (when, next(self._order), call))
        if self._heap[0][2] is call:
            self._changed.set()

    async def run(self) -> None:
        """Call for ever."""
        while True:
            now = time.monotonic()
            while self._heap and self._heap[0][0] <= now:
                heapq.heappop(self._heap)[2]()
            wait = min(LONGEST, self._heap[0][0] - now) if self._heap else LONGEST
            self._changed.clear()
            try:
                async with asyncio.timeout(max(wait, 0.0)):
                    await self._changed.wait()
            except TimeoutError:
                continue
