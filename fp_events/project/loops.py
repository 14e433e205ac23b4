"""An event loop in a thread of its own: callers need none, and may have one running."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from fp_events.domain.errors import UsageError

T = TypeVar("T")


class LoopThread:
    """The loop starts with the first call; a process may end without stopping it."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    @property
    def is_here(self) -> bool:
        """Whether the caller is on that thread."""
        return threading.current_thread() is self._thread

    @property
    def running(self) -> bool:
        """Whether there was a call."""
        return self._loop is not None

    def do(self, work: Coroutine[Any, Any, T], patience: float | None = None) -> T:
        """Do it there and wait for the result. Raises UsageError where the caller is that loop itself.

        Raises TimeoutError after `patience` seconds.
        """
        if self.is_here:
            work.close()
            raise UsageError(
                "a pipeline that runs on the event loop cannot wait for another run",
                mend="give it executor 'threadpool', or await `run_async` of a project of its own",
            )
        future = self.start(work)
        try:
            return future.result(patience)
        except BaseException:
            # KeyboardInterrupt, in a notebook above all: the run is not wanted any more.
            future.cancel()
            raise

    async def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it there, awaited by the caller's own loop; a caller that is cancelled cancels it."""
        return await asyncio.wrap_future(self.start(work))

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin it there."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._run, args=(self._loop,), name="fp-events", daemon=True)
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def stop(self) -> None:
        """End the loop and its thread; the next call starts them again."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(loop.stop)
            # A pipeline that holds the loop holds the thread; the process can end all the same.
            thread.join(1.0)

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            loop.close()
