"""What a plan does when it runs."""

from __future__ import annotations

import gc
import time
import weakref
from typing import Any

import pytest

from fp_events.domain.errors import InputInvalid
from fp_events.domain.pipeline import Output

from .projects import Project

CHAIN = """
    def a(start: int, by: int = 1) -> int:
        return start + by

    def b(a: int) -> int:
        return a * 2

    def c(b: int) -> int:
        return b - 1

    def aside(start: int) -> int:
        raise RuntimeError("nobody asked")
"""


def test_only_what_is_asked_for_runs(project: Project) -> None:
    """A node that no output needs is not called."""
    plan = project.catalogue.plan(project.pipeline(CHAIN, final_vars=("c",)))
    assert {"c": 3} == plan.execute({"start": 1})


def test_terminal_nodes_are_the_default(project: Project) -> None:
    """Without final_vars and outputs, what nothing consumes is returned."""
    assert ("aside", "c") == project.catalogue.plan(project.pipeline(CHAIN)).outputs


def test_outputs_and_state_are_always_computed(project: Project) -> None:
    """Nodes of `outputs` and `state` come on top of final_vars, once each."""
    pipeline = project.pipeline(
        CHAIN, final_vars=("c",), outputs=(Output(node="b"), Output(node="c")), state={"a": "start"}
    )
    assert ("c", "b", "a") == project.catalogue.plan(pipeline).outputs
    assert ("a", "b", "c") == project.catalogue.plan(pipeline, final_vars=["a"]).outputs


def test_inputs_say_what_is_required(project: Project) -> None:
    """An input is required where one function of the plan has no default for it."""
    plan = project.catalogue.plan(project.pipeline(CHAIN, final_vars=("c",)))
    assert {"start": True, "by": False} == dict(plan.inputs)


def test_an_optional_input_is_left_out_of_the_call(project: Project) -> None:
    """The function's own default holds, and None is a value like any other."""
    source = """
        def seen(x: object = "default", y: int = 1) -> list:
            return [x, y]
    """
    plan = project.catalogue.plan(project.pipeline(source))
    assert {"seen": ["default", 1]} == plan.execute({})
    assert {"seen": [None, 1]} == plan.execute({"x": None})
    assert {"seen": ["default", 5]} == plan.execute({"y": 5, "unknown": 0})


def test_a_missing_input_is_named(project: Project) -> None:
    """InputInvalid says which inputs the plan lacks."""
    plan = project.catalogue.plan(project.pipeline(CHAIN, final_vars=("c",)))
    with pytest.raises(InputInvalid, match="pipeline 'work' needs input 'start'"):
        plan.execute({"by": 2})


def test_an_error_passes_unchanged_and_its_node_is_known(project: Project) -> None:
    """`failed_node` reads the node off the traceback."""
    source = """
        from hamilton.function_modifiers import extract_fields

        class Broken(Exception):
            pass

        def a(start: int) -> int:
            return start

        @extract_fields({"x": int, "y": int})
        def pair(a: int) -> dict:
            raise Broken(a)

        def total(x: int, y: int) -> int:
            return x + y
    """
    plan = project.catalogue.plan(project.pipeline(source))
    with pytest.raises(Exception, match="5") as caught:
        plan.execute({"start": 5})
    assert "pipelines.work.Broken" == f"{type(caught.value).__module__}.{type(caught.value).__qualname__}"
    assert "pair" == plan.failed_node(caught.value)
    assert "" == plan.failed_node(ValueError("from elsewhere"))


def test_an_error_under_decorators_shows_the_users_lines_only(project: Project) -> None:
    """No wrapper of Hamilton's stands between the plan and the function."""
    code = """
        from hamilton.function_modifiers import extract_fields, group, inject, parameterize, source, value

        @extract_fields({"field": int})
        @parameterize(fields={"a": source("start"), "b": value(0)})
        def divided(a: int, b: int) -> dict:
            return {"field": a / b}

        @inject(items=group(source("start"), value(2)))
        def total(items: list[int]) -> int:
            return items["x"]
    """
    for node, function, kind in (("field", "divided", ZeroDivisionError), ("total", "total", TypeError)):
        plan = project.catalogue.plan(project.pipeline(code, final_vars=(node,)))
        with pytest.raises(kind) as caught:
            plan.execute({"start": 1})
        frames = [entry.name for entry in caught.traceback]
        assert ["execute", "run", function] == frames[-3:]
        assert plan.failed_node(caught.value) in ("fields", "total")


