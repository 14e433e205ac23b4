"""Loops of publishing and triggering, and names that no message fills, are found from settings alone."""

from __future__ import annotations

from itertools import permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fp_events.domain.feedback import MOST_LOOPS, daemon_loops, feedback_loops, published
from fp_events.domain.pipeline import Output, Pipeline, Trigger
from fp_events.domain.placeholders import unfilled_names
from fp_events.domain.topics import overlaps


def pipeline(name: str, trigger: str, output: str | None) -> Pipeline:
    """One trigger, and one output unless it is None."""
    outputs = () if output is None else (Output(node="node", topic=output or None),)
    return Pipeline(name=name, module=f"pipelines.{name}", triggers=(Trigger(topic=trigger),), outputs=outputs)


def results(pipeline: str, node: str) -> str:
    """Where results go that name no topic."""
    return f"fp/p/results/{pipeline}/{node}"


@pytest.mark.parametrize(
    ("trigger", "output", "found"),
    [
        ("in/{line}", "out/{line}", None),
        ("in/{line}", "in/a", "error"),
        ("in/{line}", "in/{line}", "error"),
        ("in/{line}", "{topic}", "error"),
        ("in/{rest#}", "in/{rest}", "error"),
        ("in/+", "in/{value.place}", "warning"),
        ("in/a", "in/{value.place}", "warning"),
        ("in/a/{line}", "in/{line}/b", "warning"),
        ("in/{line}/a", "in/{line}/b", None),
        ("fp/p/#", "", "error"),
        ("#", "out", "error"),
    ],
)
def test_a_pipeline_that_feeds_itself(trigger: str, output: str, found: str | None) -> None:
    """An error where the trigger takes in whatever is published, a warning where a value may keep the two apart."""
    problems = feedback_loops([pipeline("a", trigger, output)], results)

    assert [found] * (found is not None) == ["warning" if each.warning else "error" for each in problems]


def test_a_loop_over_two_pipelines_is_one_warning() -> None:
    """Whichever of the two comes first."""
    problems = feedback_loops([pipeline("b", "x", "y"), pipeline("a", "y", "x")], results)

    assert [("pipelines trigger each other in a loop: a -> b -> a", True)] == [(p.what, p.warning) for p in problems]


@pytest.mark.parametrize(
    ("trigger", "found"),
    [
        ("in/#", []),
        ("fp/p/events/b/#", []),
        ("#", [False]),
        ("fp/{rest#}", [False]),
        ("fp/p/events/{pipeline_name}/{event}", [False]),
        ("fp/p/events/+/failed", [True]),
    ],
)
def test_a_trigger_on_what_the_daemon_tells(trigger: str, found: list[bool]) -> None:
    """What every run makes it tell is an error, what some do a warning; other pipelines may be listened to."""
    problems = daemon_loops(
        [pipeline("a", trigger, None)],
        lambda name: [f"fp/p/events/{name}/succeeded"],
        lambda name: [f"fp/p/events/{name}/+"],
    )

    assert found == [problem.warning for problem in problems]


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"key": "{line}-{payload.id}-{topic}-{pipeline}"}, []),
        ({"key": "{lane}"}, ["`key` names 'lane', which topic 'in/{line}' does not capture"]),
        ({"key": "{key}"}, ["`key` names {key}, which there is only after the run"]),
        ({"identity": "topic.line"}, []),
        ({"identity": "payload.lane"}, []),
        ({"identity": "topic.lane"}, ["`identity` names 'lane', which topic 'in/{line}' does not capture"]),
    ],
)
def test_names_of_a_trigger_that_nothing_fills(settings: dict[str, str], found: list[str]) -> None:
    """Captures are the trigger's own; a key is made before the run."""
    trigger = Trigger(topic="in/{line}", key=settings.get("key"), identity=settings.get("identity"), where="a.yml:3")

    problems = list(unfilled_names(Pipeline(name="a", module="a", triggers=(trigger,))))

    assert [("a.yml:3", text) for text in found] == [(problem.where, problem.what) for problem in problems]


