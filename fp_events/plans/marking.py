"""Marked functions, with their guards, on their way to Hamilton.

A guard takes its function's place before Hamilton makes nodes of it, so that the marks mean the function itself,
whatever decorators stand around it. Functions inside decorators (of a subdag, of a pipe's steps) get theirs too.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from fp_events.domain.errors import ConfigError
from fp_events.domain.marks import Marks, marks_of

from .guards import Caching, guarded
from .hamilton_api import hamilton

#: Where Hamilton's decorators keep themselves on a function.
_STEPS = ("resolve", "generate", "inject", "expand", "transform", "decorate", "dynamic")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A function to make nodes of."""

    function: Any
    #: Functions with marks: it, and those inside its decorators.
    marked: tuple[Any, ...] = ()

    @property
    def is_marked(self) -> bool:
        """Some of what it calls has marks."""
        return bool(self.marked)

    @property
    def may_skip(self) -> bool:
        """A condition is among them."""
        return any(marks is not None and marks.when is not None for marks in map(marks_of, self.marked))


def prepared(function: FunctionType, caching: Caching | None) -> Prepared:
    """`function` with guards wherever there are marks. Raises ConfigError for marks that cannot work."""
    marks = marks_of(function)
    made: Any = function
    marked: list[Any] = []
    if marks is not None:
        _refuse(function, marks)
        made = guarded(function, marks, caching)
        marked.append(function)
    for step in _STEPS:
        decorators = getattr(function, step, None)
        if not isinstance(decorators, list):
            continue
        renewed = [_renewed(decorator, caching) for decorator in decorators]
        inner = [each for item in renewed for each in item.marked]
        if marks is None and not inner:
            continue
        if made is function:
            made = _twin(function)
        marked += inner
        setattr(made, step, [_around_replacement(item.function, function, caching) for item in renewed])
    return Prepared(made, tuple(marked))


def _refuse(function: FunctionType, marks: Marks) -> None:
    if inspect.isgeneratorfunction(function) and (marks.retry or marks.timeout or marks.cached):
        raise ConfigError(
            f"'{function.__name__}' yields its values one by one, and its marks would end before the first of them",
            mend="return a list, or take @retry, @timeout and @cached away",
        )


def _twin(function: FunctionType) -> FunctionType:
    """The same function once more, with attributes of its own."""
    twin = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    twin.__kwdefaults__ = function.__kwdefaults__
    twin.__annotations__ = function.__annotations__
    twin.__qualname__ = function.__qualname__
    twin.__module__ = function.__module__
    twin.__doc__ = function.__doc__
    twin.__dict__.update(function.__dict__)
    return twin


def _renewed(decorator: Any, caching: Caching | None) -> Prepared:
    """A decorator whose functions have their guards; the decorator itself where none needs one."""
    new = decorator
    marked: list[Any] = []
    for attribute in ("subdag_functions", "load_from", "transforms"):
        inner = vars(decorator).get(attribute) if hasattr(decorator, "__dict__") else None
        if not isinstance(inner, list | tuple):
            continue
        changed = [_inside(item, caching) for item in _functions(inner)]
        found = [function for each in changed for function in each.marked]
        if not found:
            continue
        if new is decorator:
            new = copy.copy(decorator)
        setattr(new, attribute, type(inner)(each.function for each in changed))
        marked += found
    return Prepared(new, tuple(marked))


def _functions(items: Sequence[Any]) -> list[Any]:
    """`items`, with the functions of a module in its place."""
    found: list[Any] = []
    for item in items:
        if inspect.ismodule(item):
            found += [function for _, function in hamilton("graph_utils").find_functions(item)]
        else:
            found.append(item)
    return found


def _inside(item: Any, caching: Caching | None) -> Prepared:
    """A function of a subdag, or a step of a pipe, which holds its function as `fn`."""
    if inspect.isfunction(item):
        return prepared(item, caching)
    function = getattr(item, "fn", None)
    if not inspect.isfunction(function):
        return Prepared(item)
    inner = prepared(function, caching)
    if not inner.is_marked:
        return Prepared(item)
    step = copy.copy(item)
    step.fn = inner.function
    return Prepared(step, inner.marked)


def _around_replacement(decorator: Any, function: FunctionType, caching: Caching | None) -> Any:
    """`@does` never calls the function that it stands above: the guard goes around what is called instead."""
    marks = marks_of(function)
    if type(decorator).__name__ != "does" or marks is None:
        return decorator
    new = copy.copy(decorator)

    def generate_nodes(fn: Any, config: Any) -> list[Any]:
        nodes = []
        for node in decorator.generate_nodes(fn, config):
            replacement = _like(function, node.callable)
            nodes.append(node.copy_with(callabl=guarded(replacement, marks, caching)))
        return nodes

    new.generate_nodes = generate_nodes
    return new


def _like(function: FunctionType, replacement: Any) -> Any:
    """A function that does what `replacement` does, with the name and parameters of `function`."""

    def call(**arguments: Any) -> Any:
        return replacement(**arguments)

    call.__name__, call.__qualname__, call.__module__ = function.__name__, function.__qualname__, function.__module__
    call.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]  # what `inspect` looks for
    return call
