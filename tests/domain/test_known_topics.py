"""Topics that a template has made before."""

from __future__ import annotations

import pytest

from fp_events.domain.known_topics import needs_captures_only, topics_of
from fp_events.domain.templates import TemplateError, parse_topic


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alerts/all", True),
        ("alerts/{line}/{site}", True),
        ("alerts/{topic.line}", True),
        ("alerts/{value.site}", False),
        ("alerts/{line}/{key}", False),
        ("alerts/{topic}", False),
    ],
)
def test_it_is_known_what_a_topic_needs(text: str, expected: bool) -> None:
    """Captures alone, or more of the run."""
    assert expected is needs_captures_only(parse_topic(text))


@pytest.mark.parametrize("text", ["alerts/all", "alerts/{line}", "{site}/{line}/{site}", "{{{line}}}/%s"])
@pytest.mark.parametrize("line", ["l1", "a/b", "é", "x" * 300])
def test_a_topic_is_made_as_the_template_makes_it(text: str, line: str) -> None:
    """The first time and every time after."""
    template = parse_topic(text)
    topic = topics_of(template)
    captures = {"line": line, "site": "north"}

    assert [template.render_topic(captures)] * 2 == [topic(captures), topic(captures)]


@pytest.mark.parametrize("captures", [{}, {"line": ""}, {"line": "a+b"}, {"line": "a#"}, {"line": "\0"}])
def test_a_topic_is_refused_as_the_template_refuses_it(captures: dict[str, str]) -> None:
    """The first time and every time after."""
    topic = topics_of(parse_topic("alerts/{line}"))

    for _ in range(2):
        with pytest.raises(TemplateError, match="line"):
            topic(captures)


def test_more_topics_than_are_kept() -> None:
    """Every one is right."""
    topic = topics_of(parse_topic("a/{x}/{y}"))
    asked = [{"x": str(number % 3000), "y": "y"} for number in range(6000)]

    assert [f"a/{captures['x']}/y" for captures in asked] == [topic(captures) for captures in asked]
