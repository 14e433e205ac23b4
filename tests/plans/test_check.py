"""`Catalogue.check` finds what a message would find at night."""

from __future__ import annotations

from typing import Any

import pytest

from fp_events.domain.pipeline import Output, Trigger

from .projects import Project

WORK = """
    from collections import deque
    from typing import Literal, Optional

    def average(reading: float, previous: Optional[list] = None) -> float:
        return reading

    def window(reading: float, previous: Optional[list] = None) -> list:
        return [reading]

    def alert(average: float, line: str, threshold: float = 80.0, mode: Literal["a", "b"] = "a") -> str:
        return line

    def raw(payload: bytes, quality: str = "") -> bytes:
        return payload
"""
TOPIC = "plant/{line}/temperature"


def findings(project: Project, **settings: Any) -> list[str]:
    """All problems of the pipeline `work`; warnings begin with one."""
    settings = {"final_vars": ("alert",), **settings}
    problems = project.catalogue.check(project.pipeline(WORK, **settings))
    return [f"{'warning: ' if problem.warning else ''}{problem}" for problem in problems]


def trigger(**settings: Any) -> Trigger:
    """A trigger at line 4 of the YAML file."""
    return Trigger(topic=settings.pop("topic", TOPIC), where="conf/pipelines/work.yml:4", **settings)


def test_a_pipeline_that_is_right_has_no_problems(project: Project) -> None:
    """Inputs may come from map, run.inputs, params, state and defaults."""
    assert [] == findings(
        project,
        triggers=(trigger(map={"reading": "payload.value ?? 0", "line": "topic.line"}),),
        inputs={"threshold": 70},
        params={"mode": "b"},
        outputs=(Output(node="alert"),),
        state={"window": "previous"},
    )


def test_an_input_that_nothing_fills(project: Project) -> None:
    """The trigger's line is named, who takes the input, and where to fill it."""
    assert [
        "conf/pipelines/work.yml:4: nothing fills input 'line': 'alert' at pipelines/work.py:10 takes it; add `line` to `map`, `run.inputs` or `params`, or give the parameter a default"
    ] == findings(project, triggers=(trigger(map={"reading": "payload.value"}),))


def test_without_a_map_captures_payload_and_message_fill_inputs(project: Project) -> None:
    """As far as they are asked for: `line` is filled here, `reading` is not."""
    (finding,) = findings(project, triggers=(trigger(),))
    assert "nothing fills input 'reading'" in finding
    assert [] == findings(project, triggers=(trigger(),), final_vars=("raw",))


def test_spread_may_fill_anything(project: Project) -> None:
    """Only the message knows the payload's fields."""
    assert [] == findings(project, triggers=(trigger(spread=True),))


def test_a_pipeline_without_triggers_may_get_inputs_by_command(project: Project) -> None:
    """Unfilled inputs are no problem there."""
    assert [] == findings(project)


def test_each_trigger_is_looked_at(project: Project) -> None:
    """Every one has to fill the plan's inputs."""
    right = trigger(map={"reading": "payload", "line": "topic.line"})
    wrong = Trigger(topic="plant/all", map={"reading": "payload"}, where="conf/pipelines/work.yml:9")
    (finding,) = findings(project, triggers=(right, wrong))
    assert finding.startswith("conf/pipelines/work.yml:9: nothing fills input 'line'")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"triggers": (trigger(map={"reading": "payload", "line": "topic.line", "treshold": "payload.t"}),)},
            "conf/pipelines/work.yml:4: `map` fills 'treshold', but no function takes that; did you mean 'threshold'?",
        ),
        (
            {"params": {"treshold": 3}},
            "conf/pipelines/work.yml: `params` fills 'treshold', but no function takes that; did you mean 'threshold'?",
        ),
        (
            {"inputs": {"average": 3}},
            "conf/pipelines/work.yml: `run.inputs` fills 'average', which function 'average' at pipelines/work.py:4 computes; rename one of them: the input would be ignored",
        ),
        (
            {"state": {"window": "previously"}},
            "conf/pipelines/work.yml: `state` fills 'previously', but no function takes that; did you mean 'previous'?",
        ),
        (
            {"state": {"line": "previous"}},
            "conf/pipelines/work.yml: `state` keeps 'line', which is an input and not computed; keep a node that is computed from 'line'",
        ),
        (
            {"config": {"threshold": 3.0}, "params": {"threshold": 4.0}},
            "conf/pipelines/work.yml: `params` fills 'threshold', which `run.config` sets; remove one of them",
        ),
        (
            {"triggers": (trigger(map={"reading": "payload", "line": "topic.site"}),)},
            "conf/pipelines/work.yml:4: `map` cannot fill 'line': path 'topic.site': topic 'plant/{line}/temperature' does not capture 'site'; its captures are line",
        ),
        (
            {"triggers": (trigger(map={"reading": "payload", "line": "topic.line", "quality": "payload.q"}),)},
            "warning: conf/pipelines/work.yml:4: `map` fills 'quality', which nothing that is asked for needs; remove it, or add a node that needs it to `outputs`",
        ),
        (
            {"config": {"average": 3.0}},
            "warning: conf/pipelines/work.yml: `run.config` has a key 'average', so function 'average' at pipelines/work.py:4 never runs; rename the key, unless that is what you want",
        ),
    ],
)
def test_a_name_that_does_not_fit(project: Project, settings: dict[str, Any], expected: str) -> None:
    """What is filled must be an input that somebody takes."""
    assert [expected] == findings(project, **settings)


