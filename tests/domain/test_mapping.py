"""Paths, and the inputs that are made of a message."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from fp_events.domain.errors import InputInvalid
from fp_events.domain.inputs import compile_inputs
from fp_events.domain.mapping import parse_path, scope_of
from fp_events.domain.message import Message, Properties
from fp_events.domain.pipeline import Trigger

AT = datetime(2024, 1, 2, tzinfo=UTC)
MESSAGE = Message(
    topic="plant/l3/t",
    payload=b"raw",
    qos=1,
    retain=True,
    properties=Properties(content_type="application/json", user=(("a", "1"), ("a", "2"), ("b c", "3"))),
    received_at=AT,
)
PAYLOAD = {"value": 1, "values": [1, [2, 3]], "a.b": {"c": 4}, "null": None, "0": "zero", 5: "five", "?": 6}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("payload", PAYLOAD),
        ("payload.value", 1),
        ("payload.values.0", 1),
        ("payload.values[1][0]", 2),
        ("payload.values[-1].-1", 3),
        ('payload."a.b".c', 4),
        ('payload."value"', 1),
        ("payload.null", None),
        ("payload.0", "zero"),
        ("payload.5", "five"),
        ('payload."?"', 6),
        ("topic", "plant/l3/t"),
        ("topic.line", "l3"),
        ("message", MESSAGE),
        ("message.topic", "plant/l3/t"),
        ("message.payload", b"raw"),
        ("message.qos", 1),
        ("message.retain", True),
        ("message.received_at", AT),
        ("message.properties", MESSAGE.properties),
        ("message.properties.content_type", "application/json"),
        ("message.properties.user", {"a": "1", "b c": "3"}),
        ("message.properties.user.a", "1"),
        ('message.properties.user."b c"', "3"),
        ("payload.nope ?? 0", 0),
        ("payload.value ?? 0", 1),
        ("payload.null ?? 0", None),
        ("payload.null.x ?? [1]", [1]),
        ('payload.nope ?? "a ?? b"', "a ?? b"),
        ('payload."x ?? y" ?? null', None),
        ("message.properties.response_topic ?? null", None),
        ("topic.nope??true", True),
    ],
)
def test_a_path_leads_to_its_value(text: str, expected: Any) -> None:
    """Roots, names, quotes, items, message fields and defaults; the same where it is compiled."""
    inputs = compile_inputs(Trigger(topic="a", map={"x": text}), {"x"})

    assert expected == parse_path(text).get(scope_of(PAYLOAD, MESSAGE, {"line": "l3"}))
    assert {"x": expected} == inputs(PAYLOAD, MESSAGE, {"line": "l3"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("payload.nope", "payload.nope: payload has no 'nope'"),
        ("payload.value.x", "payload.value.x: payload.value is a number, so it has no 'x'"),
        ("payload.values.7", "payload.values has no item 7, it has 2"),
        ("payload.values.x", "payload.values is a list, so it has no 'x'"),
        ("payload.null.x", "payload.null is null"),
        ("payload.value.__class__", "payload.value is a number"),
        ("topic.nope", "there is no 'nope'"),
        ("message.properties.response_topic", "no response topic"),
        ("message.properties.user.nope", "has no 'nope'"),
        ("message.payload ?? 1", ""),
    ],
)
def test_a_path_that_leads_nowhere_names_itself(text: str, words: str) -> None:
    """InputInvalid says which path, and which part was missing in what."""
    path = parse_path(text)
    if not words:
        assert b"raw" == path.get(scope_of(PAYLOAD, MESSAGE, {}))
        return

    with pytest.raises(InputInvalid) as caught:
        path.get(scope_of(PAYLOAD, MESSAGE, {}))

    assert words in str(caught.value)
    with pytest.raises(InputInvalid, match=re.escape(str(caught.value))):
        compile_inputs(Trigger(topic="a", map={"x": text}), {"x"})(PAYLOAD, MESSAGE, {})


@pytest.mark.parametrize(
    "payload", [None, 1, True, "x in a text", b"x", [], ["x"], {}, {"x": {}}, {"x": {"y": [{"z": 1}]}}]
)
@pytest.mark.parametrize(
    "text", ["payload.x", "payload.x ?? 0", "payload.x ?? []", "payload.x.y ?? 0", "payload.0 ?? 1", "payload.x.y[0].z"]
)
def test_a_compiled_map_takes_any_payload(payload: Any, text: str) -> None:
    """Whatever a message holds, code says what `Path.get` says."""

    def outcome(run: Callable[[], Any]) -> Any:
        try:
            return run()
        except InputInvalid as error:
            return f"refused: {error}"

    compiled = compile_inputs(Trigger(topic="a", map={"x": text}), {"x"}, {"base": 1})
    expected = outcome(lambda: {"base": 1, "x": parse_path(text).get(scope_of(payload, MESSAGE, {}))})

    assert expected == outcome(lambda: compiled(payload, MESSAGE, {}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "value",
        "env.HOME",
        "payload..a",
        "payload.",
        ".payload",
        "payload a",
        'payload."a',
        "payload[a]",
        "payload[1",
        "payload.{a}",
        "payload ?? ",
        "payload.a ?? zero",
        "topic.a.b",
        "topic.payload",
        "topic.0",
        "message.nope",
        "message.__class__",
        "message.topic.upper",
        "message.properties.nope",
        "message.properties.user.a.b",
        "message.payload.0",
    ],
)
def test_a_wrong_path_is_refused(text: str) -> None:
    """A ValueError names the path, before any message comes."""
    with pytest.raises(ValueError, match="path"):
        parse_path(text)


def test_a_default_cannot_be_changed_by_a_run() -> None:
    """Every message gets a default of its own."""
    path = parse_path("payload.x ?? []")
    scope = scope_of({}, MESSAGE, {})

    inputs = compile_inputs(Trigger(topic="a", map={"x": "payload.x ?? []"}), {"x"})

    path.get(scope).append(1)
    inputs({}, MESSAGE, {})["x"].append(1)

    assert ([], {"x": []}) == (path.get(scope), inputs({}, MESSAGE, {}))


@pytest.mark.parametrize("trigger", [{}, {"spread": True}, {"map": {"line": "topic.line"}}])
def test_inputs_lie_on_top_of_what_is_configured(trigger: dict[str, Any]) -> None:
    """A message's values win over those of the configuration, which stays as it is."""
    base = {"line": "configured", "limit": 5}
    inputs = compile_inputs(Trigger(topic="plant/{line}/t", **trigger), {"line", "limit"}, base)

    made = inputs({"line": "l3"}, MESSAGE, {"line": "l3"})

    assert ({"line": "l3", "limit": 5}, {"line": "configured", "limit": 5}) == (made, base)