def test_an_outputs_topic_is_filled_by_every_trigger() -> None:
    """The one that does not capture a name is told; without triggers, a command's inputs fill it."""
    output = Output(node="node", topic="out/{line}/{value.id}")
    triggers = (Trigger(topic="in/{line}"), Trigger(topic="in/all"), Trigger(topic="in/{lines}"))

    problems = list(unfilled_names(Pipeline(name="a", module="a", triggers=triggers, outputs=(output,))))

    assert [
        "`outputs[0].topic` names 'line', which topic 'in/all' does not capture; capture a level of it as {line}",
        "`outputs[0].topic` names 'line', which topic 'in/{lines}' does not capture; did you mean 'lines'?",
    ] == [str(problem) for problem in problems]
    assert [] == list(unfilled_names(Pipeline(name="a", module="a", outputs=(output,))))


REST = st.sampled_from([[], [], ["#"]])
LEVEL = st.sampled_from(["a", "b", "+"])
FILTER = st.builds(lambda levels, rest: "/".join(levels + rest), st.lists(LEVEL, min_size=1, max_size=3), REST)
TOPIC = st.lists(st.sampled_from(["a", "b", "{value.x}"]), min_size=1, max_size=3).map("/".join)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.lists(FILTER, max_size=4), st.lists(TOPIC | st.just("{topic}"), max_size=3)), max_size=5))
def test_what_feeds_whom_is_what_pairs_say(given_: list[tuple[list[str], list[str]]]) -> None:
    """Every output against every trigger: a problem where both are one pipeline's, in that order, then the loops."""
    pipelines = [
        Pipeline(
            name=f"p{number}",
            module="m",
            triggers=tuple(Trigger(topic=text, where=f"{number}:{i}") for i, text in enumerate(triggers)),
            outputs=tuple(Output(node="n", topic=text, where=f"{number}/{i}") for i, text in enumerate(outputs)),
        )
        for number, (triggers, outputs) in enumerate(given_)
    ]
    pairs = [
        (source.name, target.name, output.where, trigger.topic)
        for source, target in product(pipelines, pipelines)
        for output, trigger in product(source.outputs, target.triggers)
        if overlaps(published(source, output, results), trigger.topic)
    ]
    graph = {(source, target) for source, target, *_ in pairs}
    rings = [ring for size in range(2, 6) for ring in permutations([each.name for each in pipelines], size)]
    loops = {frozenset(ring) for ring in rings if graph.issuperset(zip(ring, ring[1:] + ring[:1], strict=True))}

    problems = feedback_loops(pipelines, results)
    longer = [problem for problem in problems if "in a loop" in problem.what]

    assert [(where, f"({topic})") for source, target, where, topic in pairs if source == target] == [
        (problem.where, problem.what.split()[-1]) for problem in problems if problem not in longer
    ]
    assert loops == {frozenset(problem.what.partition(": ")[2].split(" -> ")) for problem in longer}
    assert len(loops) == len(longer)


def test_of_countless_loops_the_first_are_told() -> None:
    """Twenty pipelines that all trigger each other: as many warnings as someone reads, at once."""
    problems = feedback_loops([pipeline(f"p{number}", "+", "{value.x}") for number in range(20)], results)

    assert 20 + MOST_LOOPS == len(problems)


def test_ten_thousand_triggers_are_checked_one_by_one() -> None:
    """Not pair by pair, which would take minutes."""
    one = Pipeline(
        name="a",
        module="a",
        triggers=tuple(Trigger(topic=f"in/{number}/{{line}}") for number in range(10_000)),
        outputs=tuple(Output(node="node", topic=f"in/{number}/{{line}}") for number in range(9_999, 10_010)),
    )

    problems = [*feedback_loops([one], results), *daemon_loops([one], lambda name: ["in/7/x"], lambda name: ["in/8/x"])]

    assert ["(in/9999/{line})", "(in/7/{line})", "(in/8/{line})"] == [each.what.split()[-1] for each in problems]
