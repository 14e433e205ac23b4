"""Where ordinary functions of a DAG are called: threads, or processes that know its functions."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextvars import copy_context
from typing import Any, Protocol

from fp_events.tasks.task import Task

#: More threads than tasks may run at a time: a call that took too long keeps its thread until it returns.
_SPARE_THREADS = 10_000


class Pool(Protocol):
    """Calls functions of tasks elsewhere."""

    #: Calls at a time.
    size: int

    async def call(self, task: Task, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """What the task's function returns; raises what it raises."""

    def close(self) -> None:
        """Begin nothing more; what runs is left alone."""


class Threads:
    """Threads of this process, each call with the caller's context variables."""

    def __init__(self, size: int | None, name: str) -> None:
        self.size = size or min(32, (os.cpu_count() or 1) + 4)
        self._pool = ThreadPoolExecutor(self.size + _SPARE_THREADS, thread_name_prefix=f"dag-{name}")

    async def call(self, task: Task, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """See `Pool`."""
        context = copy_context()
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, lambda: context.run(_called, task.func, args, kwargs)
        )

    def close(self) -> None:
        """See `Pool`."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Processes:
    """Worker processes; arguments and values travel pickled, functions are known to them by number.

    Where processes are forked, functions may be of any kind; elsewhere they have to be importable.
    """

    def __init__(self, size: int | None, tasks: Sequence[Task]) -> None:
        # A fork-based pool starts them all with its first call.
        self.size = max(1, min(size or os.cpu_count() or 1, len(tasks)))
        self._tasks = tuple(tasks)
        self._numbers = {id(task): number for number, task in enumerate(tasks)}
        self._pool: ProcessPoolExecutor | None = None

    async def call(self, task: Task, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """See `Pool`."""
        pool = self._started()
        try:
            number = self._numbers[id(task)]
            return await asyncio.wrap_future(pool.submit(_called_by_number, number, args, kwargs))
        except BrokenProcessPool:
            # A worker died, and all calls under way with it; a further call gets new workers.
            if self._pool is pool:
                self._pool = None
            raise

    def close(self) -> None:
        """See `Pool`."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.size, mp_context=multiprocessing.get_context(), initializer=_learn, initargs=(self._tasks,)
            )
        return self._pool


def _called(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    try:
        return func(*args, **kwargs)
    except StopIteration as error:
        # No future can carry one (PEP 479 has the same answer for generators).
        raise RuntimeError("the function raised StopIteration") from error


_known: tuple[Task, ...] = ()


def _learn(tasks: tuple[Task, ...]) -> None:
    global _known  # noqa: PLW0603 (what a worker process knows is the process's)
    _known = tasks


def _called_by_number(number: int, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    return _called(_known[number].func, args, kwargs)
