"""Which nodes a plan runs, in which order, and which inputs it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from fp_events.domain.errors import ConfigError, Problem, UsageError
from fp_events.domain.pipeline import Pipeline

from .building import Graph
from .hamilton_api import hamilton
from .skipping import skippable


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The part of a graph that one plan runs."""

    graph: Graph
    #: What `execute` returns values of, in the order asked for.
    outputs: tuple[str, ...]
    #: Names of the nodes to call, each after what it needs.
    order: tuple[str, ...]
    #: External inputs; True where the plan cannot run without.
    inputs: Mapping[str, bool]
    #: Names whose values the configuration gives.
    constants: tuple[str, ...]
    #: Nodes whose values come with the inputs instead of being computed.
    overrides: frozenset[str]
    #: Nodes of `order` that conditions may skip.
    may_skip: frozenset[str] = frozenset()
    #: What is called in the place of a node's own function, with the same arguments by name; such as a cache.
    calls: Mapping[str, Any] = field(default_factory=dict)

    def call(self, name: str) -> Any:
        """What gives a node's value."""
        return self.calls[name] if name in self.calls else self.graph.nodes[name].callable

    @property
    def is_marked(self) -> bool:
        """Some node of it comes from a function with marks, or is called in a way of its own."""
        return bool(self.calls) or not self.graph.marked.isdisjoint(self.order)

    def needed_by(self, name: str) -> list[str]:
        """Nodes of the plan that take `name`."""
        return [node for node in self.order if name in self.graph.nodes[node].input_types]


def requested(pipeline: Pipeline, graph: Graph, final_vars: Sequence[str] | None = None) -> tuple[str, ...]:
    """The outputs of a pipeline's plan.

    Names that the module does not have raise ConfigError, or UsageError where they were asked for by `final_vars`.
    """
    explicit = tuple(pipeline.final_vars if final_vars is None else final_vars)
    unknown = [name for name in explicit if name not in graph.nodes]
    if unknown and final_vars is not None:
        raise UsageError(
            f"pipeline '{pipeline.name}' has no node '{unknown[0]}'",
            mend=nearest(unknown[0], graph.computed(), f"it has {', '.join(graph.computed())}"),
        )
    problems = [_unknown(graph, name, "run.final_vars", pipeline.where_of("run.final_vars")) for name in unknown]
    problems += [
        _unknown(graph, output.node, "outputs", output.where or pipeline.where)
        for output in pipeline.outputs
        if output.node not in graph.nodes
    ]
    problems += [
        _unknown(graph, name, "state", pipeline.where_of(f"state.{name}"))
        for name in pipeline.state
        if name not in graph.nodes
    ]
    if problems:
        raise ConfigError.of(problems)
    outputs = [output.node for output in pipeline.outputs]
    # A saver is an output by itself: nobody would write one that never runs.
    named = [] if final_vars is not None else list(pipeline.saves)
    base = [*explicit, *outputs, *named] if explicit else [*outputs, *graph.savers()] if outputs else graph.terminals()
    return tuple(dict.fromkeys([*base, *pipeline.state]))


def _unknown(graph: Graph, name: str, block: str, where: str) -> Problem:
    return Problem(
        what=f"`{block}` names '{name}', but module '{graph.name}' has no such function",
        where=where or graph.file,
        mend=nearest(name, graph.computed(), f"add a function '{name}' to {graph.file}"),
    )


def nearest(name: str, known: Sequence[str], otherwise: str) -> str:
    """A mend that names what was probably meant."""
    near = get_close_matches(name, known, n=1)
    return f"did you mean '{near[0]}'?" if near else otherwise


def select(graph: Graph, outputs: Sequence[str], overrides: Sequence[str] = ()) -> Selection:
    """Take what `outputs` need: depth first, dependencies before, as Hamilton's driver does.

    The order is kept since side effects follow it. Raises ConfigError for unknown overrides.
    """
    unknown = [name for name in overrides if name not in graph.nodes]
    if unknown:
        raise ConfigError(
            f"'{unknown[0]}' cannot be overridden: module '{graph.name}' has no such node",
            where=graph.file,
            mend=nearest(unknown[0], list(graph.nodes), "see `fp-events pipelines show`"),
        )
    cut = frozenset(overrides)
    reached = _post_order(graph, outputs, cut)
    order = tuple(name for name in reached if name not in cut and not graph.nodes[name].user_defined)
    constants = tuple(
        name for name in reached if name not in cut and graph.nodes[name].user_defined and name in graph.config
    )
    external = [
        name for name in reached if name in cut or (graph.nodes[name].user_defined and name not in graph.config)
    ]
    needed = _required(graph, order) | set(outputs) | cut
    return Selection(
        graph=graph,
        outputs=tuple(outputs),
        order=order,
        inputs={name: name in needed for name in external},
        constants=constants,
        overrides=cut & set(external),
        may_skip=skippable(graph.nodes, order, graph.conditional),
    )


def _post_order(graph: Graph, outputs: Sequence[str], cut: frozenset[str]) -> list[str]:
    reached: list[str] = []
    seen: set[str] = set()
    for output in outputs:
        if output in seen:
            continue
        seen.add(output)
        stack: list[tuple[str, Any]] = [(output, iter(() if output in cut else graph.nodes[output].dependencies))]
        while stack:
            name, dependencies = stack[-1]
            for dependency in dependencies:
                below = dependency.name
                if below not in seen:
                    seen.add(below)
                    stack.append((below, iter(() if below in cut else dependency.dependencies)))
                    break
            else:
                reached.append(name)
                stack.pop()
    return reached


def _required(graph: Graph, order: Sequence[str]) -> set[str]:
    required = hamilton("node").DependencyType.REQUIRED
    return {
        dependency
        for name in order
        for dependency, (_, kind) in graph.nodes[name].input_types.items()
        if kind is required
    }
