"""Users' functions that are called once an outcome, or a retry, is durable."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from fp_events.domain.hooks import Hook
from fp_events.domain.observation import RetryRecord, RunRecord
from fp_events.domain.run import Outcome

Record = RunRecord | RetryRecord
#: Pipeline -> kind -> hooks, in the order of their calls.
Hooks = Mapping[str, Mapping[str, Sequence[Hook]]]

#: Calls that wait; more are dropped and counted, since a slow callback must not hold memory without bound.
QUEUE = 10_000


class Callbacks:
    """Calls them one after another, sync ones on a thread; what they raise is counted and told, nothing else."""

    def __init__(self, hooks: Hooks, on_error: Callable[[Hook, Record, BaseException], None]) -> None:
        """`hooks` may be changed in place."""
        self._hooks = hooks
        self._on_error = on_error
        self._waiting: asyncio.Queue[tuple[Hook, Record]] = asyncio.Queue(QUEUE)
        self._thread = _Thread()
        #: Since the start of the daemon.
        self.called = 0
        self.errors = 0
        self.dropped = 0

    def observe(self, record: RunRecord) -> None:
        """An Observer."""
        hooks = self._hooks.get(record.pipeline)
        if hooks is None:
            return
        outcome = "on_success" if record.outcome is Outcome.SUCCEEDED else "on_failure"
        for kind in ("after_run", outcome):
            self._put(hooks.get(kind, ()), record)

    def observe_retry(self, record: RetryRecord) -> None:
        """The same for attempts that another one follows."""
        hooks = self._hooks.get(record.pipeline)
        if hooks is not None:
            self._put(hooks.get("on_retry", ()), record)

    def shown(self) -> dict[str, int]:
        """What `status` shows."""
        return {
            "called": self.called,
            "waiting": self._waiting.qsize(),
            "errors": self.errors,
            "dropped": self.dropped,
        }

    async def emptied(self) -> None:
        """Wait until all that was observed has been called."""
        await self._waiting.join()

    async def run(self) -> None:
        """Call for ever."""
        try:
            while True:
                hook, record = await self._waiting.get()
                try:
                    await self.call(hook, record)
                except Exception as error:  # noqa: BLE001 - users' code raises anything
                    self.errors += 1
                    self._on_error(hook, record, error)
                self.called += 1
                self._waiting.task_done()
        finally:
            self.close()

    async def call(self, hook: Hook, record: Record) -> None:
        """Call one, and wait for its end; raises what it raises."""
        if hook.is_async:
            await hook.call(record)
        else:
            await self._thread.call(hook.call, record)

    def close(self) -> None:
        """End the thread, after what it calls now."""
        self._thread.stop()

    def _put(self, hooks: Sequence[Hook], record: Record) -> None:
        for hook in hooks:
            try:
                self._waiting.put_nowait((hook, record))
            except asyncio.QueueFull:
                self.dropped += 1


class _Thread:
    """A daemon thread: a callback that hangs must not keep the process from ending."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Callable[..., Any], Record, asyncio.Future[None]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    async def call(self, callback: Callable[..., Any], record: Record) -> None:
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
