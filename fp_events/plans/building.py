"""From a module to Hamilton's function graph, with errors that name the user's line."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from fp_events.domain.errors import ConfigError, Problem
from fp_events.domain.marks import marks_of
from fp_events.domain.materials import Material
from fp_events.tasks.registry import branches_of, tasks_of
from fp_events.tasks.task import Task

from .guards import Caching
from .hamilton_api import hamilton, silenced
from .loading import LOCK, Generation, public_name, public_text
from .marking import prepared
from .materializing import materialize
from .placing import placed
from .tasks import task_nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A module's nodes under one configuration, free of cycles."""

    generation: Generation
    module: ModuleType
    #: Name -> Hamilton's node; external inputs are nodes too.
    nodes: Mapping[str, Any]
    config: Mapping[str, Any]
    #: Configuration keys that took the place of a function of that name.
    replaced: Mapping[str, str] = field(default_factory=dict)
    #: Nodes that come from functions with marks, and those of them that a condition may skip.
    marked: frozenset[str] = frozenset()
    conditional: frozenset[str] = frozenset()
    #: Functions with marks that no node comes from, such as helpers.
    idle: tuple[Any, ...] = ()
    #: Independent nodes that the module's DAG wants to run at a time.
    branches: int = 0

    @property
    def name(self) -> str:
        """The module's name as the user knows it."""
        return public_name(self.module.__name__)

    def where(self, name: str) -> str:
        """``file:line`` of the function that a node comes from."""
        return where_of(self.generation, self.nodes[name].originating_functions or ()) or self.file

    @property
    def file(self) -> str:
        """The module's file, relative to the project."""
        return self.generation.relative(self.module.__file__ or self.name)

    def computed(self) -> list[str]:
        """Names of the nodes that are functions."""
        return [name for name, node in self.nodes.items() if not node.user_defined]

    def terminals(self) -> list[str]:
        """Names of the computed nodes that nothing consumes."""
        return [name for name in self.computed() if not self.nodes[name].depended_on_by]

    def savers(self) -> list[str]:
        """Names of the nodes that `@save_to` makes, and functions with `@datasaver`."""
        return [name for name in self.computed() if self.nodes[name].tags.get("hamilton.data_saver") is True]


@dataclass(slots=True)
class _Resolved:
    """What a module's functions have become."""

    #: The computed nodes by name.
    nodes: dict[str, Any] = field(default_factory=dict)
    #: Where the functions are that a configuration key replaces.
    replaced: dict[str, str] = field(default_factory=dict)
    marked: set[str] = field(default_factory=set)
    conditional: set[str] = field(default_factory=set)
    guarded: list[Any] = field(default_factory=list)


def build(
    generation: Generation,
    module_name: str,
    config: Mapping[str, Any],
    *,
    loads: Mapping[str, Material] | None = None,
    saves: Mapping[str, Material] | None = None,
    caching: Caching | None = None,
    adapter: Any = None,
) -> Graph:
    """Import `module_name` and resolve its functions. Raises ConfigError naming file and line.

    `loads` and `saves` add nodes. `caching` is what `@cached` does. `adapter`, a set of lifecycle adapters, may have
    its say on types.
    """
    with LOCK:
        module = generation.module(module_name)
        found = _resolve(generation, module, dict(config), caching)
        nodes = found.nodes
        materialize(nodes, loads or {}, saves or {}, generation.places)
        _connect(generation, nodes, adapter)
    for key in config:
        if key not in nodes:
            node = hamilton("node")
            nodes[key] = node.Node(key, Any, node_source=node.NodeType.EXTERNAL)
    graph = Graph(
        generation=generation,
        module=module,
        nodes=nodes,
        config=dict(config),
        replaced=found.replaced,
        marked=frozenset(found.marked),
        conditional=frozenset(found.conditional),
        idle=_idle(generation, module, found.guarded),
        branches=branches_of(vars(module)),
    )
    _refuse_cycles(graph)
    _refuse_conditional_branching(graph)
    return graph


