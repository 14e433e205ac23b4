"""Opening what a user's function opens, and closing it: values, context managers, generators."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from fp_events.domain.hooks import Resource


class Opened(NamedTuple):
    """What runs are given, and how it is closed."""

    value: Any
    close: Callable[[], Any]


def open_now(resource: Resource) -> Opened:
    """Open a resource whose opener is an ordinary function; raises what that raises."""
    call = contextlib.contextmanager(resource.call) if resource.yields else resource.call
    made = call(**resource.arguments)
    if not _is_entered(made, "__enter__", "__exit__"):
        return Opened(made, _closer(made, "close"))
    stack = contextlib.ExitStack()
    return Opened(stack.enter_context(made), stack.close)


async def open_on_loop(resource: Resource) -> Opened:
    """The same for an opener that is async; `close` gives an awaitable, or has closed."""
    call = contextlib.asynccontextmanager(resource.call) if resource.yields else resource.call
    made = call(**resource.arguments)
    if inspect.isawaitable(made):
        made = await made
    if not _is_entered(made, "__aenter__", "__aexit__"):
        return Opened(made, _closer(made, "aclose", "close"))
    stack = contextlib.AsyncExitStack()
    return Opened(await stack.enter_async_context(made), stack.aclose)


def close_now(opened: Opened) -> None:
    """Close it; raises what that raises, and TypeError where only an event loop could."""
    answer = opened.close()
    if inspect.isawaitable(answer):
        if inspect.iscoroutine(answer):
            answer.close()
        raise TypeError("its close() has to be awaited; make the function that opens it async")


async def close_on_loop(opened: Opened) -> None:
    """The same where it was opened on the running loop."""
    answer: Any | Awaitable[Any] = opened.close()
    if inspect.isawaitable(answer):
        await answer


def _is_entered(made: Any, enter: str, leave: str) -> bool:
    """Whether it is a context manager and nothing more: `with connection` ends a transaction, not the connection."""
    kind = type(made)
    is_manager = hasattr(kind, enter) and hasattr(kind, leave)
    return is_manager and not any(callable(getattr(kind, name, None)) for name in ("aclose", "close"))


def _closer(made: Any, *names: str) -> Callable[[], Any]:
    for name in names:
        close = getattr(made, name, None)
        if callable(close) and not isinstance(made, type):
            return close  # type: ignore[no-any-return]  # whatever the user's object has
    return lambda: None
