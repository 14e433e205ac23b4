"""Whether the daemon is alive: how late its loop is, and whether the ledger's writer answers."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from fp_events.domain.ports import Ledger
from fp_events.domain.records import Batch

#: Seconds between two beats of the loop, and the same while nothing happens: a beat wakes an idle processor, which
#: costs 100 µs. Seconds over which its lateness is told.
BEAT = 0.05
IDLE_BEAT = 0.5
WINDOW = 10.0
#: Seconds between an answer of the ledger's writer and the next question.
ASK_EVERY = 1.0


class LoopPulse:
    """A timer that notes how late it is called. The clock of the loop counts whole milliseconds when it waits."""

    def __init__(self, activity: Callable[[], int]) -> None:
        """`activity`: a number that changes while something happens."""
        self._activity = activity
        self._seen = 0
        #: Loop times of beats, and seconds by which they were late.
        self._beats: deque[tuple[float, float]] = deque(maxlen=round(WINDOW / BEAT))
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin; on the loop."""
        self._loop = asyncio.get_running_loop()
        self._due = time.monotonic() + BEAT
        self._timer = self._loop.call_later(BEAT, self._beat)

    def stop(self) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self) -> None:
        # Not the loop's own clock, which some loops read once per turn.
        now = time.monotonic()
        self._beats.append((now, now - self._due))
        seen, self._seen = self._seen, self._activity()
        pause = IDLE_BEAT if seen == self._seen else BEAT
        self._due = now + pause
        self._timer = self._loop.call_later(pause, self._beat)

    def shown(self) -> dict[str, Any]:
        """As `status` shows it: median, 99th percentile and longest lateness of the last seconds."""
        since = time.monotonic() - WINDOW
        late = sorted(late for at, late in self._beats if at >= since) or [0.0]
        lag = {
            "p50": _ms(late[len(late) // 2]),
            "p99": _ms(late[min(len(late) - 1, len(late) * 99 // 100)]),
            "max": _ms(late[-1]),
        }
        return {"name": type(self._loop).__module__.partition(".")[0], "lag_ms": lag}


class WriterPulse:
    """Asks the ledger for an empty commit, once a second: a lock or a deleted file is noticed without messages too."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        #: Monotonic time of the last answer, and how long that took.
        self._answered = time.monotonic()
        self._took = 0.0

    async def run(self) -> None:
        """Ask for ever. Raises LedgerFailed and LedgerCorrupt."""
        while True:
            asked = time.monotonic()
            await self._ledger.commit(Batch())
            self._answered = time.monotonic()
            self._took = self._answered - asked
            await asyncio.sleep(ASK_EVERY)

    @property
    def silent_for(self) -> float:
        """Seconds since the last answer."""
        return time.monotonic() - self._answered

    def shown(self) -> dict[str, Any]:
        """As `status` shows it."""
        return {"answered_ago_s": round(self.silent_for, 3), "took_ms": _ms(self._took)}


def _ms(seconds: float) -> float:
    return round(max(seconds, 0.0) * 1000, 3)
