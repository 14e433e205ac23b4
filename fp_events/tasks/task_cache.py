"""A decorator that keeps a function's values in a StateManager."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from fp_events.domain.errors import FlowkitError

from .state import MISSING, StateManager
from .task import Task

F = TypeVar("F", bound=Callable[..., Any])


class TaskCache:
    """``@TaskCache(state, ttl=60)``, above a function or a Task: equal arguments give the value they gave before.

    The key is the function's name, and a digest of the arguments where there are any: ``rate:9f86d081884c7d65``.
    """

    def __init__(
        self, state: StateManager, ttl: float | None = None, key: str | Callable[..., str] | None = None
    ) -> None:
        """`ttl`: seconds, else the state's default. `key`: the key itself, or a function of the arguments for it."""
        self.state = state
        self.ttl = ttl
        self.key = key

    def __call__(self, function: F) -> F:
        """`function` with its values kept. Calls raise FlowkitError where arguments have no JSON to make a key of."""
        if isinstance(function, Task):
            function.func = self(function.func)
            return function
        if inspect.iscoroutinefunction(function):
            return cast("F", self._around_async(function))
        return cast("F", self._around(function))

    def _around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def cached(*args: Any, **kwargs: Any) -> Any:
            key = self._key(function, args, kwargs)
            value = self.state.get(key, MISSING)
            if value is MISSING:
                value = function(*args, **kwargs)
                self.state.set(key, value, ttl=self.ttl, metadata={"task": _name(function)})
                # As it will come back from now on: a file has lists for tuples.
                value = self.state.get(key, value)
            return value

        return cached

    def _around_async(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def cached(*args: Any, **kwargs: Any) -> Any:
            key = self._key(function, args, kwargs)
            value = self.state.get(key, MISSING)
            if value is MISSING:
                value = await function(*args, **kwargs)
                self.state.set(key, value, ttl=self.ttl, metadata={"task": _name(function)})
                # As it will come back from now on: a file has lists for tuples.
                value = self.state.get(key, value)
            return value

        return cached

    def _key(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        if isinstance(self.key, str):
            return self.key
        if self.key is not None:
            return self.key(*args, **kwargs)
        if not args and not kwargs:
            return _name(function)
        try:
            text = json.dumps([list(args), dict(kwargs)], sort_keys=True, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise FlowkitError(
                f"the arguments of '{_name(function)}' make no key: {error}", mend="give TaskCache a function for `key`"
            ) from error
        return f"{_name(function)}:{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)