@pytest.mark.parametrize(
    ("name", "path", "kind"),
    [
        ("reading", "topic.line", "float"),
        ("reading", "topic", "float"),
        ("line", "message.qos", "str"),
        ("line", "message.received_at", "str"),
        ("line", "message.properties.message_expiry", "str"),
        ("line", "message.payload", "str"),
    ],
)
def test_a_path_of_a_known_type_contradicts_a_hint(project: Project, name: str, path: str, kind: str) -> None:
    """What comes of the path is never what the function takes."""
    mapped = {"reading": "payload", "line": "topic.line", name: path}
    (finding,) = findings(project, triggers=(trigger(map=mapped),))
    assert finding.startswith(f"conf/pipelines/work.yml:4: `map` gives '{name}' {path}, a ")
    assert f"takes it as {kind};" in finding


@pytest.mark.parametrize(
    "mapped",
    [
        {"reading": "message.qos", "line": "topic.line"},
        {"reading": "payload", "line": "message.properties.content_type"},
        {"reading": "payload", "line": 'message.qos ?? "none"'},
        {"reading": "payload", "line": "message.properties.user.site"},
    ],
)
def test_what_may_fit_is_no_finding(project: Project, mapped: dict[str, str]) -> None:
    """An int will do for a float, and a property may be there."""
    assert [] == findings(project, triggers=(trigger(map=mapped),))


@pytest.mark.parametrize(
    ("hint", "wrong", "right"),
    [
        ("float", ["80", None, [1.0]], [80, 80.5, True]),
        ("int", ["80", 80.5, None], [80]),
        ("str", [80, 8.5, True], ["80"]),
        ("bool", ["yes", 1], [True]),
        ("list[float]", ["1", ["a"], [1, "2"]], [[1, 2.5], []]),
        ("dict[str, int]", [[1], {"a": "1"}], [{"a": 1}, {}]),
        ("float | None", ["80"], [None, 80]),
        ("Optional[str]", [3], [None, "a"]),
        ("Literal['a', 'b']", ["c", 1], ["a"]),
        ("Annotated[int, 'positive']", ["1"], [1]),
        ("NewType('Celsius', float)", ["1"], [1.5]),
        ("Sequence[str]", [3, [4]], [["a"], "text"]),
        ("Mapping", [3, "a"], [{}]),
        ("Path", [], ["a", 3]),
        ("Any", [], [None, "a", 3]),
        ("T", [], ["a"]),
    ],
)
def test_values_of_the_yaml_file_against_hints(
    project: Project, hint: str, wrong: list[object], right: list[object]
) -> None:
    """Only what cannot be is reported."""
    source = f"""
        from collections.abc import Mapping, Sequence
        from pathlib import Path
        from typing import Annotated, Any, Literal, NewType, Optional, TypeVar

        T = TypeVar("T")

        def taken(x: {hint}) -> int:
            return 1
    """
    project.write("pipelines/work.py", source)

    def count(value: object) -> int:
        return len(project.catalogue.check(project.pipeline(params={"x": value})))

    assert [1] * len(wrong) == [count(value) for value in wrong]
    assert [0] * len(right) == [count(value) for value in right]


def test_a_value_in_quotes_gets_its_mend(project: Project) -> None:
    """The commonest mistake of YAML."""
    assert [
        "conf/pipelines/work.yml: `run.inputs` gives 'threshold' '80', but 'alert' at pipelines/work.py:10 takes it as float; write it without quotes"
    ] == findings(project, inputs={"threshold": "80"})


def test_state_that_does_not_fit_its_input(project: Project) -> None:
    """The kept node's type is compared with the input's, and with None, which comes first."""
    source = """
        def count(previous: int) -> int:
            return 1

        def text(previous: int) -> str:
            return ""

        def lenient(before: int = 0) -> int:
            return before
    """

    def found(state: dict[str, str]) -> list[str]:
        project.write("pipelines/work.py", source)
        return [str(problem) for problem in project.catalogue.check(project.pipeline(state=state))]

    assert [
        "pipelines/work.py:1: input 'previous' is None in the first run of each key, but it is taken as int; write `previous: int | None`"
    ] == found({"count": "previous"})
    assert [
        "pipelines/work.py:1: `state` gives 'previous' the value of 'text', a str, taken as int; make the two type hints agree"
    ] == found({"text": "previous"})
    assert [] == found({"lenient": "before"})


def test_a_parallelizable_plan_is_a_warning(project: Project) -> None:
    """It works, by a slower way."""
    source = """
        from hamilton.htypes import Collect, Parallelizable

        def item(x: int) -> Parallelizable[int]:
            yield from range(x)

        def total(item: Collect[int]) -> int:
            return sum(item)
    """
    (problem,) = project.catalogue.check(project.pipeline(source))
    assert problem.warning
    assert "pipelines/work.py:3" == problem.where


def test_what_does_not_compile_is_found_whole(project: Project) -> None:
    """All problems of compiling are listed, not just the first."""
    problems = project.catalogue.check(
        project.pipeline("def a(x) -> int:\n    return 1\n\n\ndef b(x: int):\n    pass\n")
    )
    assert ["pipelines/work.py:1", "pipelines/work.py:5"] == [problem.where for problem in problems]
