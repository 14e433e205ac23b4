"""Templates of keys and topics."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
import pydantic
import pytest

from fp_events.domain.mapping import scope_of
from fp_events.domain.message import Message, Properties
from fp_events.domain.templates import TemplateError, parse, parse_topic


class Point(NamedTuple):
    x: int


@dataclass
class Alert:
    site: str
    _secret: str = "s"


class Model(pydantic.BaseModel):
    site: str


class Level(Enum):
    HIGH = "high"


MESSAGE = Message(
    topic="plant/l3/t",
    payload=b"{}",
    properties=Properties(user=(("site", "north"),)),
    received_at=datetime(2024, 1, 2, tzinfo=UTC),
)
SCOPE: dict[str, Any] = {
    **scope_of(
        {"id": 7, "a.b": {"c d": 1.5}, "list": [10, {"x": "y"}], "on": True, "none": None}, MESSAGE, {"line": "l3"}
    ),
    "value": {"site": "south"},
    "pipeline": "alarms",
    "key": "k",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{line}", "l3"),
        ("alerts/{line}/{value.site}", "alerts/l3/south"),
        ("{topic}", "plant/l3/t"),
        ("{topic.line}", "l3"),
        ("{pipeline}-{key}", "alarms-k"),
        ("{payload.id}", "7"),
        ('{payload."a.b"."c d"}', "1.5"),
        ("{payload.list.0}{payload.list[1].x}{payload.list[-1].x}", "10yy"),
        ("{payload.on}", "true"),
        ("{message.properties.user.site}/{message.qos}/{message.retain}", "north/0/false"),
        ("{{{line}}} {{}} 100% %s", "{l3} {} 100% %s"),
        ("", ""),
        ("plain", "plain"),
    ],
)
def test_templates_render(text: str, expected: str) -> None:
    """Every kind of placeholder is filled."""
    assert expected == parse(text).render(SCOPE)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Alert("a"), "a"),
        (Model(site="b"), "b"),
        ({"site": np.int64(3)}, "3"),
        ({"site": np.float32(0.5)}, "0.5"),
        ({"site": np.bool_(True)}, "true"),
        ({"site": np.str_("n")}, "n"),
        ({"site": Level.HIGH}, "high"),
        ({"site": 1.0}, "1.0"),
        ({"site": 10**20}, "100000000000000000000"),
    ],
)
def test_values_of_pipelines_render(value: Any, expected: str) -> None:
    """Declared fields are reached, and scalars of other libraries are scalars."""
    assert expected == parse("{value.site}").render({"value": value})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{site}", "{site} cannot be filled: there is no 'site'"),
        ("{payload.x.y}", "{payload.x.y} cannot be filled: payload has no 'x'"),
        ("{payload.id.y}", "payload.id is a number, so it has no 'y'"),
        ("{payload.none.y}", "payload.none is null"),
        ("{payload.list.5}", "payload.list has no item 5, it has 2"),
        ("{payload.list}", "{payload.list} is a list"),
        ("{payload}", "{payload} is a dict"),
        ("{payload.none}", "{payload.none} is null"),
        ("{message.properties.content_type}", "the message has no content type"),
        ("{message.properties.user.nope}", "has no 'nope'"),
    ],
)
def test_what_cannot_be_filled_is_named(text: str, words: str) -> None:
    """The error is a LookupError that names the placeholder and what was missing."""
    with pytest.raises(LookupError) as caught:
        parse(text).render(SCOPE)

    assert (TemplateError, True) == (type(caught.value), words in str(caught.value))


@pytest.mark.parametrize("value", [Alert("a"), Model(site="a"), Point(1), object(), "text", np.zeros(3)])
@pytest.mark.parametrize("name", ["__class__", "__init__", "model_config", "_asdict", "upper", "shape"])
def test_no_attribute_is_reached_that_is_not_declared(value: Any, name: str) -> None:
    """Methods, class attributes and dunders are out of reach."""
    with pytest.raises(TemplateError):
        parse(f"{{value.{name}}}").render({"value": value})


@pytest.mark.parametrize(
    "text",
    ["{", "}", "{a", "a}", "{}", "{a b}", "{a..b}", "{.a}", "{a.}", "{{a}", "{a}}", "{message.__class__}", "{1}"],
)
def test_a_wrong_template_is_refused(text: str) -> None:
    """The error quotes the template."""
    with pytest.raises(ValueError, match="template"):
        parse(text)


def test_a_template_knows_what_it_uses() -> None:
    """Roots, so that a payload is decoded only for templates that need it."""
    template = parse("{line}/{payload.id}/{topic.site}")

    assert (frozenset({"line", "payload", "site"}), True, False) == (
        template.names,
        template.uses("payload"),
        template.uses("value"),
    )


@pytest.mark.parametrize(
    ("text", "scope", "expected"),
    [
        ("out/{line}", {"line": "l"}, "out/l"),
        ("out/{rest}", {"rest": "a/b"}, "out/a/b"),
        ("copy/{topic}", {"topic": "/a//b"}, "copy//a//b"),
        ("/{line}", {"line": "l"}, "/l"),
        ("out/{value.n}", {"value": {"n": 1}}, "out/1"),
        ("out/{value.n}", {"value": {"n": "a/../b"}}, "out/a/../b"),
    ],
)
def test_topics_render(text: str, scope: dict[str, Any], expected: str) -> None:
    """Slashes in values are levels; empty levels only come from a topic that had them."""
    assert expected == parse_topic(text).render_topic(scope)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("out/{value.n}", "a+"),
        ("out/{value.n}", "#"),
        ("out/{value.n}", "a\0"),
        ("out/{value.n}", ""),
        ("out/{value.n}", "a//b"),
        ("out/{value.n}", "/a"),
        ("{value.n}", "$SYS/x"),
        ("{value.n}", "a" * 65_536),
        ("out/{value.n}", "\ud800"),
    ],
)
def test_a_value_cannot_make_a_wrong_topic(text: str, value: str) -> None:
    """Wildcards, NUL, empty levels, the broker's own topics, and what UTF-8 cannot hold are refused."""
    with pytest.raises(TemplateError) as caught:
        parse_topic(text).render_topic({"value": {"n": value}})

    assert len(str(caught.value)) < 300


def test_an_empty_capture_is_no_level() -> None:
    """`{rest#}` may be empty, and then has no place in a topic."""
    with pytest.raises(TemplateError, match="empty level"):
        parse_topic("out/{rest}").render_topic({"rest": ""})


@pytest.mark.parametrize("text", ["", "a/+", "a/#", "$SYS/{x}", "{", "a\0{x}"])
def test_a_topic_template_that_can_never_be_a_topic_is_refused(text: str) -> None:
    """Found when the configuration is checked, not when a result is due."""
    with pytest.raises(ValueError, match="t"):
        parse_topic(text)


@pytest.mark.parametrize(
    ("text", "rest", "expected"),
    [
        ("alerts/{line}", (), "alerts/+"),
        ("alerts/x-{line}/y", (), "alerts/+/y"),
        ("a/{rest}/b", ("rest",), "a/#"),
        ("copy/{topic}", (), "copy/#"),
        ("plain/topic", (), "plain/topic"),
    ],
)
def test_a_template_as_a_filter(text: str, rest: tuple[str, ...], expected: str) -> None:
    """The filter matches what the template can render: to be compared with triggers."""
    assert expected == parse_topic(text).as_filter(rest)


def test_errors_survive_a_process_boundary() -> None:
    """A TemplateError pickles with its text."""
    error = TemplateError("what", where="where")

    assert str(error) == str(pickle.loads(pickle.dumps(error)))
