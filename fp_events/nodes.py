"""Decorators for a pipeline's functions: conditions, retries, limits of time and caching for single nodes.

    from fp_events import cached, retry, timeout, when

    @when(lambda value: value > 80)
    @retry(3, delay="200ms", backoff=2, on=ConnectionError)
    @timeout("2s")
    def alert(value: float, line: str) -> str: ...

They stand above or below Hamilton's decorators, in any order, and mean the function itself: not the columns that
`@extract_columns` takes out of its value, and each of the nodes that `@parameterize` makes of it. Each returns the
function it is given, so that plain Hamilton runs the module as if they were not there.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from .domain.durations import parse_duration
from .domain.errors import ConfigError
from .domain.marks import ATTRIBUTE, Marks, NodeCache, NodeRetry, OfInputs, marks_of, of_inputs

F = TypeVar("F", bound=Callable[..., Any])


def when(predicate: Callable[..., Any]) -> Callable[[F], F]:
    """Run the node only if `predicate` is true of its inputs; otherwise the node is skipped.

    `predicate` is an ordinary function that takes inputs of the node by their names, as many as it likes; if none of
    its names fits, it takes all of them by position. Whatever needs a skipped node is skipped too, but for parameters
    whose annotation allows None: they get None. A skipped output publishes nothing.
    """
    if not callable(predicate):
        raise _wrong("when", f"it takes a function, not {predicate!r}")

    def mark(function: F) -> F:
        return _marked(function, "when", _of_inputs("when", predicate, function))

    return mark


def retry(
    attempts: int,
    *,
    delay: float | str = 0.0,
    backoff: float = 1.0,
    max_delay: float | str = 3600.0,
    jitter: float = 0.0,
    on: type[Exception] | Iterable[type[Exception]] = Exception,
) -> Callable[[F], F]:
    """Call the function again where it raises, up to `attempts` calls in all.

    `delay`: seconds, or text such as ``"200ms"``, before the second call; each further one is `backoff` times as long,
    `max_delay` at the most; `jitter` changes each by a random part, 0.1 by up to a tenth. `on`: the exceptions that
    are worth another call; all others pass at once.
    """
    _has_parentheses("retry", "@retry(3)", attempts)
    exceptions = tuple(on) if isinstance(on, Iterable) else (on,)
    if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
        raise _wrong("retry", f"attempts is a whole number from 1, not {attempts!r}")
    if not _is_number(backoff) or backoff < 1:
        raise _wrong("retry", f"backoff is a number from 1, not {backoff!r}")
    if not _is_number(jitter) or not 0 <= jitter <= 1:
        raise _wrong("retry", f"jitter is a number from 0 to 1, not {jitter!r}")
    for kind in exceptions:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise _wrong("retry", f"on takes classes of exceptions, not {kind!r}")
    spec = NodeRetry(
        attempts=attempts,
        delay=_seconds("retry", "delay", delay),
        backoff=backoff,
        max_delay=_seconds("retry", "max_delay", max_delay),
        jitter=jitter,
        on=exceptions,
    )
    return lambda function: _marked(function, "retry", spec)


def timeout(seconds: float | str) -> Callable[[F], F]:
    """Raise TimeoutError where one call of the function takes longer, in seconds or as text such as ``"2s"``.

    An async function is cancelled. An ordinary one runs in a thread of its own, which nothing can stop: it goes on
    until it returns, and what it returns is dropped.
    """
    _has_parentheses("timeout", '@timeout("2s")', seconds)
    limit = _seconds("timeout", "it", seconds)
    if limit == 0:
        raise _wrong("timeout", "it takes a time above zero")
    return lambda function: _marked(function, "timeout", limit)


def cached(
    function: None = None, /, *, ttl: float | str | None = None, key: Callable[..., Any] | None = None
) -> Callable[[F], F]:
    """Take the function's value from the project's cache where the same arguments had one before.

    `ttl`: how long a value is good, in seconds or as text such as ``"1h"``; without it until the function's code
    changes. `key` takes arguments as the predicate of `when` does and returns what tells two calls apart, plain data;
    without it all arguments do.
    """
    _has_parentheses("cached", "@cached()", function)
    seconds = None if ttl is None else _seconds("cached", "ttl", ttl)
    if key is not None and not callable(key):
        raise _wrong("cached", f"key is a function, not {key!r}")

    def mark(function: F) -> F:
        reader = None if key is None else _of_inputs("cached", key, function)
        return _marked(function, "cached", NodeCache(ttl=seconds, key=reader))

    return mark


def _marked(function: F, name: str, value: object) -> F:
    if not inspect.isfunction(function):
        raise _wrong(name, f"it stands above a function, not {function!r}")
    marks = marks_of(function) or Marks()
    if getattr(marks, name) is not None:
        raise _wrong(name, f"it stands twice above '{function.__name__}'")
    changes: dict[str, Any] = {name: value}
    setattr(function, ATTRIBUTE, replace(marks, **changes))
    return function


def _of_inputs(name: str, reader: Callable[..., Any], function: Callable[..., Any]) -> OfInputs:
    try:
        return of_inputs(reader, function)
    except (TypeError, ValueError) as error:
        raise _wrong(name, str(error)) from None


def _seconds(name: str, what: str, value: object) -> float:
    try:
        return parse_duration(value)
    except ValueError:
        raise _wrong(name, f"{what} is a number of seconds or text such as '2s', not {value!r}") from None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _has_parentheses(name: str, written: str, first: object) -> None:
    if inspect.isfunction(first):
        raise _wrong(name, f"it stands above a function without parentheses: write {written}")


def _wrong(name: str, what: str) -> ConfigError:
    """The import of the module that uses a decorator wrongly fails with this; whoever imports it names the line."""
    return ConfigError(f"@{name}: {what}", mend="see docs/nodes.md")
