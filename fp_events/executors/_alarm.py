"""One timer for many deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

NEVER = float("inf")


class Alarm:
    """Calls `ring` at the earliest time asked for, and then forgets all times: `ring` asks anew."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None
        self._due = NEVER

    def at(self, due: float) -> None:
        """Ring at `due`, in monotonic seconds, at the latest."""
        if due >= self._due:
            return
        self.cancel()
        self._due = due
        # A distance, since a loop's own clock need not be `monotonic`.
        self._timer = asyncio.get_running_loop().call_later(max(0.0, due - monotonic()), self._fire)

    def cancel(self) -> None:
        """Do not ring."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._due = None, NEVER

    def _fire(self) -> None:
        self._timer, self._due = None, NEVER
        self._ring()
