"""One task for all points in time: retries that are due, deadlines, expiries."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from itertools import count

#: Longest sleep: a clock that was suspended is noticed this late.
LONGEST = 60.0
#: Calls in a row before the loop gets its turn.
IN_A_ROW = 200
#: Cancelled timers that may stay in the heap.
SPARE = 1_000


class Timer:
    """A point in time that something waits for."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        #: None once it was called or cancelled, so that a heap of far deadlines holds no finished runs.
        self.call: Callable[[], None] | None = call


class Timers:
    """Calls back at monotonic times, on the loop, in order."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = count()
        self._cancelled = 0
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._heap)

    def at(self, when: float, call: Callable[[], None]) -> Timer:
        """Have `call` called at `time.monotonic()` >= `when`."""
        timer = Timer(call)
        heapq.heappush(self._heap, (when, next(self._order), timer))
        if self._heap[0][2] is timer:
            self._changed.set()
        return timer

    def cancel(self, timer: Timer | None) -> None:
        """Forget a timer; nothing to do for one that was called."""
        if timer is None or timer.call is None:
            return
        timer.call = None
        self._cancelled += 1
        if self._cancelled > SPARE and 2 * self._cancelled > len(self._heap):
            self._heap = [item for item in self._heap if item[2].call is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    async def run(self) -> None:
        """Call for ever."""
        while True:
            self._changed.clear()
            wait = self._call_due()
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _call_due(self) -> float:
        """Call what is due, some of it at the most; seconds until the next one."""
        for _ in range(IN_A_ROW):
            if not self._heap or self._heap[0][0] > time.monotonic():
                break
            timer = heapq.heappop(self._heap)[2]
            call, timer.call = timer.call, None
            if call is None:
                self._cancelled -= 1
            else:
                call()
        return max(0.0, min(LONGEST, self._heap[0][0] - time.monotonic())) if self._heap else LONGEST
