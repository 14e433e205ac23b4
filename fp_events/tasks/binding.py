"""Which argument of a task comes from where, and what becomes of those whose task was skipped.

Edges fill parameters by position, in the order in which they were drawn. Parameters that are left over are inputs of
the DAG, by name. A skipped task gives nothing:

    a parameter with a default        keeps its default
    a parameter that may be None      gets None
    any other parameter               the task is skipped too
    fewer parameters than edges       only what ran is given, so one of several branches may fill one parameter
    ``*values``                       only what ran is given
    no parameter at all               the edges are order alone

In the last three the task is skipped where all that it waits for was.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from fp_events.domain.errors import FlowkitError, TaskNotFoundError
from fp_events.domain.marks import SKIPPED

from .condition import Condition, condition_of
from .task import Task

_Parameter = inspect.Parameter
_POSITIONAL = (_Parameter.POSITIONAL_ONLY, _Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One task's arguments."""

    task: Task
    #: Names of the tasks that it waits for, in edge order.
    upstream: tuple[str, ...]
    #: What edges may fill by position, and how far.
    parameters: tuple[_Parameter, ...]
    variadic: bool
    #: Parameters that are inputs of the DAG; True where the task cannot do without.
    inputs: Mapping[str, bool]
    #: Type hints of its parameters and of ``return``, as far as they are known.
    hints: Mapping[str, Any]
    condition: Condition | None
    where: str

    @property
    def merges(self) -> bool:
        """It takes what ran of its upstream tasks, however many that are."""
        return self.variadic or len(self.parameters) < len(self.upstream)

    @property
    def may_be_none(self) -> tuple[str, ...]:
        """Parameters that get None where their task was skipped."""
        return tuple(each.name for each in self.parameters if may_be_none(self.hints.get(each.name, Any)))

    def arguments(self, values: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]] | None:
        """Arguments by position and by name, out of values by task and by input; None where the task is skipped.

        Raises FlowkitError where more upstream tasks ran than the function takes.
        """
        given: list[Any] | None = [values[name] for name in self.upstream]
        if any(value is SKIPPED for value in given or ()):
            given = self._without_skipped(given or [])
        if given is None:
            return None
        if not self.parameters and not self.variadic:
            given = []
        elif len(given) > len(self.parameters) and not self.variadic:
            raise self._too_many(values)
        return given, {name: values[name] for name in self.inputs if name in values}

    def applies(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Whether the task's condition holds."""
        return self.condition is None or self.condition.holds(args, kwargs)

    def _without_skipped(self, given: list[Any]) -> list[Any] | None:
        if not self.merges:
            return self._filled(given)
        if not self.variadic or not self.parameters:
            ran = [value for value in given if value is not SKIPPED]
            if not ran or len(ran) >= len(self.parameters):
                return ran or None
            # One parameter for each is left without an edge.
            return self._filled([*ran, *[SKIPPED] * (len(self.parameters) - len(ran))])
        fixed = len(self.parameters)
        leading = self._filled(given[:fixed])
        return None if leading is None else leading + [value for value in given[fixed:] if value is not SKIPPED]

    def _filled(self, given: list[Any]) -> list[Any] | None:
        """One value for each parameter that has an edge."""
        filled = []
        for value, parameter in zip(given, self.parameters, strict=False):
            if value is not SKIPPED:
                filled.append(value)
            elif parameter.default is not _Parameter.empty:
                filled.append(parameter.default)
            elif may_be_none(self.hints.get(parameter.name, Any)):
                filled.append(None)
            else:
                return None
        return filled

    def _too_many(self, values: Mapping[str, Any]) -> FlowkitError:
        ran = [name for name in self.upstream if values[name] is not SKIPPED]
        return FlowkitError(
            f"task '{self.task.name}' takes {_count(len(self.parameters))}, but {_named(ran)} all ran",
            where=self.where,
            mend="give it a parameter for each, or *values",
        )


def bind(task: Task, names: Collection[str], may_skip: Set[str], *, where: str) -> Binding:
    """How the arguments of `task` bind, in a DAG whose tasks are `names`.

    `may_skip`: those that need not run. Raises FlowkitError where the edges do not fit the function, TaskNotFoundError
    for a parameter that is called like a task without an edge from it.
    """
    try:
        signature = inspect.signature(task.func)
    except ValueError:
        # Some built-in functions do not tell what they take: everything that comes.
        signature = inspect.Signature([_Parameter("values", _Parameter.VAR_POSITIONAL)])
    parameters = list(signature.parameters.values())
    positional = tuple(each for each in parameters if each.kind in _POSITIONAL)
    variadic = any(each.kind is _Parameter.VAR_POSITIONAL for each in parameters)
    upstream = tuple(each.name for each in task.upstream)
    taken = min(len(upstream), len(positional))
    if taken < len(upstream) and positional and not variadic and not may_skip & set(upstream):
        raise FlowkitError(
            f"task '{task.name}' takes {_count(taken)}, but {_count(len(upstream), 'edge')} lead to it, "
            f"from {_named(upstream)}",
            where=where,
            mend="give it a parameter for each, or *values",
        )
    given = len(upstream) if variadic else taken
    return Binding(
        task=task,
        upstream=upstream,
        parameters=positional[:taken],
        variadic=variadic,
        inputs=_inputs(task, parameters, positional[:taken], names, where),
        hints=hints_of(task),
        condition=None if task.when is None else condition_of(task.when, task.func, given, where=where),
        where=where,
    )


def _inputs(
    task: Task, parameters: Sequence[_Parameter], filled: Sequence[_Parameter], names: Collection[str], where: str
) -> dict[str, bool]:
    inputs: dict[str, bool] = {}
    for each in parameters:
        if each in filled or each.kind in (_Parameter.VAR_POSITIONAL, _Parameter.VAR_KEYWORD):
            continue
        required = each.default is _Parameter.empty
        if each.name in names and required:
            raise TaskNotFoundError(
                f"task '{task.name}' takes '{each.name}', which is a task, but no edge leads from there",
                where=where,
                mend=f"write {each.name} >> {task.name}",
            )
        if each.kind is _Parameter.POSITIONAL_ONLY and required:
            raise TaskNotFoundError(
                f"nothing fills parameter '{each.name}' of task '{task.name}', which takes it by position only",
                where=where,
                mend="connect a task to it with >>",
            )
        # With a default, and called like a task or by position only, it stays what it is.
        if each.name not in names and each.kind is not _Parameter.POSITIONAL_ONLY:
            inputs[each.name] = required
    return inputs


def hints_of(task: Task) -> dict[str, Any]:
    """Type hints by parameter; those that cannot be resolved are left out, or stay text."""
    func = inspect.unwrap(task.func)
    try:
        return typing.get_type_hints(func, include_extras=True)
    except Exception:  # noqa: BLE001 (resolving runs what the user wrote)
        return dict(getattr(func, "__annotations__", {}))


def may_be_none(hint: Any) -> bool:
    """Whether a hint names None: ``int | None``, ``Optional[int]``, ``None``."""
    if isinstance(hint, str):
        text = hint.replace(" ", "")
        return text == "None" or "|None" in text or "None|" in text or "Optional[" in text
    if typing.get_origin(hint) is typing.Annotated:
        return may_be_none(typing.get_args(hint)[0])
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return type(None) in typing.get_args(hint)
    return hint is None or hint is type(None)


def _count(number: int, noun: str = "argument") -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _named(names: Sequence[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    return f"{', '.join(quoted[:-1])} and {quoted[-1]}" if len(quoted) > 1 else "".join(quoted)
