"""Runs one attempt on the calling thread, whether its handler awaits or not."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from time import monotonic

from fp_events.domain.closing import close_loop, has_to_close
from fp_events.domain.ports import Handler
from fp_events.domain.run import Attempt, AttemptResult

from ._results import raised


class Runner:
    """One per thread or process: it keeps a loop for handlers that await, since their clients outlive a run."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[AttemptResult] | None = None

    def run(self, handler: Handler, attempt: Attempt) -> AttemptResult:
        """Run one attempt in a context of its own."""
        if not handler.is_async:
            return copy_context().run(handler.handle, attempt)
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(_guarded(handler, attempt))
        try:
            return self._loop.run_until_complete(self._task)
        finally:
            self._task = None

    def interrupt(self) -> None:
        """Cancel the attempt if it awaits; from another thread. Nothing stops one that does not."""
        loop, task = self._loop, self._task
        if loop is not None and task is not None:
            loop.call_soon_threadsafe(task.cancel)

    def close(self) -> None:
        """Close the loop, and before it what handlers have opened on it."""
        if self._loop is None:
            return
        if has_to_close(self._loop):
            self._loop.run_until_complete(close_loop(self._loop))
        self._loop.close()


async def _guarded(handler: Handler, attempt: Attempt) -> AttemptResult:
    began = monotonic()
    try:
        return await handler.handle_async(attempt)
    except BaseException as error:  # noqa: BLE001 - asyncio lets SystemExit through to the loop
        return raised(attempt, error, elapsed=monotonic() - began)
