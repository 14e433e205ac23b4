"""`on_success` and `on_failure`: users' functions, called after the outcome is durable."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import SimpleQueue
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
        self._thread = _Thread()
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

    async def emptied(self) -> None:
        """Wait until all that was observed has been called."""
        await self._waiting.join()

    async def run(self) -> None:
        """Call for ever."""
        try:
            while True:
                callback, record = await self._waiting.get()
                try:
                    if inspect.iscoroutinefunction(callback):
                        await callback(record)
                    else:
                        await self._thread.call(callback, record)
                except Exception as error:  # noqa: BLE001 - users' code raises anything
                    self.errors += 1
                    self._on_error(record, error)
                self._waiting.task_done()
        finally:
            self._thread.stop()


class _Thread:
    """A daemon thread: a callback that hangs must not keep the process from ending."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Callback, RunRecord, asyncio.Future[None]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    async def call(self, callback: Callback, record: RunRecord) -> None:
        """Call, and wait for the end."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="callbacks", daemon=True)
            self._thread.start()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._calls.put((callback, record, done))
        await done

    def stop(self) -> None:
        """End after the call that is under way."""
        if self._thread is not None:
            self._calls.put(None)

    def _run(self) -> None:
        while (item := self._calls.get()) is not None:
            callback, record, done = item
            error: Exception | None = None
            try:
                callback(record)
            except BaseException as raised:  # noqa: BLE001 - told on the loop
                error = _failure(raised)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                done.get_loop().call_soon_threadsafe(_settle, done, error)


def _failure(raised: BaseException) -> Exception:
    """What a future may hold: SystemExit would end the loop, StopIteration is refused."""
    if isinstance(raised, Exception) and not isinstance(raised, StopIteration):
        return raised
    return RuntimeError(f"{type(raised).__name__}: {raised}")


def _settle(done: asyncio.Future[None], error: Exception | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
