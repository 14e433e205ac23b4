"""An executor for callers that each wait for one attempt."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from fp_events.domain.ports import Executor
from fp_events.domain.run import Attempt, AttemptResult


class Station:
    """Hands attempts to an executor and each result to whoever waits for it."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._waiting: dict[str, asyncio.Future[AttemptResult]] = {}
        self._collector: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()

    async def started(self) -> None:
        """Make the executor ready, at the first call."""
        async with self._starting:
            if self._collector is None:
                await self._executor.start()
                self._collector = asyncio.create_task(self._collect())

    async def attempt(self, attempt: Attempt) -> AttemptResult:
        """The result of one attempt; a caller that is cancelled stops it."""
        future: asyncio.Future[AttemptResult] = asyncio.get_running_loop().create_future()
        self._waiting[attempt.run_id] = future
        self._executor.submit([attempt])
        try:
            return await future
        except asyncio.CancelledError:
            self._executor.cancel(attempt.run_id)
            raise
        finally:
            self._waiting.pop(attempt.run_id, None)

    async def close(self) -> None:
        """Stop the executor; callers that still wait are cancelled."""
        if self._collector is not None:
            self._collector.cancel()
            with suppress(asyncio.CancelledError):
                await self._collector
        for future in self._waiting.values():
            future.cancel()
        await self._executor.close(0.0)

    async def _collect(self) -> None:
        while True:
            for result in await self._executor.results():
                future = self._waiting.get(result.run_id) if isinstance(result, AttemptResult) else None
                if future is not None and not future.done():
                    assert isinstance(result, AttemptResult)
                    future.set_result(result)
