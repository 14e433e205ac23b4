"""Hamilton's lifecycle adapters around generated code: called when and with what its driver calls them.

One thing differs: where nodes await, hooks that do not are told of values. `AsyncDriver` hands them tasks.
"""

from __future__ import annotations

import inspect
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any

from fp_events.domain.errors import ConfigError, InputInvalid

from .guards import Skip
from .hamilton_api import hamilton
from .selection import Selection

#: They print a traceback in a box, and an advertisement, for an error that passes through anyway.
_LOUD = ("hamilton.execution.graph_functions", "hamilton.execution.executors", "hamilton.driver")


def quieten() -> None:
    """Switch off what Hamilton logs of errors that are told elsewhere."""
    for name in _LOUD:
        logging.getLogger(name).disabled = True


def adapter_set(adapters: Sequence[Any]) -> Any:
    """Hamilton's set of `adapters`; the first of them to be told of anything are told now."""
    try:
        made = hamilton("lifecycle.base").LifecycleAdapterSet(*adapters)
    except ValueError as error:
        names = ", ".join(type(adapter).__name__ for adapter in adapters)
        raise ConfigError(f"the adapters {names} exclude one another: {error}", mend="leave one out") from error
    if made.does_hook("pre_do_anything", is_async=False):
        made.call_all_lifecycle_hooks_sync("pre_do_anything")
    return made


class Lifecycle:
    """The adapters of one plan."""

    def __init__(self, selection: Selection, adapters: Any, nodes: Mapping[str, Any] | None = None) -> None:
        """`adapters` as `adapter_set` gives them; `nodes` take the place of the graph's.

        Raises ConfigError where an adapter refuses the graph.
        """
        quieten()
        graph = selection.graph
        self.selection = selection
        self.adapters = adapters
        self.graph = hamilton("graph").FunctionGraph(dict(nodes or _nodes(selection)), dict(graph.config), adapters)
        if selection.may_skip and adapters.does_method("do_remote_execute", is_async=False):
            raise ConfigError(
                "an adapter executes functions elsewhere, and whether a condition skips one is known only there",
                where=graph.where(next(iter(graph.conditional))),
                mend="take @when away, or the adapter",
            )
        self._validate()
        if adapters.does_hook("post_graph_construct", is_async=False):
            facts = self._construction()
            adapters.call_all_lifecycle_hooks_sync("post_graph_construct", **facts)
        self._is_ready = False

    def _construction(self) -> dict[str, Any]:
        graph = self.selection.graph
        return {"graph": self.graph, "modules": (graph.module,), "config": dict(graph.config)}

    def _validate(self) -> None:
        base = hamilton("lifecycle.base")
        try:
            hamilton("driver").Driver._perform_graph_validations(
                self.adapters, graph=self.graph, graph_modules=(self.selection.graph.module,)
            )
        except base.ValidationException as error:
            text = " ".join(str(error).split())
            raise ConfigError(f"an adapter refuses the functions: {text}", where=self.selection.graph.file) from error

    async def make_ready(self) -> None:
        """What adapters that await do once, before the first run."""
        if self._is_ready:
            return
        self._is_ready = True
        if self.adapters.does_hook("post_graph_construct", is_async=True):
            await self.adapters.call_all_lifecycle_hooks_async("post_graph_construct", **self._construction())
        await self.adapters.ainit()

    def caller(self, *, asynchronous: bool) -> Callable[[str], Any]:
        """Node -> what calls it between the adapters' hooks: takes the run's id, then the arguments by name."""
        nodes, adapters = self.graph.nodes, self.adapters
        if not asynchronous:
            return lambda name: partial(_call, nodes[name], adapters)
        if adapters.does_method("do_remote_execute", is_async=False):
            raise ConfigError(
                "an adapter executes functions elsewhere, and functions of the plan are async",
                where=self.selection.graph.file,
                mend="make the async functions ordinary ones, or leave the adapter out",
            )
        return lambda name: partial(_call_async, nodes[name], adapters)

    def run(self, inputs: Mapping[str, Any]) -> GraphRun:
        """One execution, as a context; an asynchronous one where nodes await."""
        return GraphRun(self, inputs)

    def validate(self, given: Mapping[str, Any]) -> None:
        """Raise InputInvalid for inputs that an adapter refuses."""
        if not self.adapters.does_method("do_validate_input", is_async=False):
            return
        nodes = self.selection.graph.nodes
        for name in (*self.selection.inputs, *self.selection.constants):
            value = given[name] if name in given else self.selection.graph.config.get(name)
            if value is None:
                continue
            kind = nodes[name].type
            if not self.adapters.call_lifecycle_method_sync("do_validate_input", node_type=kind, input_value=value):
                raise InputInvalid(f"an adapter refuses input '{name}': it should be {kind}, not {type(value)}")


