"""Calling a task as a function: its condition, its retries, its timeout, here and now."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from .condition import condition_of

if TYPE_CHECKING:
    from .task import Task

#: Jitter spreads calls out; nobody has to be unable to guess it.
_RNG = Random()  # noqa: S311 (the reason above)


def call(task: Task, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The task's value, or a coroutine for it where its function is async; None where its condition does not hold."""
    if task.is_async:
        return _call_async(task, args, kwargs)
    if not _holds(task, args, kwargs):
        return None
    failed = 0
    while True:
        try:
            if task.timeout is None:
                return task.func(*args, **kwargs)
            return limited(task.func, args, kwargs, task.timeout)
        except BaseException as error:
            failed += 1
            if not again(task, failed, error):
                raise
        time.sleep(pause(task, failed))


async def _call_async(task: Task, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    if not _holds(task, args, kwargs):
        return None
    failed = 0
    while True:
        try:
            async with asyncio.timeout(task.timeout):
                return await task.func(*args, **kwargs)
        except BaseException as error:
            failed += 1
            if not again(task, failed, error):
                raise
        await asyncio.sleep(pause(task, failed))


def again(task: Task, failed: int, error: BaseException) -> bool:
    """Whether a task is called once more, after `failed` calls."""
    return task.retry is not None and failed < task.retry.attempts and isinstance(error, task.retry.on)


def pause(task: Task, failed: int) -> float:
    """Seconds until then."""
    return task.retry.wait(failed, _RNG) if task.retry else 0.0


def limited(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], seconds: float) -> Any:
    """Call an ordinary function in a thread; raise TimeoutError after `seconds`, when the thread is left alone."""
    result: list[Any] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            result.append(func(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 (it is raised by the caller)
            raised.append(error)

    thread = threading.Thread(target=run, name=f"task-{getattr(func, '__name__', '')}", daemon=True)
    thread.start()
    thread.join(seconds)
    if raised:
        raise raised[0]
    if not result:
        raise TimeoutError(f"it took longer than {seconds:g} s")
    return result[0]


def _holds(task: Task, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    if task.when is None:
        return True
    return condition_of(task.when, task.func, len(args), where=task.where).holds(args, kwargs)
