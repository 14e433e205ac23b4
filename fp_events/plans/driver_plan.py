"""Plans with `Parallelizable` and `Collect`: how many nodes run is known only while they run, by Hamilton's driver."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fp_events.domain.errors import ConfigError, InputInvalid
from fp_events.domain.pipeline import ExecutorSpec
from fp_events.domain.run import PlanRef

from .awaiting import is_async
from .hamilton_api import hamilton
from .selection import Selection

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

    def __init__(self, ref: PlanRef, selection: Selection, executor: ExecutorSpec | None = None) -> None:
        """Raises ConfigError where a node of the plan is async: the driver would not await it."""
        if is_async(selection):
            name = is_dynamic(selection)
            raise ConfigError(
                f"'{name}' is Parallelizable or Collect, and other functions of the plan are async",
                where=selection.graph.where(name),
                mend="make the async functions ordinary ones: branches run in threads",
            )
        self.ref = ref
        self.selection = selection
        self.inputs: Mapping[str, bool] = MappingProxyType(dict(selection.inputs))
        self.outputs: Sequence[str] = selection.outputs
        self._threads = _threads(executor)
        lifecycle = hamilton("lifecycle.base")
        self._adapter = lifecycle.LifecycleAdapterSet()
        graph = hamilton("graph")
        self._graph = graph.FunctionGraph(dict(selection.graph.nodes), dict(selection.graph.config), self._adapter)
        # They print a traceback in a box, and an advertisement, for an error that passes through anyway.
        for name in ("hamilton.execution.graph_functions", "hamilton.execution.executors", "hamilton.driver"):
            logging.getLogger(name).disabled = True

    def execute(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run the plan; branches run in threads. Raises InputInvalid where a required input is missing."""
        missing = [name for name, required in self.inputs.items() if required and name not in inputs]
        if missing:
            names = ", ".join(f"'{name}'" for name in missing)
            raise InputInvalid(f"pipeline '{self.ref.pipeline}' needs {names}", mend="fill it by `map` or `run.inputs`")
        overrides = {name: inputs[name] for name in self.selection.overrides}
        given = {name: inputs[name] for name in self.inputs if name in inputs and name not in overrides}
        result = self._executor().execute(self._graph, list(self.outputs), overrides, given, "")
        return {name: result[name] for name in self.outputs}

    async def execute_async(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The same in a thread of its own."""
        return await asyncio.to_thread(self.execute, inputs)

    def _executor(self) -> Any:
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
            adapter=self._adapter,
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


def _threads(executor: ExecutorSpec | None) -> int:
    """Threads for branches; 0: they run one after the other on the run's own thread."""
    if executor is None:
        return _THREADS
    return 0 if executor.type == "local" else executor.max_workers or _THREADS
