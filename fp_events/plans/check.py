"""What is wrong with a pipeline, found before a message finds it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fp_events.domain.errors import ConfigError, Problem
from fp_events.domain.hooks import Hooks
from fp_events.domain.pipeline import Pipeline, Trigger

from .building import Graph, type_name
from .check_hooks import check_hooks
from .check_marks import check_marks
from .check_schedules import check_schedules
from .check_typed import check_typed
from .driver_plan import is_dynamic
from .hints import allows_none, hints_contradict, value_contradicts
from .selection import Selection, nearest
from .sources import default_sources, source_type

if TYPE_CHECKING:
    from .catalogue import Catalogue


def check(catalogue: Catalogue, pipeline: Pipeline) -> list[Problem]:
    """Compile the plan, then compare it with everything that fills its inputs."""
    hooks, problems = _hooks(catalogue, pipeline)
    # Without them, so that what is wrong beside them is told too.
    sound = replace(pipeline, hooks={}, resources={}, on_success=None, on_failure=None) if problems else pipeline
    try:
        selection = catalogue.plan(sound).selection
    except ConfigError as error:
        return [*problems, *(problem for problem in error.problems if problem not in problems)]
    problems += [
        *_empty(pipeline, selection.graph),
        *check_hooks(sound, hooks, selection),
        *_replaced(pipeline, selection.graph),
        *_driver(selection),
        *check_marks(pipeline, selection),
        *_state(pipeline, selection),
    ]
    problems += _constants(pipeline, selection, None if sound is not pipeline else hooks)
    for index, trigger in enumerate(pipeline.triggers):
        problems += _map(pipeline, index, selection)
        problems += _unfilled(pipeline, trigger, selection)
    problems += check_typed(pipeline, selection)
    problems += check_schedules(catalogue, pipeline) if sound is pipeline else ()
    return problems


def _hooks(catalogue: Catalogue, pipeline: Pipeline) -> tuple[Hooks, list[Problem]]:
    try:
        return catalogue.hooks(pipeline), []
    except ConfigError as error:
        return Hooks(), list(error.problems)


def _empty(pipeline: Pipeline, graph: Graph) -> Iterator[Problem]:
    # A module without settings may be there for others to import.
    if not graph.computed() and pipeline.where != graph.file:
        yield Problem(
            what=f"module '{graph.name}' has no function that a run could call",
            where=graph.file,
            mend="write one; a function whose name begins with _ is none",
        )


def _replaced(pipeline: Pipeline, graph: Graph) -> Iterator[Problem]:
    for name, where in graph.replaced.items():
        yield Problem(
            what=f"`run.config` has a key '{name}', so function '{name}' at {where} never runs",
            where=pipeline.where_of(f"run.config.{name}") or where,
            mend="rename the key, unless that is what you want",
            warning=True,
        )


def _driver(selection: Selection) -> Iterator[Problem]:
    name = is_dynamic(selection)
    if name:
        yield Problem(
            what=f"'{name}' is Parallelizable or Collect, so the plan runs through Hamilton's driver, which is slower",
            where=selection.graph.where(name),
            mend="nothing to do, unless a run must take less than some milliseconds",
            warning=True,
        )


def _state(pipeline: Pipeline, selection: Selection) -> Iterator[Problem]:
    nodes = selection.graph.nodes
    for node, name in pipeline.state.items():
        where = pipeline.where_of(f"state.{node}") or selection.graph.file
        if nodes[node].user_defined:
            mend = f"keep a node that is computed from '{node}'"
            yield Problem(what=f"`state` keeps '{node}', which is an input and not computed", where=where, mend=mend)
            continue
        misfit = _misfit(name, selection, where, "state")
        if misfit is not None:
            yield misfit
        elif name in selection.inputs:
            yield from _state_type(node, name, selection)


def _state_type(node: str, name: str, selection: Selection) -> Iterator[Problem]:
    taken, given = selection.graph.nodes[name].type, selection.graph.nodes[node].type
    where = selection.graph.where(name)
    if hints_contradict(taken, given):
        what = f"`state` gives '{name}' the value of '{node}', a {type_name(given)}, taken as {type_name(taken)}"
        yield Problem(what=what, where=where, mend="make the two type hints agree")
    elif selection.inputs[name] and not allows_none(taken):
        what = f"input '{name}' is None in the first run of each key, but it is taken as {type_name(taken)}"
        yield Problem(what=what, where=where, mend=f"write `{name}: {type_name(taken)} | None`")


def _constants(pipeline: Pipeline, selection: Selection, hooks: Hooks | None) -> Iterator[Problem]:
    """`hooks`: None where they cannot be imported, so that nobody knows what they would take."""
    unknown = hooks is None and bool(pipeline.resources)
    of_openers = {name for resource in (hooks or Hooks()).resources.values() for name in resource.parameters}
    for block, values in (("run.inputs", pipeline.inputs), ("params", pipeline.params)):
        for name, value in values.items():
            if (unknown or name in of_openers) and name not in selection.graph.nodes:
                continue
            where = pipeline.where_of(f"{block}.{name}") or selection.graph.file
            misfit = _misfit(name, selection, where, block)
            if misfit is not None:
                yield misfit
                continue
            hint = selection.graph.nodes[name].type
            if value_contradicts(hint, value):
                what = f"`{block}` gives '{name}' {value!r}, but {_taken(name, selection)} as {type_name(hint)}"
                yield Problem(what=what, where=where, mend=_value_mend(value))


def _value_mend(value: object) -> str:
    return "write it without quotes" if isinstance(value, str) else "change the value or the type hint"


def _map(pipeline: Pipeline, index: int, selection: Selection) -> Iterator[Problem]:
    trigger = pipeline.triggers[index]
    explicit = trigger.map is not None
    entries = trigger.map if trigger.map is not None else {} if trigger.spread else default_sources(trigger)
    for name, path in entries.items():
        if not explicit and name not in selection.inputs:
            continue
        written = pipeline.origins.get(f"triggers[{index}].map.{name}")
        where = written or trigger.where or pipeline.where or selection.graph.file
        misfit = _misfit(name, selection, where, "map")
        if misfit is not None:
            yield misfit
            continue
        try:
            given = source_type(trigger, path)
        except ValueError as error:
            yield Problem(what=f"`map` cannot fill '{name}': {error}", where=where)
            continue
        hint = selection.graph.nodes[name].type
        if given is not Any and hints_contradict(hint, given):
            taker = f"{_taken(name, selection)} as {type_name(hint)}"
            what = f"`map` gives '{name}' {path}, a {type_name(given)}, but {taker}"
            yield Problem(what=what, where=where, mend="map another path, or change the type hint")


def _unfilled(pipeline: Pipeline, trigger: Trigger, selection: Selection) -> Iterator[Problem]:
    if trigger.spread or pipeline.hooks.get("message"):
        return
    mapped = trigger.map if trigger.map is not None else default_sources(trigger)
    filled = {*mapped, *pipeline.inputs, *pipeline.params, *pipeline.state.values(), *pipeline.resources}
    for name, required in selection.inputs.items():
        if required and name not in filled:
            yield Problem(
                what=f"nothing fills input '{name}': {_taken(name, selection)}",
                where=trigger.where or pipeline.where or selection.graph.file,
                mend=f"add `{name}` to `map`, `run.inputs` or `params`, or give the parameter a default",
            )


def _misfit(name: str, selection: Selection, where: str, block: str) -> Problem | None:
    """What is wrong with filling `name`; None where it is an input of the module."""
    graph = selection.graph
    if name in graph.config:
        what = f"`{block}` fills '{name}', which `run.config` sets"
        return Problem(what=what, where=where, mend="remove one of them")
    if name not in graph.nodes:
        known = [other for other, node in graph.nodes.items() if node.user_defined]
        mend = nearest(name, known, f"remove it, or add a parameter '{name}' to a function of {graph.file}")
        return Problem(what=f"`{block}` fills '{name}', but no function takes that", where=where, mend=mend)
    if not graph.nodes[name].user_defined:
        what = f"`{block}` fills '{name}', which function '{name}' at {graph.where(name)} computes"
        return Problem(what=what, where=where, mend="rename one of them: the input would be ignored")
    if name not in selection.inputs and block in {"map", "state"}:
        what = f"`{block}` fills '{name}', which nothing that is asked for needs"
        return Problem(what=what, where=where, mend="remove it, or add a node that needs it to `outputs`", warning=True)
    return None


def _taken(name: str, selection: Selection) -> str:
    """Who takes an input, and where."""
    takers = selection.needed_by(name) or [
        other for other in selection.graph.computed() if name in selection.graph.nodes[other].input_types
    ]
    if not takers:
        return "it is asked for"
    return f"'{takers[0]}' at {selection.graph.where(takers[0])} takes it"
