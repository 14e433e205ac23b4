"""A module's tasks as Hamilton's nodes: edges in the place of parameter names, the rest as for any function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from fp_events.domain.errors import ConfigError, FlowkitError, Problem
from fp_events.domain.marks import ATTRIBUTE, Marks, NodeCache, OfInputs
from fp_events.tasks.binding import Binding
from fp_events.tasks.condition import Condition
from fp_events.tasks.task import Task
from fp_events.tasks.wiring import Wiring, wire

from .guards import Caching, Skip, guarded
from .hamilton_api import hamilton
from .hints import hints_contradict
from .skipping import TAKES_SKIPPED


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskNodes:
    """What a module's tasks have become."""

    #: By name.
    nodes: dict[str, Any] = field(default_factory=dict)
    #: Tasks that a configuration key replaces -> where they are.
    replaced: dict[str, str] = field(default_factory=dict)
    #: Those with a guard around their function.
    marked: set[str] = field(default_factory=set)
    #: Those that need not run.
    conditional: set[str] = field(default_factory=set)


def task_nodes(
    tasks: Sequence[Task],
    config: Mapping[str, Any],
    caching: Caching | None,
    *,
    where: Callable[[Task], str],
    name_type: Callable[[Any], str],
) -> TaskNodes:
    """Nodes for the tasks of a module.

    `where` gives ``file:line``, `name_type` how a message calls a type hint. Raises ConfigError: for circles, for tasks
    that are missing or have one name, for edges and type hints that do not fit.
    """
    try:
        wiring = wire(tasks, where=where)
    except ConfigError:
        raise
    except FlowkitError as error:
        raise ConfigError(error.what, where=error.where, mend=error.mend) from error
    problems = [*_misfits(wiring, name_type), *_disagreements(wiring, name_type)]
    if problems:
        raise ConfigError.of(problems)
    found = TaskNodes()
    kinds = _input_types(wiring)
    for name, binding in wiring.bindings.items():
        if name in config:
            found.replaced[name] = binding.where
            continue
        if name in wiring.may_skip:
            found.conditional.add(name)
        if name in wiring.may_skip or _is_marked(binding.task):
            found.marked.add(name)
        found.nodes[name] = _node(binding, kinds, caching, may_skip=name in wiring.may_skip)
    return found


def _node(binding: Binding, kinds: Mapping[str, Any], caching: Caching | None, *, may_skip: bool) -> Any:
    module = hamilton("node")
    required, optional = module.DependencyType.REQUIRED, module.DependencyType.OPTIONAL
    # Edges carry whatever Python would pass on: what is certain to be wrong has been refused.
    types = dict.fromkeys(binding.upstream, (Any, required))
    types |= {name: (kinds[name], required if needed else optional) for name, needed in binding.inputs.items()}
    kind = binding.hints.get("return", Any)
    call, function = _callable(binding, caching, may_skip=may_skip)
    return module.Node(
        binding.task.name,
        Any if isinstance(kind, str) else kind,
        doc_string=inspect.getdoc(binding.task.func) or "",
        callabl=call,
        input_types=types,
        optional_values=_defaults(binding),
        tags={"module": binding.task.__module__},
        originating_functions=(function,),
    )


def _defaults(binding: Binding) -> dict[str, Any]:
    parameters = inspect.signature(binding.task.func).parameters if binding.inputs else {}
    return {name: parameters[name].default for name, needed in binding.inputs.items() if not needed}


def _callable(binding: Binding, caching: Caching | None, *, may_skip: bool) -> tuple[Any, Any]:
    """What gives the node's value, called with values by task and by input; and the function that it comes from."""
    task = binding.task
    func = inspect.unwrap(task.func)
    if not may_skip and not _is_marked(task):
        renamed = _renamed(binding)
        return gathering(binding, task.func) if renamed is None else renaming(task.func, renamed), func
    call = _apart(task)
    # A cache asks what it keeps.
    call.__annotations__ = {"return": binding.hints.get("return", Any)}
    marks = Marks(
        when=None if binding.condition is None else _when(binding.condition),
        retry=task.retry,
        timeout=task.timeout,
        cached=task.cached and NodeCache(ttl=task.cached.ttl, key=_key(task)),
    )
    # Versions, pictures and `check` look for them there.
    setattr(call, ATTRIBUTE, marks)
    guard = guarded(call, marks, caching)
    # Only now: what calls it has to see its own two parameters.
    call.__wrapped__ = func
    made = gathering(binding, lambda *args, **kwargs: guard(args=args, kwargs=kwargs))
    setattr(made, TAKES_SKIPPED, True)
    return made, call


