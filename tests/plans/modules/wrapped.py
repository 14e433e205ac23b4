# Hamilton's decorators have no type hints.
# mypy: ignore-errors
"""Decorators of a user's own, factories, and functions that are no nodes."""

import functools
from collections.abc import Callable
from typing import Any


def _counted(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def _reversed_parameters(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(b: int, a: int) -> int:
        return function(a=a, b=b)

    return wrapper


@_counted
def first(a: int, b: int) -> int:
    return a - b


@_reversed_parameters
def second(a: int, b: int) -> int:
    return 2 * a - b


@functools.lru_cache
def cached(a: int) -> int:
    return a


def keyword_only(*, first: int, second: int) -> tuple[int, int]:
    return first, second


def _hidden() -> int:
    return 1