@pytest.mark.parametrize(
    ("trigger", "wanted", "expected"),
    [
        ({}, {"payload", "line", "message", "other"}, {"payload": PAYLOAD, "line": "l3", "message": MESSAGE}),
        ({}, {"payload"}, {"payload": PAYLOAD}),
        ({}, set(), {}),
        ({"map": {"reading": "payload.value", "l": "topic.line"}}, {"reading", "l", "line"}, {"reading": 1, "l": "l3"}),
        ({"map": {}}, {"payload", "line"}, {}),
        ({"spread": True}, {"value", "null", "line", "missing"}, {"value": 1, "null": None}),
        ({"spread": True, "map": {"value": "topic.line"}}, {"value", "null"}, {"value": "l3", "null": None}),
    ],
)
def test_inputs_follow_the_trigger(trigger: dict[str, Any], wanted: set[str], expected: dict[str, Any]) -> None:
    """A map is explicit, spread takes the wanted fields, and without both the plan's names decide."""
    inputs = compile_inputs(Trigger(topic="plant/{line}/t", **trigger), wanted)

    assert expected == inputs(PAYLOAD, MESSAGE, {"line": "l3", "site": "s"})


@pytest.mark.parametrize("payload", [None, [1], "text", 1, b"raw"])
def test_only_an_object_can_be_spread(payload: Any) -> None:
    """Anything else is InputInvalid."""
    inputs = compile_inputs(Trigger(topic="a", spread=True), {"x"})

    with pytest.raises(InputInvalid, match="not an object"):
        inputs(payload, MESSAGE, {})


def test_a_missing_field_rejects_the_message() -> None:
    """A map names the path that its message does not have."""
    inputs = compile_inputs(Trigger(topic="a", map={"x": "payload.y"}), {"x"})

    with pytest.raises(InputInvalid, match=r"payload\.y"):
        inputs({}, MESSAGE, {})
