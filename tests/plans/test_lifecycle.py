"""Lifecycle adapters are called when, and with what, Hamilton's own driver calls them."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from fp_events.domain.errors import ConfigError, InputInvalid
from fp_events.domain.pipeline import ExecutorSpec, Pipeline
from fp_events.plans.catalogue import Catalogue
from fp_events.plans.hamilton_api import hamilton

from .projects import Project

ROOT = Path(__file__).parents[2]
POWER_USER = {"hamilton.enable_power_user_mode": True}

#: One event: the hook, and what it was given in a form that two runs have in common.
Event = tuple[Any, ...]


def _plain(value: Any) -> Any:
    """A value that can be compared: ids of runs and objects of a graph by what they stand for."""
    if isinstance(value, BaseException):
        return type(value).__name__, str(value)
    if isinstance(value, Mapping):
        return sorted(((key, _plain(item)) for key, item in value.items()), key=str)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "nodes") and hasattr(value, "config"):
        return sorted(value.nodes)
    if hasattr(value, "originating_functions"):
        return "node", value.name
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if hasattr(value, "__code__") or type(value).__module__.startswith("hamilton"):
        return type(value).__name__
    return getattr(value, "__name__", value)


def recorder(*, asynchronous: bool = False) -> Any:
    """An adapter with every hook there is; its `events` are what it was told."""
    base = hamilton("lifecycle.base")
    bases = (
        base.BasePreDoAnythingHook,
        base.BaseValidateNode,
        base.BaseValidateGraph,
        base.BasePostGraphConstruct,
        base.BasePreGraphExecute,
        base.BasePreNodeExecute,
        base.BasePostNodeExecute,
        base.BasePostGraphExecute,
        base.BasePostTaskGroup,
        base.BasePostTaskExpand,
        base.BasePreTaskSubmission,
        base.BasePreTaskExecute,
        base.BasePostTaskExecute,
        base.BasePostTaskReturn,
    )
    async_bases = (
        base.BasePostGraphConstructAsync,
        base.BasePreGraphExecuteAsync,
        base.BasePreNodeExecuteAsync,
        base.BasePostNodeExecuteAsync,
        base.BasePostGraphExecuteAsync,
    )
    hooks = [
        "pre_do_anything", "post_graph_construct", "pre_graph_execute", "pre_node_execute", "post_node_execute",
        "post_graph_execute", "post_task_group", "post_task_expand", "pre_task_submission", "pre_task_execute",
        "post_task_execute", "post_task_return",
    ]  # fmt: skip
    members: dict[str, Any] = {}
    chosen = hooks
    if asynchronous:
        chosen = [hook for hook in hooks if "graph" in hook or "node" in hook]

    def note(self: Any, hook: str, facts: dict[str, Any]) -> None:
        ids = {"run_id", "task_id", "spawning_task_id", "purpose"}
        given = {name: _plain(value) for name, value in facts.items() if name not in ids}
        self.events.append((hook, sorted(facts), given))
        self.run_ids.add(facts.get("run_id"))

    def sync_hook(name: str) -> Callable[..., None]:
        return lambda self, **facts: note(self, name, facts)

    def async_hook(name: str) -> Callable[..., Any]:
        async def told(self: Any, **facts: Any) -> None:
            note(self, name, facts)

        return told

    for name in chosen:
        members[name] = async_hook(name) if asynchronous else sync_hook(name)
    if not asynchronous:

        def validate_node(self: Any, *, created_node: Any) -> tuple[bool, None]:
            self.events.append(("validate_node", created_node.name))
            return True, None

        def validate_graph(self: Any, *, graph: Any, modules: Any, config: Any) -> tuple[bool, None]:
            self.events.append(("validate_graph", sorted(graph.nodes), [each.__name__ for each in modules], config))
            return True, None

        members |= {"validate_node": validate_node, "validate_graph": validate_graph}
    made = type("Recorder", async_bases if asynchronous else bases, members)
    found: Any = made()
    found.events = []
    found.run_ids = set()
    return found


def by_driver(
    module: Any, config: Mapping[str, Any], names: Sequence[str], inputs: Any, adapters: Sequence[Any]
) -> Any:
    """Values by Hamilton's driver; its error where it raises."""
    driver = hamilton("driver")
    logging.getLogger("hamilton.driver").disabled = True
    builder = driver.Builder().with_modules(module).with_config(dict(config)).with_adapters(*adapters)
    built = builder.build()
    try:
        return built.execute(list(names), inputs=dict(inputs))
    except Exception as error:  # noqa: BLE001 (compared with what the plan raises)
        return error


