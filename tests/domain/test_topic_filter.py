"""Topic filters against MQTT 5, section 4.7, and the captures that we add."""

from __future__ import annotations

import pickle

import pytest

from fp_events.domain.topics import parse_filter, validate_topic

#: Non-normative examples of MQTT 5, 4.7.1.2, 4.7.1.3, 4.7.2.
SPEC = [
    ("sport/tennis/player1/#", "sport/tennis/player1", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
    ("sport/tennis/player1/#", "sport/tennis/player2", False),
    ("sport/#", "sport", True),
    ("#", "sport/tennis/player1", True),
    ("sport/tennis/#", "sport/tennis", True),
    ("sport/tennis/+", "sport/tennis/player1", True),
    ("sport/tennis/+", "sport/tennis/player2", True),
    ("sport/tennis/+", "sport/tennis/player1/ranking", False),
    ("sport/+", "sport", False),
    ("sport/+", "sport/", True),
    ("+", "sport", True),
    ("+/tennis/#", "sport/tennis", True),
    ("+/tennis/#", "sport/golf", False),
    ("sport/+/player1", "sport/tennis/player1", True),
    ("+/+", "/finance", True),
    ("/+", "/finance", True),
    ("+", "/finance", False),
    ("#", "$SYS/broker", False),
    ("+/monitor/Clients", "$SYS/monitor/Clients", False),
    ("$SYS/#", "$SYS/monitor/Clients", True),
    ("$SYS/monitor/+", "$SYS/monitor/Clients", True),
    ("ACCOUNTS", "Accounts", False),
    ("/finance", "finance", False),
    ("a//b", "a//b", True),
    ("a/+/b", "a//b", True),
    ("a/#", "a/", True),
    ("a/$x/+", "a/$x/y", True),
]


@pytest.mark.parametrize(("filter_", "topic", "expected"), SPEC)
def test_filters_match_as_the_specification_says(filter_: str, topic: str, expected: bool) -> None:
    """Each example of section 4.7 comes out as it says."""
    assert expected == (parse_filter(filter_).match(topic) is not None)


@pytest.mark.parametrize(
    ("filter_", "topic", "expected"),
    [
        ("plant/{line}/temperature", "plant/l3/temperature", {"line": "l3"}),
        ("plant/{line}/temperature", "plant//temperature", {"line": ""}),
        ("{site}/{line}/+", "s/l/x", {"site": "s", "line": "l"}),
        ("site/{rest#}", "site/a/b/c", {"rest": "a/b/c"}),
        ("site/{rest#}", "site/", {"rest": ""}),
        ("site/{rest#}", "site", {"rest": ""}),
        ("{rest#}", "a/b", {"rest": "a/b"}),
        ("{rest#}", "$SYS/a", None),
        ("{a}/b", "$SYS/b", None),
        ("{a}/{rest#}", "x", {"a": "x", "rest": ""}),
        ("$share/workers/plant/{line}", "plant/l3", {"line": "l3"}),
        ("$share/workers/plant/{line}", "$share/workers/plant/l3", None),
        ("plant/{line}", "plant/\u202e../é", None),
        ("plant/{line}", "plant/\u202e😀", {"line": "\u202e😀"}),
    ],
)
def test_captures_hold_their_levels(filter_: str, topic: str, expected: dict[str, str] | None) -> None:
    """A capture holds its level, a rest capture everything from its level on."""
    assert expected == parse_filter(filter_).match(topic)


def test_a_pattern_says_what_to_ask_the_broker_for() -> None:
    """Captures become wildcards; the share group stays in the filter and out of the levels."""
    pattern = parse_filter("$share/g/plant/{line}/{rest#}")

    assert ("$share/g/plant/+/#", ("line", "rest"), "g", False) == (
        pattern.filter,
        pattern.captures,
        pattern.share,
        pattern.exact,
    )


def test_a_pattern_survives_a_process_boundary() -> None:
    """A pickled pattern is equal and matches."""
    pattern = parse_filter("a/{b}/{c#}")

    copy = pickle.loads(pickle.dumps(pattern))

    assert (pattern, {"b": "1", "c": "2/3"}) == (copy, copy.match("a/1/2/3"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("a/\0", "NUL"),
        ("é" * 32_768, "65536 bytes"),
        ("a/\ud800", "surrogate"),
        ("#/a", "must be the last level"),
        ("{rest#}/a", "must be the last level"),
        ("a/b#", "must fill its level"),
        ("a/b+/c", "must fill its level"),
        ("a/{b", "do not pair up"),
        ("a/b}", "do not pair up"),
        ("a/{b}{c}", "do not pair up"),
        ("a/x{b}", "must fill its level"),
        ("a/{b}/{b}", "two captures"),
        ("a/{b}/{b#}", "two captures"),
        ("a/{1b}", "not named like"),
        ("a/{}", "not named like"),
        ("a/{#}", "not named like"),
        ("a/{b-c}", "not named like"),
        ("a/{payload}", "meaning of its own"),
        ("a/{topic#}", "meaning of its own"),
        ("$share/g", "$share/group/filter"),
        ("$share/g/", "$share/group/filter"),
        ("$share//a", "$share/group/filter"),
        ("$share/+/a", "plain name"),
        ("$share/{g}/a", "plain name"),
    ],
)
def test_a_wrong_filter_is_refused_in_one_sentence(text: str, words: str) -> None:
    """The error says what is wrong, in one short line."""
    with pytest.raises(ValueError, match=r".") as caught:
        parse_filter(text)

    message = str(caught.value)
    assert (True, False, True) == (words in message, "\n" in message, len(message) < 400)


def test_the_longest_filter_is_accepted() -> None:
    """65,535 bytes are allowed (4.7.3)."""
    assert parse_filter("a" * 65_535).exact


@pytest.mark.parametrize("topic", ["a", "/", "a//b", "../x", "é/😀", "a" * 65_535, "$SYS/x", "a/{b}"])
def test_topics_to_publish_to(topic: str) -> None:
    """Whatever MQTT allows is allowed."""
    validate_topic(topic)


@pytest.mark.parametrize("topic", ["", "a/+", "#", "a#b", "a\0", "a" * 65_536, "\udfff"])
def test_what_is_no_topic_to_publish_to(topic: str) -> None:
    """Wildcards, NUL, lone surrogates, and wrong lengths are refused (3.3.2.1, 4.7.3)."""
    with pytest.raises(ValueError, match="topic"):
        validate_topic(topic)


def test_a_topic_cannot_break_a_line_of_a_log() -> None:
    """An error shows control and bidi characters escaped."""
    with pytest.raises(ValueError, match="topic") as caught:
        validate_topic("a\n\u202eb/+")

    assert "'a\\n\\u202eb/+'" in str(caught.value)
