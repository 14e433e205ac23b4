"""Plans with `Parallelizable` and `Collect`: how many nodes run is known only while they run, by Hamilton's driver."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fp_events.domain.errors import ConfigError, InputInvalid
from fp_events.domain.marks import SKIPPED
from fp_events.domain.observation import NodeRecord
from fp_events.domain.pipeline import ExecutorSpec
from fp_events.domain.run import PlanRef

from .awaiting import is_async
from .driver_trace import driver_recorder
from .hamilton_api import hamilton
from .lifecycle import Lifecycle, quieten
from .selection import Selection
from .skipping import needed, unless_skipped
from .trace import merged
from .typed import validators_of
from .using import uses_broker

#: Threads for the branches of a `Parallelizable` where the pipeline's executor does not say.
_THREADS = 10


def is_dynamic(selection: Selection) -> str:
    """The first node of the plan that expands or collects; empty where there is none."""
    roles = hamilton("node").NodeType
    dynamic = (roles.EXPAND, roles.COLLECT)
    return next((name for name in selection.order if selection.graph.nodes[name].node_role in dynamic), "")


class DriverPlan:
    """A plan that Hamilton's task-based driver runs."""

    through_driver = True
    is_async = False
    has_sync_nodes = True

    def __init__(
        self, ref: PlanRef, selection: Selection, executor: ExecutorSpec | None = None, adapters: Any = None
    ) -> None:
        """Raises ConfigError for what the driver cannot do: functions that await, branches that may be skipped."""
        _refuse(selection)
        self.ref = ref
        self.selection = selection
        self.inputs: Mapping[str, bool] = MappingProxyType(dict(selection.inputs))
        self.outputs: Sequence[str] = selection.outputs
        self.is_marked = selection.is_marked
        self.validators = validators_of(selection)
        self.uses_broker = uses_broker(selection)
        self._threads = _threads(executor)
        self._set = adapters or hamilton("lifecycle.base").LifecycleAdapterSet()
        nodes = _nodes(selection, self._set)
        self._lifecycle = None if adapters is None else Lifecycle(selection, adapters, nodes)
        self._graph = hamilton("graph").FunctionGraph(nodes, dict(selection.graph.config), self._set)
        quieten()

    def execute(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run the plan; branches run in threads. Outputs that were skipped are left out.

        Raises InputInvalid where a required input is missing.
        """
        return self.run(inputs, self._set)

    async def execute_async(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The same in a thread of its own."""
        return await asyncio.to_thread(self.execute, inputs)

    def traced(self) -> TracedDriverRun:
        """One run of which every node is noted."""
        recorder = driver_recorder()
        together = hamilton("lifecycle.base").LifecycleAdapterSet(recorder, *self._set.adapters)
        return TracedDriverRun(self, recorder, together)

    def run(self, inputs: Mapping[str, Any], adapters: Any) -> dict[str, Any]:
        """Run the plan with these adapters for its tasks and nodes."""
        missing = [name for name, required in self.inputs.items() if required and name not in inputs]
        if missing:
            names = ", ".join(f"'{name}'" for name in missing)
            raise InputInvalid(f"pipeline '{self.ref.pipeline}' needs {names}", mend="fill it by `map` or `run.inputs`")
        if self._lifecycle is None:
            return self._through(inputs, adapters, "")
        with self._lifecycle.run(inputs) as graph_run:
            return graph_run.built(self._through(inputs, adapters, graph_run.run_id))

    def _through(self, inputs: Mapping[str, Any], adapters: Any, run_id: str) -> dict[str, Any]:
        overrides = {name: inputs[name] for name in self.selection.overrides}
        given = {name: inputs[name] for name in self.inputs if name in inputs and name not in overrides}
        result = self._executor(adapters).execute(self._graph, list(self.outputs), overrides, given, run_id)
        return {name: result[name] for name in self.outputs if result[name] is not SKIPPED}

    def _executor(self, adapters: Any) -> Any:
        """Hamilton's task-based executor. One for each run: it cannot be used by two threads."""
        executors = hamilton("execution.executors")
        branches = (
            executors.MultiThreadingExecutor(max_tasks=self._threads)
            if self._threads
            else executors.SynchronousLocalTaskExecutor()
        )
        return hamilton("driver").TaskBasedGraphExecutor(
            execution_manager=executors.DefaultExecutionManager(executors.SynchronousLocalTaskExecutor(), branches),
            grouping_strategy=hamilton("execution.grouping").GroupByRepeatableBlocks(),
            adapter=adapters,
        )

    def failed_node(self, error: BaseException) -> str:
        """The node that raised `error`: the innermost one that Hamilton was executing."""
        found = ""
        step = error.__traceback__
        while step is not None:
            if step.tb_frame.f_code.co_name == "execute_lifecycle_for_node":
                found = step.tb_frame.f_locals["__node_"].name
            step = step.tb_next
        return found


class TracedDriverRun:
    """One run, and what happened to its nodes."""

    def __init__(self, plan: DriverPlan, recorder: Any, adapters: Any) -> None:
        self._plan = plan
        self._recorder = recorder
        self._adapters = adapters

    def execute(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """As the plan's."""
        return self._plan.run(inputs, self._adapters)

    async def execute_async(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """As the plan's."""
        return await asyncio.to_thread(self.execute, inputs)

    def nodes(self, error: BaseException | None = None) -> Sequence[NodeRecord]:
        """What happened, the branches of a `Parallelizable` put together; errors are told by the nodes themselves."""
        return merged(self._recorder.records)


def _refuse(selection: Selection) -> None:
    nodes = selection.graph.nodes
    if is_async(selection):
        name = is_dynamic(selection)
        raise ConfigError(
            f"'{name}' is Parallelizable or Collect, and other functions of the plan are async",
            where=selection.graph.where(name),
            mend="make the async functions ordinary ones: branches run in threads",
        )
    expand = hamilton("node").NodeType.EXPAND
    for name in selection.order:
        lost = [each for each in needed(nodes[name]) if each in selection.may_skip]
        if nodes[name].node_role is expand and lost:
            raise ConfigError(
                f"'{name}' is Parallelizable and needs '{lost[0]}', which a condition may skip",
                where=selection.graph.where(name),
                mend=f"let '{lost[0]}' be None in its type hint, and give no branches then",
            )


def _nodes(selection: Selection, adapters: Any) -> dict[str, Any]:
    """The graph's nodes; copies of them where something stands around their functions."""
    if not selection.may_skip and not selection.calls:
        return dict(selection.graph.nodes)
    made = {}
    for name, node in selection.graph.nodes.items():
        call = node.callable if node.user_defined else unless_skipped(selection.call(name), node, selection.may_skip)
        made[name] = node.copy_with(include_refs=False, callabl=call)
    linked: dict[str, Any] = hamilton("graph").update_dependencies(made, adapters)
    return linked


def _threads(executor: ExecutorSpec | None) -> int:
    """Threads for branches; 0: they run one after the other on the run's own thread."""
    if executor is None:
        return _THREADS
    return 0 if executor.type == "local" else executor.max_workers or _THREADS