def _resolve(generation: Generation, module: ModuleType, config: dict[str, Any], caching: Caching | None) -> _Resolved:
    """The module's functions as nodes.

    Does what Hamilton's `create_function_graph` does, function by function, to know whose fault an error is.
    """
    tasks = tasks_of(vars(module))
    if tasks:
        return _tasks(generation, tasks, config, caching)
    found = _Resolved()
    origin: dict[str, FunctionType] = {}
    problems: list[Problem] = []
    for attribute, function in hamilton("graph_utils").find_functions(module):
        try:
            if function.__name__ == "<lambda>":
                raise ValueError("it is a lambda, and a node needs type hints")
            ready = prepared(function, caching)
            found.guarded += ready.marked
            with silenced("hamilton.function_modifiers.base"):
                resolved = hamilton("function_modifiers.base").resolve_nodes(ready.function, config)
            made = [placed(node, generation.places) for node in resolved]
        except Exception as error:  # noqa: BLE001 (decorators, the user's own among them, raise what they like)
            problems.append(_unresolved(attribute, function, error, where_of(generation, (function,))))
            continue
        for node in made:
            if node.name in config:
                found.replaced[node.name] = where_of(generation, (function,))
            elif node.name in found.nodes:
                what = f"'{node.name}' is defined twice, also at {where_of(generation, (origin[node.name],))}"
                where = where_of(generation, (function,))
                problems.append(Problem(what=what, where=where, mend="rename one of them"))
            else:
                found.nodes[node.name] = node
                origin[node.name] = function
                if ready.is_marked:
                    found.marked.add(node.name)
                if ready.may_skip:
                    found.conditional.add(node.name)
    if problems:
        raise ConfigError.of(problems)
    return found


def _tasks(generation: Generation, tasks: Sequence[Task], config: dict[str, Any], caching: Caching | None) -> _Resolved:
    """The tasks of a module that has any; its functions are theirs to call, and no nodes."""

    def where(task: Task) -> str:
        return where_of(generation, (inspect.unwrap(task.func),)) or task.where

    made = task_nodes(tasks, config, caching, where=where, name_type=type_name)
    return _Resolved(nodes=made.nodes, replaced=made.replaced, marked=made.marked, conditional=made.conditional)


def _idle(generation: Generation, module: ModuleType, guarded: Sequence[Any]) -> tuple[Any, ...]:
    """Functions with marks that no node comes from: whoever calls one calls the function itself."""
    if tasks_of(vars(module)):
        return ()
    known = set(map(id, guarded))
    return tuple(
        value
        for value in vars(module).values()
        if inspect.isfunction(value)
        and marks_of(value) is not None
        and id(value) not in known
        and generation.contains(value.__module__)
    )


def _unresolved(name: str, function: FunctionType, error: Exception, where: str) -> Problem:
    if isinstance(error, ConfigError):
        return Problem(what=error.what, where=where, mend=error.mend)
    text = " ".join(str(error).split())
    if "Missing type hint" in text:
        missing = _untyped(function)
        what = f"function '{name}' has no type hint for {missing}" if missing else f"function '{name}': {text}"
        return Problem(what=what, where=where, mend="add it; a function whose name begins with _ is no node")
    if isinstance(error, NameError):
        return Problem(what=f"a type hint of '{name}' cannot be resolved: {text}", where=where, mend="import the name")
    if type(error).__name__ == "MissingConfigParametersException":
        return Problem(what=f"'{name}': {text}", where=where, mend="add them to `run.config`")
    if function.__name__ == "<lambda>":
        return Problem(what=f"'{name}' cannot become a node: {text}", where=where, mend="write it as a function")
    what = f"function '{name}' cannot become a node: {type(error).__name__}: {text}"
    return Problem(what=what, where=where, mend="mend it")


