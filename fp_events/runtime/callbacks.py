"""`on_success` and `on_failure`: users' functions, called after the outcome is durable."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from fp_events.domain.observation import RunRecord
from fp_events.domain.run import Outcome

Callback = Callable[[RunRecord], Any]

#: Calls that wait; more are dropped and counted, since a slow callback must not hold memory without bound.
QUEUE = 10_000


class Callbacks:
    """Calls them one after another, sync ones on a thread; what they raise is counted and told, nothing else."""

    def __init__(
        self,
        on_success: Mapping[str, Callback],
        on_failure: Mapping[str, Callback],
        on_error: Callable[[RunRecord, BaseException], None],
    ) -> None:
        self._on_success = on_success
        self._on_failure = on_failure
        self._on_error = on_error
        self._waiting: asyncio.Queue[tuple[Callback, RunRecord]] = asyncio.Queue(QUEUE)
        self.errors = 0
        self.dropped = 0

    def observe(self, record: RunRecord) -> None:
        """An Observer."""
        table = self._on_success if record.outcome is Outcome.SUCCEEDED else self._on_failure
        callback = table.get(record.pipeline)
        if callback is None:
            return
        try:
            self._waiting.put_nowait((callback, record))
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Call for ever."""
        while True:
            callback, record = await self._waiting.get()
            try:
                if inspect.iscoroutinefunction(callback):
                    await callback(record)
                else:
                    await asyncio.to_thread(callback, record)
            except Exception as error:  # noqa: BLE001 - users' code raises anything
                self.errors += 1
                self._on_error(record, error)
