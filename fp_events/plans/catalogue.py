"""The project's plans: compiled once per code, configuration and set of outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from fp_events.domain.caching import CacheSpec, NodeStore
from fp_events.domain.errors import FpEventsError, Problem
from fp_events.domain.hooks import Hooks
from fp_events.domain.pipeline import Output, Pipeline
from fp_events.domain.run import PlanRef

if TYPE_CHECKING:
    from .building import Graph
    from .caching import PlanCaching
    from .driver_plan import DriverPlan
    from .loading import Generation
    from .plan import CompiledPlan
    from .selection import Selection


#: Plans, and graphs, that are kept; who uses one keeps it for longer.
_KEPT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeInfo:
    """A node, as `pipelines show` lists it."""

    name: str
    #: The type hint of its value.
    type: str
    #: First paragraph of the function's docstring.
    doc: str
    #: ``pipelines/x.py:12``; for an input, the function that takes it.
    where: str
    #: What it needs, in the order of its parameters.
    inputs: tuple[str, ...]
    #: From `@tag`.
    tags: Mapping[str, Any]
    #: It comes from outside.
    is_input: bool
    #: The plan returns its value.
    final: bool
    #: What stands around its function: ``when``, ``retry 3``, ``timeout 2s``, ``cached 1h``.
    marks: tuple[str, ...] = ()
    #: It makes branches, or collects them.
    branches: Literal["", "makes", "collects"] = ""


#: (pipeline, its `run.cache`) -> where its nodes' values are kept. Raises ConfigError.
StoreOf = Callable[[str, CacheSpec], NodeStore]


class Catalogue:
    """Plans of one project, whose modules are in ``<root>/pipelines``.

    Modules are imported at the first use and stay as they are until `refresh`. May be used by several threads.
    """

    def __init__(self, root: Path, location: str | None = None, *, store: StoreOf | None = None) -> None:
        """`location`: the URL of a project whose copy is in `root`. Without `store` nothing is cached."""
        self.root = root
        self._location = location
        self._store = store
        self._current: Generation | None = None
        self._graphs: dict[tuple[Any, ...], Graph] = {}
        self._plans: dict[tuple[Any, ...], CompiledPlan | DriverPlan] = {}

    def discover(self) -> list[str]:
        """Names of the modules in ``pipelines/``; a leading underscore hides one."""
        return sorted(path.stem for path in (self.root / "pipelines").glob("*.py") if not path.stem.startswith("_"))

    def plan(
        self,
        pipeline: Pipeline,
        *,
        final_vars: Sequence[str] | None = None,
        config: Mapping[str, Any] | None = None,
        overrides: Sequence[str] = (),
        adapters: Sequence[Any] = (),
    ) -> CompiledPlan | DriverPlan:
        """The pipeline's plan.

        `final_vars` takes the place of the pipeline's own, `config` is laid over its own, `overrides` names nodes
        whose values come with the inputs. `adapters` are Hamilton's lifecycle adapters, objects; a plan is compiled
        for these alone, and keeps them alive. Raises ConfigError with ``file:line`` of the function to mend, UsageError
        for a name in `final_vars` that is no node.
        """
        from .loading import LOCK
        from .version import config_key

        with LOCK:
            wanted = None if final_vars is None else tuple(final_vars)
            merged = {**pipeline.config, **(config or {})}
            asked = (pipeline.final_vars, tuple(output.node for output in pipeline.outputs), tuple(pipeline.state))
            key = (
                pipeline.name,
                pipeline.module,
                config_key(merged),
                asked,
                wanted,
                tuple(overrides),
                pipeline.executor,
                tuple(pipeline.hooks.items()),
                tuple(pipeline.resources.items()),
                pipeline.cache,
                _materials(pipeline),
                tuple(map(id, adapters)),
            )
            if key not in self._plans:
                _make_room(self._plans)
                whole = replace(pipeline, config=merged)
                self._plans[key] = (
                    self._adapted(whole, wanted, overrides, adapters)
                    if adapters
                    else _compile(pipeline, self.graph(whole), wanted, overrides, caching=self._caching(whole))
                )
            return self._plans[key]

    def _adapted(
        self, pipeline: Pipeline, final_vars: Sequence[str] | None, overrides: Sequence[str], adapters: Sequence[Any]
    ) -> CompiledPlan | DriverPlan:
        """A plan with adapters, which have their say on the graph."""
        from .building import build
        from .lifecycle import adapter_set

        told = adapter_set(adapters)
        caching = self._caching(pipeline)
        graph = build(
            self._generation(),
            pipeline.module,
            pipeline.config,
            loads=pipeline.loads,
            saves=pipeline.saves,
            caching=caching,
            adapter=told,
        )
        return _compile(pipeline, graph, final_vars, overrides, told, caching=caching)

    def _caching(self, pipeline: Pipeline) -> PlanCaching | None:
        """What stands around functions whose values are kept; None where none are."""
        store = self._store
        if store is None or pipeline.cache.enabled is False:
            return None
        from .caching import PlanCaching

        return PlanCaching(
            self._generation(), pipeline.cache, pipeline.config, lambda: store(pipeline.name, pipeline.cache)
        )

    def graph(self, pipeline: Pipeline) -> Graph:
        """The whole graph of a pipeline's module. Raises ConfigError as `plan` does."""
        from .building import build
        from .loading import LOCK
        from .version import config_key

        with LOCK:
            key = (pipeline.name, pipeline.module, config_key(pipeline.config), pipeline.cache, _materials(pipeline))
            if key not in self._graphs:
                _make_room(self._graphs)
                caching = self._caching(pipeline)
                self._graphs[key] = build(
                    self._generation(),
                    pipeline.module,
                    pipeline.config,
                    loads=pipeline.loads,
                    saves=pipeline.saves,
                    caching=caching,
                )
            return self._graphs[key]

    def hooks(self, pipeline: Pipeline) -> Hooks:
        """The pipeline's hooks and resources, imported with its module. Raises ConfigError for what is wrong."""
        from .hooks import hooks_of
        from .loading import LOCK

        with LOCK:
            return hooks_of(self._generation(), pipeline, self.graph(pipeline))

    def check(self, pipeline: Pipeline) -> list[Problem]:
        """Everything that is wrong with a pipeline, found without running it; warnings among it."""
        from .check import check

        return check(self, pipeline)

    def nodes(
        self,
        pipeline: Pipeline,
        *,
        final_vars: Sequence[str] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> list[NodeInfo]:
        """The nodes of a pipeline's plan, inputs first, then each after what it needs. Raises what `plan` raises."""
        from .listing import nodes_of

        return nodes_of(self.plan(pipeline, final_vars=final_vars, config=config).selection)

    def inputs(self, pipeline: Pipeline) -> list[str]:
        """What the functions of a pipeline's module take from outside, whichever outputs are asked for."""
        graph = self.graph(pipeline)
        return [name for name, node in graph.nodes.items() if node.user_defined and name not in graph.config]

    def saved(self, pipeline: Pipeline) -> list[Output]:
        """What savers of a pipeline's plan publish, as outputs; none where the plan cannot be compiled."""
        from .using import saved_topics

        try:
            selection = self.plan(pipeline).selection
        except FpEventsError:
            return []
        graph = selection.graph
        return [Output(node=name, topic=topic, where=graph.where(name)) for name, topic in saved_topics(selection)]

    def module(self, name: str) -> ModuleType | None:
        """The project's module that a class calls its own, in this process or another; None for a library's."""
        from .loading import public_name

        public = public_name(name)
        return None if public == name else self._generation().module(public)

    def refresh(self) -> bool:
        """Look at the files again: the next `plan` compiles what has changed. True where anything has.

        Plans handed out before keep running the code they were made from.
        """
        from .loading import LOCK

        with LOCK:
            if self._current is None or not self._current.changed():
                return False
            self._current = None
            self._graphs.clear()
            self._plans.clear()
            return True

    def _generation(self) -> Generation:
        from .loading import Generation
        from .placing import Places

        if self._current is None:
            self._current = Generation(self.root, Places(self._location or str(self.root.resolve())))
        return self._current


def _make_room(kept: dict[Any, Any]) -> None:
    """Let go of the oldest: configurations may come with messages, and there is no end of them."""
    if len(kept) >= _KEPT:
        del kept[next(iter(kept))]


def _materials(pipeline: Pipeline) -> tuple[str, ...]:
    """What tells two pipelines apart that load and save differently."""
    return tuple(
        f"{name} {each.adapter} {each.node} {dict(each.arguments)!r}"
        for name, each in (*pipeline.loads.items(), *pipeline.saves.items())
    )


def _compile(
    pipeline: Pipeline,
    graph: Graph,
    final_vars: Sequence[str] | None,
    overrides: Sequence[str],
    adapters: Any = None,
    *,
    caching: PlanCaching | None,
) -> CompiledPlan | DriverPlan:
    from .beside import beside_nodes
    from .driver_plan import DriverPlan, is_dynamic
    from .lifecycle import Lifecycle
    from .plan import AdaptedPlan, CompiledPlan
    from .selection import requested, select
    from .version import version_of

    selection = select(graph, requested(pipeline, graph, final_vars), overrides)
    if caching is not None and pipeline.cache.enabled:
        from .caching import check_names

        check_names(pipeline, graph)
        selection = replace(selection, calls=caching.calls(selection))
    ref = PlanRef(pipeline.name, version_of(selection, beside_nodes(pipeline, selection)))
    if is_dynamic(selection):
        return DriverPlan(ref, selection, pipeline.executor, adapters)
    if adapters is not None:
        return AdaptedPlan(ref, selection, Lifecycle(selection, adapters))
    return CompiledPlan(ref, selection, branches=_branches(pipeline, selection))


def _branches(pipeline: Pipeline, selection: Selection) -> int:
    """Independent functions that run at a time: what the module's DAG asks for, as far as the executor goes along."""
    from .branching import has_branches

    asked, spec = selection.graph.branches, pipeline.executor
    if asked < 2 or (spec is not None and spec.type == "local") or not has_branches(selection):
        return 0
    return asked if spec is None or spec.max_workers is None else min(asked, spec.max_workers)