def _nodes(selection: Selection) -> dict[str, Any]:
    """The graph's nodes, with what is called in the place of their functions."""
    nodes = dict(selection.graph.nodes)
    for name, call in selection.calls.items():
        nodes[name] = nodes[name].copy_with(callabl=call)
    return nodes


class GraphRun:
    """Tells adapters of the beginning and the end of one execution."""

    def __init__(self, lifecycle: Lifecycle, inputs: Mapping[str, Any]) -> None:
        self._lifecycle = lifecycle
        overrides = lifecycle.selection.overrides
        self._inputs = {name: value for name, value in inputs.items() if name not in overrides}
        self._overrides = {name: inputs[name] for name in overrides if name in inputs} or None
        self._results: Any = None
        #: `AsyncDriver` tells of the results before they are built.
        self._awaits = False
        self.run_id = str(uuid.uuid4())

    def built(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values, as a result builder makes them; anything but a mapping of the same names is told and dropped."""
        self._results = values
        adapters = self._lifecycle.adapters
        if adapters.does_method("do_build_result", is_async=False):
            built = adapters.call_lifecycle_method_sync("do_build_result", outputs=values)
            if not self._awaits:
                self._results = built
            if isinstance(built, Mapping) and all(name in built for name in values):
                return {name: built[name] for name in values}
        return values

    def __enter__(self) -> GraphRun:
        adapters = self._lifecycle.adapters
        if adapters.does_hook("pre_graph_execute", is_async=False):
            adapters.call_all_lifecycle_hooks_sync("pre_graph_execute", **self._beginning())
        try:
            self._lifecycle.validate(self._inputs)
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        adapters = self._lifecycle.adapters
        if adapters.does_hook("post_graph_execute", is_async=False):
            adapters.call_all_lifecycle_hooks_sync("post_graph_execute", **self._end(error))

    async def __aenter__(self) -> GraphRun:
        self._awaits = True
        await self._lifecycle.make_ready()
        adapters = self._lifecycle.adapters
        if adapters.does_hook("pre_graph_execute", is_async=None):
            await adapters.call_all_lifecycle_hooks_sync_and_async("pre_graph_execute", **self._beginning())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        adapters = self._lifecycle.adapters
        if adapters.does_hook("post_graph_execute", is_async=None):
            await adapters.call_all_lifecycle_hooks_sync_and_async("post_graph_execute", **self._end(error))

    def _beginning(self) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "graph": self._lifecycle.graph,
            "final_vars": list(self._lifecycle.selection.outputs),
            "inputs": self._inputs,
            "overrides": self._overrides,
        }

    def _end(self, error: BaseException | None) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "graph": self._lifecycle.graph,
            "success": error is None,
            "error": error,
            "results": self._results,
        }


def _call(node: Any, adapters: Any, run_id: str, /, **arguments: Any) -> Any:
    """Call a node as Hamilton's driver does."""
    known = {"__node_": node, "__adapter": adapters, "__run_id": run_id, "__task_id": None}
    execute = hamilton("execution.graph_functions").execute_lifecycle_for_node
    if adapters.does_method("do_remote_execute", is_async=False):
        return adapters.call_lifecycle_method_sync(
            "do_remote_execute", node=node, execute_lifecycle_for_node=partial(execute, **known), **arguments
        )
    return execute(**known, **arguments)


async def _call_async(node: Any, adapters: Any, run_id: str, /, **arguments: Any) -> Any:
    """The same of one that may await, between hooks of both kinds."""
    facts = {"run_id": run_id, "node_": node, "kwargs": arguments, "task_id": None}
    await _tell(adapters, "pre_node_execute", facts)
    result: Any = None
    failure: BaseException | None = None
    try:
        if adapters.does_method("do_node_execute", is_async=True):
            given = await adapters.call_lifecycle_method_async("do_node_execute", **facts)
        elif adapters.does_method("do_node_execute", is_async=False):
            given = adapters.call_lifecycle_method_sync("do_node_execute", **facts)
        else:
            given = node.callable(**arguments)
        result = await given if inspect.iscoroutine(given) else given
    except Skip:
        raise
    except BaseException as error:
        failure = error
        raise
    finally:
        outcome = {"success": failure is None, "error": failure, "result": result}
        await _tell(adapters, "post_node_execute", {**facts, **outcome})
    return result


async def _tell(adapters: Any, hook: str, facts: Mapping[str, Any]) -> None:
    if adapters.does_hook(hook, is_async=False):
        adapters.call_all_lifecycle_hooks_sync(hook, **facts)
    if adapters.does_hook(hook, is_async=True):
        await adapters.call_all_lifecycle_hooks_async(hook, **facts)
