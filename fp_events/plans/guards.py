"""What stands around a marked function: when -> cached -> retry -> timeout -> the function.

A guard takes the function's arguments by name and looks like the function to whoever inspects it, so that Hamilton's
decorators make of it what they would make of the function.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import copy_context
from itertools import count
from random import Random
from typing import Any, Final

from fp_events.domain.durations import format_duration
from fp_events.domain.marks import ATTEMPT_ENDS, Marks, NodeCache, NodeRetry, OfInputs

from .trace import note_attempt

#: The attribute of a guard that holds the function in it.
GUARDED: Final = "__fp_events_guarded__"
#: Calls that took too long and have not come back: from this many on, none is started in a thread of its own.
_MOST_OVERDUE = 100

_random = Random()  # noqa: S311 (spreads retries; nothing secret)

#: (function, its call, what `@cached` says, whether it awaits) -> the call, with a cache around it where one is due.
Caching = Callable[[Any, Any, NodeCache | None, bool], Any]


class Skip(BaseException):
    """A predicate was not true. It passes through whatever stands around the function, and ends at the node."""


def is_guard(function: Any) -> bool:
    """Whether `function` was made by `guarded`."""
    return hasattr(function, GUARDED)


def guarded(function: Any, marks: Marks, caching: Caching | None = None) -> Any:
    """`function` with its marks at work; without `caching` nothing is cached."""
    is_async = inspect.iscoroutinefunction(function)
    call = function
    if marks.timeout is not None:
        limited = _limited_async if is_async else _limited
        call = limited(call, marks.timeout, function.__name__)
    if marks.retry is not None:
        call = (_repeated_async if is_async else _repeated)(call, marks.retry)
    if caching is not None:
        call = caching(function, call, marks.cached, is_async)
    if marks.when is not None:
        call = (_conditional_async if is_async else _conditional)(call, marks.when, all_arguments(function))
    made = _async_named(function, call) if is_async else _named(function, call)
    setattr(made, GUARDED, function)
    return made


def all_arguments(function: Any) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    """What adds defaults to given arguments, in the function's order."""
    parameters = inspect.signature(function).parameters
    names = tuple(parameters)
    defaults = {name: each.default for name, each in parameters.items() if each.default is not each.empty}

    def complete(given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {name: given[name] if name in given else defaults[name] for name in names}

    return complete


def _named(function: Any, call: Any) -> Any:
    @functools.wraps(function)
    def guard(**arguments: Any) -> Any:
        return call(**arguments)

    return guard


def _async_named(function: Any, call: Any) -> Any:
    @functools.wraps(function)
    async def guard(**arguments: Any) -> Any:
        return await call(**arguments)

    return guard


def _conditional(call: Any, when: OfInputs, complete: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Any:
    def conditional(**arguments: Any) -> Any:
        if not when(complete(arguments)):
            raise Skip
        return call(**arguments)

    return conditional


def _conditional_async(call: Any, when: OfInputs, complete: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Any:
    async def conditional(**arguments: Any) -> Any:
        if not when(complete(arguments)):
            raise Skip
        return await call(**arguments)

    return conditional


def _repeated(call: Any, spec: NodeRetry) -> Any:
    def repeated(**arguments: Any) -> Any:
        for number in count(1):
            note_attempt(number)
            try:
                return call(**arguments)
            except spec.on:
                delay = spec.wait(number, _random)
                if number >= spec.attempts or not _comes_in_time(delay):
                    raise
            time.sleep(delay)
        raise AssertionError

    return repeated


def _repeated_async(call: Any, spec: NodeRetry) -> Any:
    async def repeated(**arguments: Any) -> Any:
        for number in count(1):
            note_attempt(number)
            try:
                return await call(**arguments)
            except spec.on:
                delay = spec.wait(number, _random)
                if number >= spec.attempts or not _comes_in_time(delay):
                    raise
            await asyncio.sleep(delay)
        raise AssertionError

    return repeated


def _comes_in_time(delay: float) -> bool:
    """Whether a call after `delay` seconds still belongs to the attempt: one that nobody waits for is not made."""
    ends = ATTEMPT_ENDS.get()
    return ends is None or time.monotonic() + delay < ends


class _Call:
    """One call in a thread of its own, which is left behind where it takes too long: nothing can stop it."""

    _lock = threading.Lock()
    #: Calls that were left behind and have not come back.
    overdue = 0

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._context = copy_context()
        self._returned = threading.Lock()
        self._returned.acquire()
        self._left = False
        self._is_done = False
        self._value: Any = None
        self._error: BaseException | None = None

    def wait(self, seconds: float, name: str) -> bool:
        """Make the call; False where it takes longer than `seconds`."""
        threading.Thread(target=self._run, name=f"fp-events node {name}", daemon=True).start()
        self._returned.acquire(timeout=seconds)
        with self._lock:
            if not self._is_done:
                self._left = True
                _Call.overdue += 1
            return self._is_done

    def result(self) -> Any:
        """What it returned; raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._value

    def _run(self) -> None:
        try:
            self._value = self._context.run(self._call)
        except BaseException as error:  # noqa: BLE001 (raised where the result is asked for)
            self._error = error
        with self._lock:
            self._is_done = True
            if self._left:
                _Call.overdue -= 1
        self._returned.release()


def _limited(call: Any, seconds: float, name: str) -> Any:
    def limited(**arguments: Any) -> Any:
        if _Call.overdue >= _MOST_OVERDUE:
            raise TimeoutError(f"'{name}' was not called: {_Call.overdue} calls that took too long still run")
        started = _Call(functools.partial(call, **arguments))
        if not started.wait(seconds, name):
            raise _too_long(name, seconds)
        return started.result()

    return limited


def _limited_async(call: Any, seconds: float, name: str) -> Any:
    async def limited(**arguments: Any) -> Any:
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await call(**arguments)
        except TimeoutError:
            if limit.expired():
                raise _too_long(name, seconds) from None
            raise

    return limited


def _too_long(name: str, seconds: float) -> TimeoutError:
    return TimeoutError(f"'{name}' took longer than {format_duration(seconds)}")