def by_plan(catalogue: Catalogue, pipeline: Pipeline, inputs: Any, adapters: Sequence[Any]) -> Any:
    """The same by a plan."""
    plan = catalogue.plan(pipeline, adapters=adapters)
    try:
        return plan.execute(inputs)
    except Exception as error:  # noqa: BLE001 (as above)
        return error


MODULES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("plain", {"first": 1}, {}),
    ("plain", {"second": 4, "first": 1, "third": 9}, {}),
    ("parameterized", {"base": 4, "a": "x", "b": "y"}, {}),
    ("injected", {"start": 3}, {}),
    ("extracted", {"rows": 3}, {}),
    ("unwrapped", {"start": 4, "unit": "km", "extra": 1}, {}),
    ("checked", {"reading": 50.0}, {}),
    ("strict", {"raw": 7}, {}),
    ("strict", {"raw": 70}, {}),
    ("configured", {"base": 4}, {"mode": "fast"}),
    ("done_by", {"a": 1, "b": 2, "c": 3}, {}),
    ("subdags", {"seed": 2}, {}),
    ("piped", {"seed": 2, "number": 3}, {"double": True}),
    ("resolved", {"start": 2}, {"pairs": {"ab": ["a", "b"]}, "names": ["p", "q"], **POWER_USER}),
    ("framed", {"rows": 4, "shift": 0.5}, {}),
    ("wrapped", {"a": 5, "b": 3}, {}),
    ("overridden", {"start": 1}, {}),
]


@pytest.mark.parametrize(("module", "inputs", "config"), MODULES, ids=lambda value: str(value)[:30])
def test_hooks_are_told_what_the_driver_tells_them(module: str, inputs: dict[str, Any], config: dict[str, Any]) -> None:
    """Event for event, with equal arguments, from the graph's construction to the end of a run that may fail."""
    catalogue = Catalogue(ROOT)
    pipeline = Pipeline(name=module, module=f"tests.plans.modules.{module}", config=config)
    graph = catalogue.graph(pipeline)
    # The columns of `framed` are nodes of their own too, which need other inputs.
    names = tuple(name for name in graph.computed() if name not in {"ratio", "shifted"})
    pipeline = Pipeline(name=module, module=pipeline.module, config=config, final_vars=names)
    theirs, ours = recorder(), recorder()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        expected = by_driver(graph.module, config, names, inputs, [theirs])
        actual = by_plan(catalogue, pipeline, inputs, [ours])

    assert type(expected) is type(actual)
    assert list(map(repr, theirs.events)) == list(map(repr, ours.events))
    assert any(event[0] == "post_node_execute" for event in ours.events)
    assert 1 == len(ours.run_ids - {None})


def test_tasks_of_the_driver_are_told(project: Project) -> None:
    """With `Parallelizable` adapters go to the driver: hooks of tasks, of nodes, and of the graph."""
    driver = hamilton("driver")
    catalogue = Catalogue(ROOT)
    pipeline = Pipeline(name="branching", module="tests.plans.modules.branching", executor=ExecutorSpec("local"))
    module = catalogue.graph(pipeline).module
    plan_names = catalogue.graph(pipeline).terminals()
    theirs, ours = recorder(), recorder()
    executors = hamilton("execution.executors")

    built = (
        driver.Builder()
        .enable_dynamic_execution(allow_experimental_mode=True)
        .with_local_executor(executors.SynchronousLocalTaskExecutor())
        .with_remote_executor(executors.SynchronousLocalTaskExecutor())
        .with_modules(module)
        .with_adapters(theirs)
        .build()
    )
    expected = built.execute(plan_names, inputs={"start": 1})
    plan = catalogue.plan(pipeline, final_vars=plan_names, adapters=[ours])
    actual = plan.execute({"start": 1})

    assert plan.through_driver
    assert expected == actual
    assert sorted(map(repr, theirs.events)) == sorted(map(repr, ours.events))
    assert {"pre_task_execute", "post_task_expand", "post_task_group", "post_task_return"} <= {
        event[0] for event in ours.events
    }