def test_a_key_error_of_a_node_is_not_taken_for_a_missing_input(project: Project) -> None:
    """A KeyError out of the user's function stays one."""
    source = """
        def looked_up(start: int) -> int:
            return {}[start]
    """
    plan = project.catalogue.plan(project.pipeline(source))
    with pytest.raises(KeyError) as caught:
        plan.execute({"start": 5})
    assert "looked_up" == plan.failed_node(caught.value)


def test_overrides_cut_what_is_above(project: Project) -> None:
    """An overridden node's value comes with the inputs, and what only it needed is not asked for."""
    plan = project.catalogue.plan(project.pipeline(CHAIN, final_vars=("c",)), overrides=["a"])
    assert {"a": True} == dict(plan.inputs)
    assert {"c": 199} == plan.execute({"a": 100})


def test_configuration_values_are_inputs_too(project: Project) -> None:
    """A parameter named like a configuration key gets its value."""
    pipeline = project.pipeline(CHAIN, final_vars=("c",), config={"start": 4})
    plan = project.catalogue.plan(pipeline)
    assert {"by": False} == dict(plan.inputs)
    assert {"c": 9} == plan.execute({})
    assert {"c": 21} == project.catalogue.plan(pipeline, config={"start": 10}).execute({})


def test_an_input_may_be_asked_for(project: Project) -> None:
    """A final variable that is an input passes through, and is required then."""
    plan = project.catalogue.plan(project.pipeline(CHAIN, final_vars=("by", "c")))
    assert {"start": True, "by": True} == dict(plan.inputs)
    assert {"by": 3, "c": 7} == plan.execute({"start": 1, "by": 3})


def test_long_chains_compile_and_run(project: Project) -> None:
    """3,000 functions in a row are no deeper for us than one."""
    lines = ["def n0(x: int) -> int:\n    return x\n"]
    lines += [f"def n{i}(n{i - 1}: int) -> int:\n    return n{i - 1} + 1\n" for i in range(1, 3000)]
    project.write("pipelines/work.py", "\n".join(lines))
    plan = project.catalogue.plan(project.pipeline())
    assert {"n2999": 2999} == plan.execute({"x": 0})


def test_names_that_no_keyword_argument_can_have(project: Project) -> None:
    """Dotted names and words of Python travel by ** and never enter the source as code."""
    source = """
        from hamilton.function_modifiers import parameterize, source

        @parameterize(**{"class": {"x": source("import")}, "größe": {"x": source("class")}})
        def made(x: int) -> int:
            return x + 1

        def total(größe: int) -> int:
            return größe * 10
    """
    plan = project.catalogue.plan(project.pipeline(source))
    assert {"total": 30} == plan.execute({"import": 1})


def test_values_go_when_nothing_needs_them(project: Project) -> None:
    """A large value is freed while the plan still runs, as the driver does it."""
    source = """
        class Large:
            pass

        def large(start: int) -> Large:
            return Large()

        def watched(large: Large, watch: object) -> int:
            watch(large)
            return 1

        def after(watched: int) -> int:
            return watched + 1

        def alive(after: int, count: object) -> int:
            return count()
    """
    plan = project.catalogue.plan(project.pipeline(source))
    references: list[Any] = []

    def count() -> int:
        gc.collect()
        return sum(reference() is not None for reference in references)

    assert {"alive": 0} == plan.execute(
        {"start": 1, "watch": lambda value: references.append(weakref.ref(value)), "count": count}
    )


def test_a_plan_costs_what_calls_cost(project: Project) -> None:
    """A plan of 50 nodes takes less than twice the time of the same calls written by hand."""
    source = "def n0(x: int) -> int:\n    return x\n"
    source += "".join(f"def n{i}(n{i - 1}: int, x: int) -> int:\n    return n{i - 1} + x\n" for i in range(1, 50))
    project.write("pipelines/work.py", source)
    plan = project.catalogue.plan(project.pipeline())
    calls = "".join(f"    v{i} = n{i}(v{i - 1}, x)\n" for i in range(1, 50))
    by_hand: dict[str, Any] = {}
    exec(
        f"{source}\ndef run(inputs):\n    x = inputs['x']\n    v0 = n0(x)\n{calls}    return {{'n49': v49}}\n", by_hand
    )
    assert by_hand["run"]({"x": 1}) == plan.execute({"x": 1})
    assert _best(plan.execute) < 2 * _best(by_hand["run"])


def _best(run: Any) -> float:
    """Seconds of the fastest of some rounds: what other processes do only makes rounds slower."""
    rounds = []
    for _ in range(40):
        start = time.perf_counter()
        for _ in range(50):
            run({"x": 1})
        rounds.append(time.perf_counter() - start)
    return min(rounds)
