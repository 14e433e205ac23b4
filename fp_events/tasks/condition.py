"""How `when` takes the arguments of its task."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fp_events.domain.errors import FlowkitError

_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A predicate over a task's arguments."""

    predicate: Callable[..., Any]
    #: The parameters that it takes by name; None: everything by position, as the task does.
    names: tuple[str, ...] | None
    #: The task's own, in order, and their defaults: they are how an argument by position gets its name.
    parameters: tuple[str, ...]
    defaults: Mapping[str, Any]

    def holds(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Whether the task is to run with these arguments."""
        if self.names is None:
            return bool(self.predicate(*args))
        known = {**self.defaults, **dict(zip(self.parameters, args, strict=False)), **kwargs}
        return bool(self.predicate(**{name: known[name] for name in self.names}))


def condition_of(predicate: Callable[..., Any], func: Callable[..., Any], given: int, *, where: str) -> Condition:
    """How `predicate` is called beside `func`, which gets `given` arguments by position.

    By name where all its parameters are called like parameters of `func`, otherwise by position. Raises FlowkitError
    where neither works.
    """
    if inspect.iscoroutinefunction(predicate):
        raise FlowkitError("`when` takes an ordinary function, not an async one", where=where)
    own = inspect.signature(func).parameters.values()
    parameters = tuple(each.name for each in own if each.kind in _BY_POSITION)
    defaults = {each.name: each.default for each in own if each.default is not each.empty}

    def made(names: tuple[str, ...] | None) -> Condition:
        return Condition(predicate=predicate, names=names, parameters=parameters, defaults=defaults)

    try:
        taken = inspect.signature(predicate).parameters.values()
    except ValueError:
        # Some built-in functions do not tell.
        return made(None)
    named = {
        each.name
        for each in own
        if each.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    }
    fixed = [each for each in taken if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    wanted = [each for each in fixed if each.name in named or each.default is each.empty]
    any_number = len(fixed) < len(taken) and any(each.kind is each.VAR_POSITIONAL for each in taken)
    if not any_number and all(each.name in named and each.kind is not each.POSITIONAL_ONLY for each in wanted):
        return made(tuple(each.name for each in wanted))
    required = sum(each.default is each.empty for each in fixed)
    if any(each.kind is each.KEYWORD_ONLY and each.default is each.empty for each in fixed):
        required = given + 1
    if required <= given and (any_number or given <= len(fixed)):
        return made(None)
    raise FlowkitError(
        f"`when` takes {_listed(each.name for each in fixed)}, but its task gets {given} argument{'s' * (given != 1)}",
        where=where,
        mend="let it take the same arguments as the task, or some of them by their names",
    )


def _listed(names: Any) -> str:
    quoted = [f"'{name}'" for name in names]
    return " and ".join(quoted) if quoted else "nothing"