def test_hooks_that_await_are_told_what_the_async_driver_tells_them() -> None:
    """Node by node with equal arguments; the graph's hooks first and last. Which node comes first may differ."""
    catalogue = Catalogue(ROOT)
    pipeline = Pipeline(name="awaiting", module="tests.plans.modules.awaiting")
    graph = catalogue.graph(pipeline)
    names = tuple(graph.terminals())
    theirs, ours = recorder(asynchronous=True), recorder(asynchronous=True)

    async def by_async_driver() -> Any:
        builder = hamilton("async_driver").Builder().with_modules(graph.module).with_adapters(theirs)
        return await (await builder.build()).execute(list(names), inputs={"key": 5})

    plan = catalogue.plan(pipeline, final_vars=names, adapters=[ours])

    assert asyncio.run(by_async_driver()) == plan.execute({"key": 5})
    assert sorted(map(repr, theirs.events)) == sorted(map(repr, ours.events))
    assert [theirs.events[at] for at in (0, 1, -1)] == [ours.events[at] for at in (0, 1, -1)]


def test_hooks_that_do_not_await_are_told_of_values(project: Project) -> None:
    """In a plan with async nodes too, where Hamilton's driver hands them tasks; a failure is told as one."""
    source = """
        import asyncio
        async def fetched(n: int) -> int:
            await asyncio.sleep(0)
            return n + 1
        def doubled(fetched: int) -> int:
            return 2 * fetched
        async def broken(doubled: int) -> int:
            raise ValueError("no")
    """
    told = recorder()
    plan = project.catalogue.plan(project.pipeline(source), adapters=[told])

    with pytest.raises(ValueError, match="no") as raised:
        plan.execute({"n": 1})

    assert "broken" == plan.failed_node(raised.value)
    results = [
        (dict(facts)["node_"][1], dict(facts)["success"], dict(facts)["result"], dict(facts)["error"])
        for hook, _, facts in (event for event in told.events if event[0] == "post_node_execute")
    ]
    assert [
        ("fetched", True, 2, None), ("doubled", True, 4, None), ("broken", False, None, ("ValueError", "no"))
    ] == results  # fmt: skip


def test_methods_take_the_place_of_what_hamilton_does(project: Project) -> None:
    """An adapter may execute nodes, validate inputs and build the result."""
    hamilton("lifecycle.base")
    from hamilton.lifecycle import base

    class Methods(base.BaseDoNodeExecute, base.BaseDoValidateInput, base.BaseDoBuildResult):  # type: ignore[misc]  # Hamilton is untyped
        def do_node_execute(self, *, run_id: str, node_: Any, kwargs: Any, task_id: Any = None) -> Any:
            return node_.callable(**kwargs) + 100

        def do_validate_input(self, *, node_type: type, input_value: Any) -> bool:
            return isinstance(input_value, node_type)

        def do_build_result(self, *, outputs: Any) -> Any:
            return {name: -value for name, value in outputs.items()}

    source = """
        def one(n: int) -> int:
            return n + 1
        def two(one: int) -> int:
            return 2 * one
    """
    plan = project.catalogue.plan(project.pipeline(source), adapters=[Methods()])
    module = project.catalogue.graph(project.pipeline()).module

    assert by_driver(module, {}, ["two"], {"n": 1}, [Methods()]) == plan.execute({"n": 1})
    with pytest.raises(InputInvalid, match="an adapter refuses input 'n'"):
        plan.execute({"n": "1"})


