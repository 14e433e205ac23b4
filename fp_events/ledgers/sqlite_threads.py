"""Threads of our own that do a connection's work, and futures that bring the answers back to the loop.

They are daemon threads: a hung disk must not keep the process from ending.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Answer(Generic[T]):
    """A future of the caller's loop, to be answered from another thread."""

    __slots__ = ("_future", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[T] = self._loop.create_future()

    def __await__(self) -> Generator[Any, None, T]:
        return self._future.__await__()

    def give(self, value: T) -> None:
        """Answer."""
        self._post(self._settle, value, None)

    def fail(self, error: BaseException) -> None:
        """Answer with an error."""
        self._post(self._settle, None, error)

    def _settle(self, value: T, error: BaseException | None) -> None:
        if self._future.done():  # whoever waited was cancelled
            return
        if error is None:
            self._future.set_result(value)
        else:
            self._future.set_exception(error)

    def _post(self, callback: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return


class Worker:
    """One thread that executes calls one after another."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def call(self, function: Callable[[], T]) -> T:
        """The result of `function`, executed on the thread."""
        answer: Answer[T] = Answer()

        def execute() -> None:
            try:
                answer.give(function())
            except BaseException as error:  # noqa: BLE001  # belongs to the caller, whatever it is
                answer.fail(error)

        self._calls.put(execute)
        return await answer

    def post(self, function: Callable[[], None]) -> None:
        """Execute `function`, which answers by itself and raises nothing."""
        self._calls.put(function)

    def stop(self) -> None:
        """End the thread after the calls that wait."""
        self._calls.put(None)

    def _run(self) -> None:
        while (function := self._calls.get()) is not None:
            function()
            # Else the last call, with all it holds, would live until the next one.
            del function