def renaming(func: Any, renamed: Mapping[str, str]) -> Any:
    """`func` called with values under other names than those of its parameters; generated code leaves it out."""

    def task_call(**given: Any) -> Any:
        return func(**{renamed[name]: value for name, value in given.items()})

    return task_call


def gathering(binding: Binding, call: Any) -> Any:
    """`call` with the arguments that are bound for it; the node is skipped where there are none."""

    def task_call(**given: Any) -> Any:
        bound = binding.arguments(given)
        if bound is None:
            raise Skip
        args, kwargs = bound
        return call(*args, **kwargs)

    return task_call


#: By it generated code tells a call that only renames.
RENAMING: Final = renaming(None, {}).__code__


def _renamed(binding: Binding) -> dict[str, str] | None:
    """Task or input -> the parameter that it fills, where all of them go by name."""
    parameters = binding.parameters
    by_name = all(each.kind is each.POSITIONAL_OR_KEYWORD for each in parameters)
    if not by_name or binding.merges or len(parameters) != len(binding.upstream):
        return None
    filled = {name: each.name for name, each in zip(binding.upstream, parameters, strict=True)}
    return {**filled, **{name: name for name in binding.inputs}}


def _apart(task: Task) -> Any:
    """The task's function, with its arguments in two parts; guards call by name."""
    func = task.func
    if task.is_async:

        async def call_async(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
            return await func(*args, **kwargs)

        return _named(call_async, task)

    def call(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return func(*args, **kwargs)

    return _named(call, task)


def _when(condition: Condition) -> OfInputs:
    def holds(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        return condition.holds(args, kwargs)

    holds.__name__ = getattr(condition.predicate, "__name__", "")
    return OfInputs(function=holds, names=("args", "kwargs"))


def _named(call: Any, task: Task) -> Any:
    call.__name__, call.__qualname__, call.__module__ = task.name, task.name, task.__module__
    return call


def _key(task: Task) -> OfInputs | None:
    reader = task.cached.key if task.cached else None
    if reader is None:
        return None
    signature = inspect.signature(task.func)

    def key(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return reader(bound.arguments)

    return OfInputs(function=key, names=("args", "kwargs"))


def _is_marked(task: Task) -> bool:
    return not (task.when is None and task.retry is None and task.timeout is None and task.cached is None)


def _misfits(wiring: Wiring, name_type: Callable[[Any], str]) -> list[Problem]:
    """Edges from a value that can never be what the parameter says."""
    found = []
    for name, binding in wiring.bindings.items():
        if binding.merges:
            continue
        for source, parameter in zip(binding.upstream, binding.parameters, strict=False):
            taken = binding.hints.get(parameter.name, Any)
            given = wiring.bindings[source].hints.get("return", Any)
            if hints_contradict(taken, given):
                takes = f"task '{name}' takes '{parameter.name}' as {name_type(taken)}"
                what = f"{takes}, but '{source}' gives {name_type(given)}"
                found.append(Problem(what=what, where=binding.where, mend="make the two type hints agree"))
    return found


def _disagreements(wiring: Wiring, name_type: Callable[[Any], str]) -> list[Problem]:
    """Inputs that two tasks take as different things."""
    found = []
    known: dict[str, tuple[str, Any]] = {}
    for name, binding in wiring.bindings.items():
        for taken in binding.inputs:
            kind = binding.hints.get(taken, Any)
            other, before = known.setdefault(taken, (name, kind))
            if hints_contradict(before, kind) and hints_contradict(kind, before):
                what = (
                    f"input '{taken}' is {name_type(before)} for task '{other}' and {name_type(kind)} for task '{name}'"
                )
                found.append(Problem(what=what, where=binding.where, mend="make the two type hints agree"))
    return found


def _input_types(wiring: Wiring) -> dict[str, Any]:
    """The type hint of each input: the one that all tasks agree on, else Any."""
    hints: dict[str, list[Any]] = {}
    for binding in wiring.bindings.values():
        for name in binding.inputs:
            hint = binding.hints.get(name, Any)
            if hint is not Any and not isinstance(hint, str) and hint not in hints.setdefault(name, []):
                hints[name].append(hint)
            hints.setdefault(name, [])
    return {name: found[0] if len(found) == 1 else Any for name, found in hints.items()}