def test_nodes_executed_elsewhere_have_their_hooks_there(project: Project) -> None:
    """`do_remote_execute` is given what calls hooks and node."""
    hamilton("lifecycle.base")
    from hamilton.lifecycle import base

    told: list[str] = []

    class Remote(base.BaseDoRemoteExecute, base.BasePreNodeExecute):  # type: ignore[misc]  # Hamilton is untyped
        def do_remote_execute(self, *, node: Any, execute_lifecycle_for_node: Any, **kwargs: Any) -> Any:
            told.append(f"remote {node.name}")
            return execute_lifecycle_for_node(**kwargs)

        def pre_node_execute(self, *, run_id: str, node_: Any, kwargs: Any, task_id: Any = None) -> None:
            told.append(f"pre {node_.name}")

    source = """
        from fp_events import when
        def one(n: int) -> int:
            return n + 1
        @when(lambda n: n > 0)
        def two(n: int) -> int:
            return n
        async def three(n: int) -> int:
            return n
    """
    one = project.catalogue.plan(project.pipeline(source), final_vars=["one"], adapters=[Remote()])

    assert {"one": 2} == one.execute({"n": 1})
    assert ["remote one", "pre one"] == told
    for name, what in (("two", "a condition"), ("three", "are async")):
        with pytest.raises(ConfigError, match=what):
            project.catalogue.plan(project.pipeline(), final_vars=[name], adapters=[Remote()])


def test_skips_retries_and_traces_beside_adapters(project: Project) -> None:
    """A skipped node is no failure, what needs it is not called, and the trace has both."""
    source = """
        from fp_events import retry, when
        calls = []
        @when(lambda n: n > 5)
        def big(n: int) -> int:
            return n
        def bigger(big: int) -> int:
            return big + 1
        @retry(2)
        def again(n: int) -> int:
            calls.append(n)
            if len(calls) == 1:
                raise ValueError
            return n
    """
    told = recorder()
    run = project.catalogue.plan(project.pipeline(source), adapters=[told]).traced()

    assert {"again": 1} == run.execute({"n": 1})
    after = [dict(facts) for hook, _, facts in (event for event in told.events if event[0] == "post_node_execute")]
    assert [("again", True, 1), ("big", True, None)] == [
        (facts["node_"][1], facts["success"], facts["result"]) for facts in after
    ]
    assert [("again", "succeeded", 2), ("big", "skipped", 0), ("bigger", "skipped", 0)] == [
        (record.node, record.status, record.attempts) for record in run.nodes()
    ]


def test_adapters_that_exclude_one_another_are_one_error(project: Project) -> None:
    """Two that build the result cannot both."""
    hamilton("lifecycle.base")
    from hamilton.lifecycle import base

    class Builds(base.BaseDoBuildResult):  # type: ignore[misc]  # Hamilton is untyped
        def do_build_result(self, *, outputs: Any) -> Any:
            return outputs

    pipeline = project.pipeline("def one(n: int) -> int:\n    return n\n")

    with pytest.raises(ConfigError, match="the adapters Builds, Builds exclude one another"):
        project.catalogue.plan(pipeline, adapters=[Builds(), Builds()])


def test_an_adapter_that_refuses_the_graph_is_one_error(project: Project) -> None:
    """With the file whose functions it refuses."""
    hamilton("lifecycle.base")
    from hamilton.lifecycle import base

    class Strict(base.BaseValidateNode):  # type: ignore[misc]  # Hamilton is untyped
        def validate_node(self, *, created_node: Any) -> tuple[bool, str]:
            return created_node.name != "one", "no ones"

    pipeline = project.pipeline("def one(n: int) -> int:\n    return n\n")

    with pytest.raises(ConfigError, match=r"^pipelines/work.py: an adapter refuses the functions: .*no ones"):
        project.catalogue.plan(pipeline, adapters=[Strict()])
