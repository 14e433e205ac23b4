"""A pipeline's hooks and resources: imported with the generation of its module, their signatures checked."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from fp_events.domain.errors import ConfigError, Problem
from fp_events.domain.hooks import KINDS, MESSAGE_PARTS, Hook, Hooks, Named, Resource
from fp_events.domain.pipeline import Pipeline

from .building import Graph, where_of
from .loading import Generation
from .selection import nearest
from .version import version_of_function

#: What they get that are called with one record.
_RECORDS = {
    "before_run": "AttemptRecord",
    "after_run": "RunRecord",
    "on_success": "RunRecord",
    "on_failure": "RunRecord",
    "on_retry": "RetryRecord",
    "before_node": "NodeCall",
    "after_node": "NodeCall",
}
_NAMED = "name a function as module:function, the module below the project's folder"
_Parameter = inspect.Parameter
_GATHERING = (_Parameter.VAR_POSITIONAL, _Parameter.VAR_KEYWORD)


def hooks_of(generation: Generation, pipeline: Pipeline, graph: Graph) -> Hooks:
    """Import what the settings name. Raises ConfigError with every problem.

    Of the project's resources only those are looked at that an input of the pipeline's module is called after.
    """
    reading = _Reading(generation, pipeline)
    by_kind = {kind: tuple(reading.hook(kind, named) for named in named_hooks(pipeline, kind)) for kind in KINDS}
    inputs = {name for name, node in graph.nodes.items() if node.user_defined and name not in graph.config}
    resources = {name: reading.resource(name, named) for name, named in pipeline.resources.items() if name in inputs}
    if reading.problems:
        raise ConfigError.of(reading.problems)
    return Hooks(
        by_kind={kind: tuple(hook for hook in hooks if hook is not None) for kind, hooks in by_kind.items() if hooks},
        resources={name: resource for name, resource in resources.items() if resource is not None},
    )


def named_hooks(pipeline: Pipeline, kind: str) -> tuple[Named, ...]:
    """The functions of a kind: the project's, the pipeline's, then `run.on_success` and `run.on_failure`."""
    named = pipeline.hooks.get(kind, ())
    of_run = {"on_success": pipeline.on_success, "on_failure": pipeline.on_failure}.get(kind)
    return named if of_run is None else (*named, Named(of_run, pipeline.where_of(f"run.{kind}")))


class _Reading:
    """Imports functions and gathers what is wrong with them."""

    def __init__(self, generation: Generation, pipeline: Pipeline) -> None:
        self._generation = generation
        self._pipeline = pipeline
        self.problems: list[Problem] = []

    def hook(self, kind: str, named: Named) -> Hook | None:
        """None where something is wrong with it."""
        label = f"{kind} {named.text}"
        call = self._import(label, named)
        if call is None:
            return None
        problem, parts = _message_parts(call) if kind == "message" else (_one_record(kind, call), ())
        if _yields(call):
            problem = "is a generator, and a hook returns"
        if problem:
            self._refuse(f"{label} {problem}", named, call)
            return None
        return Hook(
            kind=kind,
            text=named.text,
            call=call,
            where=self._where(call),
            is_async=_is_async(call),
            parts=parts,
        )

    def resource(self, name: str, named: Named) -> Resource | None:
        """The same for what opens an input."""
        label = f"resource '{name}' {named.text}"
        call = self._import(label, named)
        if call is None:
            return None
        signature = _signature(call)
        parameters = _names(signature) if signature is not None else []
        given = {**self._pipeline.params, **self._pipeline.inputs}
        problem = _missing(signature, given) if signature is not None else ""
        if problem:
            self._refuse(f"{label} {problem}", named, call, mend="give it there, or a default")
            return None
        arguments = {each: given[each] for each in parameters if each in given}
        return Resource(
            name=name,
            text=named.text,
            call=call,
            where=self._where(call),
            is_async=_is_async(call) or inspect.isasyncgenfunction(inspect.unwrap(call)),
            yields=inspect.isgeneratorfunction(call) or inspect.isasyncgenfunction(call),
            parameters=tuple(parameters),
            arguments=arguments,
            version=version_of_function(self._generation, named.text, call, arguments),
        )

    def _import(self, label: str, named: Named) -> Callable[..., Any] | None:
        module_name, _, name = named.text.partition(":")
        try:
            module = self._module(module_name)
        except ConfigError as error:
            if all(problem.where.rpartition(":")[2].isdigit() for problem in error.problems):
                self.problems += error.problems
            else:
                stem = module_name.removeprefix("hooks.")
                mend = _NAMED if stem == module_name else f"`fp-events new --hook {stem}` makes one"
                self._refuse(f"{label} cannot be imported: {error.what}", named, mend=mend)
            return None
        except (Exception, SystemExit) as error:  # noqa: BLE001 - modules raise anything
            what = f"{label} cannot be imported ({type(error).__name__}: {error})"
            self._refuse(what, named, mend=_NAMED)
            return None
        found = getattr(module, name, None)
        if callable(found):
            return found  # type: ignore[no-any-return]  # a module's attributes have no types
        functions = [each for each, value in vars(module).items() if callable(value) and not each.startswith("_")]
        what = f"{label}: there is no function '{name}' in module '{module_name}'"
        self._refuse(what, named, mend=nearest(name, functions, f"it has {', '.join(functions) or 'none'}"))
        return None

    def _module(self, name: str) -> ModuleType:
        if self._generation.is_local(name):
            return self._generation.module(name)
        return importlib.import_module(name)

    def _where(self, call: Callable[..., Any]) -> str:
        return where_of(self._generation, (call,))

    def _refuse(self, what: str, named: Named, call: Any = None, mend: str = "change its parameters") -> None:
        where = self._where(call) if call is not None else ""
        self.problems.append(Problem(what=what, where=where or named.where or self._pipeline.where, mend=mend))


def _one_record(kind: str, call: Callable[..., Any]) -> str:
    """What is wrong with a function that is called with a record; empty: nothing."""
    signature = _signature(call)
    if signature is not None:
        try:
            signature.bind(None)
        except TypeError:
            return f"is called with one argument ({_RECORDS[kind]}), and takes {_shown(signature)}"
    return ""


def _message_parts(call: Callable[..., Any]) -> tuple[str, tuple[str, ...]]:
    """What is wrong with a message hook, and which parts of a message it asks for."""
    signature = _signature(call)
    if signature is None:
        return f"has no signature to read; write a function that takes {', '.join(MESSAGE_PARTS)}, or some of them", ()
    parameters = signature.parameters.values()
    if any(parameter.kind is _Parameter.VAR_KEYWORD for parameter in parameters):
        return "", MESSAGE_PARTS
    for parameter in parameters:
        needed = parameter.default is _Parameter.empty and parameter.kind not in _GATHERING
        if needed and (parameter.name not in MESSAGE_PARTS or parameter.kind is _Parameter.POSITIONAL_ONLY):
            return f"asks for '{parameter.name}', and a message hook is given {', '.join(MESSAGE_PARTS)} by name", ()
    return "", tuple(name for name in MESSAGE_PARTS if name in signature.parameters)


def _missing(signature: inspect.Signature, given: Mapping[str, Any]) -> str:
    """What is wrong with a resource's parameters; empty: nothing."""
    for name in _names(signature):
        if name not in given and signature.parameters[name].default is _Parameter.empty:
            return f"asks for '{name}', which neither `params` nor `run.inputs` gives"
    return ""


def _names(signature: inspect.Signature) -> list[str]:
    by_name = (_Parameter.POSITIONAL_OR_KEYWORD, _Parameter.KEYWORD_ONLY)
    return [name for name, parameter in signature.parameters.items() if parameter.kind in by_name]


def _signature(call: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(call)
    except (TypeError, ValueError):
        return None


def _shown(signature: inspect.Signature) -> str:
    return ", ".join(f"'{name}'" for name in signature.parameters) or "none"


def _is_async(call: Any) -> bool:
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004 (an object's own)


def _yields(call: Any) -> bool:
    return inspect.isgeneratorfunction(call) or inspect.isasyncgenfunction(call)
