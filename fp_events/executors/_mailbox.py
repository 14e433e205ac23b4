"""Where ended attempts wait for the one reader of `Executor.results`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from fp_events.domain.run import AttemptResult, Released

Ended = AttemptResult | Released


class Mailbox:
    """Bursts for one reader. Every method belongs to the loop's thread."""

    def __init__(self) -> None:
        self._items: list[Ended] = []
        self._waiter: asyncio.Future[None] | None = None

    def post(self, item: Ended) -> None:
        """Add one and wake the reader."""
        self._items.append(item)
        self._wake()

    def extend(self, items: Iterable[Ended]) -> None:
        """Add many and wake the reader once."""
        self._items.extend(items)
        self._wake()

    def _wake(self) -> None:
        if self._items and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def take(self) -> Sequence[Ended]:
        """Everything that is here, at least one."""
        while not self._items:
            waiter = self._waiter = asyncio.get_running_loop().create_future()
            try:
                await waiter
            finally:
                # A reader that is cancelled may see its end only after the next one has begun to wait.
                if self._waiter is waiter:
                    self._waiter = None
        items, self._items = self._items, []
        return items