def _untyped(function: FunctionType) -> str:
    code = function.__code__
    count = code.co_argcount + code.co_kwonlyargcount
    missing = [f"'{name}'" for name in code.co_varnames[:count] if name not in function.__annotations__]
    if "return" not in function.__annotations__ or function.__annotations__["return"] is None:
        missing.append("its result")
    return " and ".join(missing)


def _connect(generation: Generation, nodes: dict[str, Any], adapter: Any) -> None:
    """Add edges, and nodes for external inputs. Raises ConfigError where types do not fit together."""
    graph = hamilton("graph")
    adapter = adapter or hamilton("lifecycle.base").LifecycleAdapterSet()
    problems: list[Problem] = []
    for name, node in list(nodes.items()):
        for parameter, (kind, _) in node.input_types.items():
            try:
                graph.add_dependency(node, name, nodes, parameter, kind, adapter)
            except ValueError:
                problems.append(_mismatch(generation, name, node, parameter, nodes[parameter]))
    if problems:
        raise ConfigError.of(problems)


def _mismatch(generation: Generation, name: str, node: Any, parameter: str, given: Any) -> Problem:
    kind, _ = node.input_types[parameter]
    other = where_of(generation, given.originating_functions or ())
    verb = "is used as" if given.user_defined else "gives"
    return Problem(
        what=f"'{name}' takes '{parameter}' as {type_name(kind)}, but '{parameter}' {verb} {type_name(given.type)}"
        + (f" at {other}" if other else ""),
        where=where_of(generation, node.originating_functions or ()),
        mend="make the two type hints agree",
    )


def _refuse_cycles(graph: Graph) -> None:
    """Raise ConfigError for the first cycle; without recursion, for graphs thousands of nodes deep."""
    done: set[str] = set()
    for start in graph.nodes:
        if start in done:
            continue
        path: list[str] = [start]
        on_path = {start}
        waiting = [iter(graph.nodes[start].dependencies)]
        while path:
            for dependency in waiting[-1]:
                name = dependency.name
                if name in on_path:
                    cycle = [*path[path.index(name) :], name]
                    raise ConfigError(
                        f"functions need one another in a circle: {' -> '.join(cycle)}",
                        where=graph.where(name),
                        mend="break the circle; a value of the run before comes in through `state`",
                    )
                if name not in done:
                    path.append(name)
                    on_path.add(name)
                    waiting.append(iter(dependency.dependencies))
                    break
            else:
                waiting.pop()
                done.add(path[-1])
                on_path.discard(path.pop())


def _refuse_conditional_branching(graph: Graph) -> None:
    """Raise ConfigError for a `Parallelizable` that a condition could skip: its branches would have no number."""
    expand = hamilton("node").NodeType.EXPAND
    for name in graph.conditional:
        if graph.nodes[name].node_role is expand:
            raise ConfigError(
                f"'{name}' is Parallelizable, and cannot have a condition",
                where=graph.where(name),
                mend="take @when away and give no branches, or put it above a node that the branches begin with",
            )


def where_of(generation: Generation, functions: Iterable[Any]) -> str:
    """``file:line`` of the first function that the project defines; empty where there is none."""
    for function in functions:
        code = getattr(inspect.unwrap(function), "__code__", None)
        if code is None or not Path(code.co_filename).is_relative_to(generation.root):
            continue
        return f"{generation.relative(code.co_filename)}:{_def_line(code)}"
    return ""


def _def_line(code: Any) -> int:
    """The line of ``def``; a code object's first line is that of its first decorator."""
    first: int = code.co_firstlineno
    try:
        lines = Path(code.co_filename).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return first
    for number, line in enumerate(lines[first - 1 :], start=first):
        if line.lstrip().startswith(("def ", "async def ")):
            return number
    return first


def type_name(kind: Any) -> str:
    """A type hint as the user wrote it, nearly."""
    if kind is type(None):
        return "None"
    if isinstance(kind, type) and not getattr(kind, "__args__", None):
        return kind.__qualname__
    return public_text(str(kind)).replace("typing.", "").replace("hamilton.htypes.", "")
