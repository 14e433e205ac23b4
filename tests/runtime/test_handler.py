"""From an attempt to its result."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from fp_events import codecs
from fp_events.domain.message import Message
from fp_events.domain.pipeline import Output, Pipeline, Trigger
from fp_events.domain.run import Attempt, Ended, PlanRef
from fp_events.plans.catalogue import Catalogue
from fp_events.runtime.handler import PipelineHandler

MODULE = """
def reading(line: str, value: float, limit: float) -> dict:
    return {"site": line, "over": value > limit}

def rows(value: float) -> list:
    return [{"id": 1, "v": value}, None, {"id": 2, "v": value}]

def text(line: str) -> str:
    return line

def broken(value: float) -> float:
    return value / 0

def nothing(value: float) -> dict:
    return None
"""
TRIGGER = Trigger(topic="plant/{line}/t", map={"line": "topic.line", "value": "payload.v"})


def handler(tmp_path: Path, *outputs: Output, **settings: Any) -> PipelineHandler:
    """The handler of a pipeline that publishes `outputs`."""
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "p.py").write_text(MODULE)
    given = {"triggers": (TRIGGER,), "params": {"limit": 5.0}, **settings}
    pipeline = Pipeline(name="p", module="pipelines.p", outputs=outputs, **given)
    return PipelineHandler(pipeline, Catalogue(tmp_path), codecs, "results/{}".format)


def attempt(payload: bytes = b'{"v": 7}', **settings: Any) -> Attempt:
    """An attempt that a message of line l3 caused."""
    message = Message(topic="plant/l3/t", payload=payload, received_at=datetime.now(UTC))
    given = {"trigger": 0, "message": message, "captures": {"line": "l3"}, "key": "k", **settings}
    return Attempt(run_id="r", number=1, plan=PlanRef("p"), **given)


def command(request: bytes) -> Attempt:
    """An attempt that a command caused."""
    return Attempt(run_id="r", number=1, plan=PlanRef("p"), request=request)


JSON = "application/json"


@pytest.mark.parametrize(
    ("output", "topics"),
    [
        (Output(node="reading"), ["results/reading"]),
        (Output(node="reading", topic="out"), ["out"]),
        (Output(node="reading", topic="out/{line}"), ["out/l3"]),
        (Output(node="reading", topic="out/{topic}/{pipeline}/{key}"), ["out/plant/l3/t/p/k"]),
        (Output(node="reading", topic="out/{value.site}/{payload.v}"), ["out/l3/7"]),
        (Output(node="rows", topic="out/{line}/{value.id}", each=True), ["out/l3/1", "out/l3/2"]),
        (Output(node="rows", topic="out/{line}", each=True), ["out/l3", "out/l3"]),
        (Output(node="nothing"), []),
    ],
)
def test_a_value_goes_to_its_topic(tmp_path: Path, output: Output, topics: list[str]) -> None:
    """Whatever the topic is filled from; the same when it is made again."""
    made = handler(tmp_path, output)

    for _ in range(2):
        assert topics == [publication.topic for publication in made.handle(attempt()).publications]


@pytest.mark.parametrize("topic", ["out/{line}", "out/{line}/{value.site}"])
def test_a_command_fills_the_topic_from_its_inputs(tmp_path: Path, topic: str) -> None:
    """Without a message there are no captures."""
    made = handler(tmp_path, Output(node="reading", topic=topic))
    assert [topic.format(line="l3", value=type("V", (), {"site": "l3"}))] == [
        publication.topic for publication in made.handle(attempt()).publications
    ]

    result = made.handle(command(b'{"inputs": {"line": "north", "value": 1.0}}'))

    assert [topic.format(line="north", value=type("V", (), {"site": "north"}))] == [
        publication.topic for publication in result.publications
    ]


def test_what_is_published_is_what_is_shown(tmp_path: Path) -> None:
    """Values of all kinds, each with its content type; the run's values are JSON of all of them."""
    made = handler(
        tmp_path,
        Output(node="reading", qos=2, retain=True, expires_after=1.6),
        Output(node="text"),
        Output(node="rows", each=True),
        Output(node="nothing"),
    )

    result = made.handle(attempt())

    rows = [{"id": 1, "v": 7}, None, {"id": 2, "v": 7}]
    expected = {"reading": {"site": "l3", "over": True}, "text": "l3", "rows": rows, "nothing": None}
    assert expected == orjson.loads(result.values or b"")
    text = "text/plain; charset=utf-8"
    assert [
        ("r:0", "results/reading", b'{"site":"l3","over":true}', 2, True, JSON, 2),
        ("r:1", "results/text", b"l3", 1, False, text, None),
        ("r:2", "results/rows", b'{"id":1,"v":7}', 1, False, JSON, None),
        ("r:3", "results/rows", b'{"id":2,"v":7}', 1, False, JSON, None),
    ] == [
        (p.event_id, p.topic, p.payload, p.qos, p.retain, p.properties.content_type, p.properties.message_expiry)
        for p in result.publications
    ]


@pytest.mark.parametrize(
    ("given", "ended", "words"),
    [
        (attempt(b"{"), Ended.REJECTED, "the payload is not JSON"),
        (attempt(b"[1]"), Ended.REJECTED, "payload.v: payload is a list"),
        (attempt(b'{"v": 99999999999999999999}'), Ended.REJECTED, "beyond 64 bits"),
        (attempt(captures={"line": "a+b"}), Ended.RAISED, "output 'reading': {line} holds a character"),
        (attempt(key=None), Ended.REJECTED, "{payload.machine} cannot be filled"),
        (command(b'{"inputs": {"line": "l", "value": 1.0}, "final_vars": ["broken"]}'), Ended.RAISED, "division"),
        (command(b'{"inputs": {"line": "l"}}'), Ended.REJECTED, "needs input 'value'"),
    ],
)
def test_what_is_wrong_is_in_the_result(tmp_path: Path, given: Attempt, ended: Ended, words: str) -> None:
    """Nothing is raised and nothing is published."""
    trigger = Trigger(topic="plant/{line}/t", map=TRIGGER.map, key="{payload.machine}")
    made = handler(tmp_path, Output(node="reading", topic="out/{line}"), triggers=(trigger,))

    result = made.handle(given)

    assert (ended, (), None) == (result.ended, result.publications, result.values)
    assert result.failure is not None
    assert words in result.failure.message


def test_state_goes_from_run_to_run(tmp_path: Path) -> None:
    """It is an input of the next run, and not among the values that are shown."""
    made = handler(tmp_path, Output(node="text"), state={"reading": "limit"}, params={}, inputs={"limit": 5.0})

    result = made.handle(attempt(state=codecs.encode_state({"reading": 9.0})))

    assert {"reading": {"site": "l3", "over": False}} == codecs.decode_state(result.state or b"")
    assert b'{"text":"l3"}' == result.values
