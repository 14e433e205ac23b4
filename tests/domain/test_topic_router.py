"""The router against a matcher written from the text of MQTT 5, section 4.7."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from fp_events.domain.topics import TopicRouter, covering, covers, disjoint_cover, overlaps, parse_filter


def naive(filter_: str, topic: str) -> bool:
    """Section 4.7 read literally, by recursion over the levels."""
    if filter_[0] in "+#" and topic.startswith("$"):
        return False  # 4.7.2

    def match(levels: list[str], parts: list[str]) -> bool:
        if not levels:
            return not parts
        if levels[0] == "#":
            return True  # any number of levels, none included: the parent (4.7.1.2)
        return bool(parts) and levels[0] in ("+", parts[0]) and match(levels[1:], parts[1:])

    return match(filter_.split("/"), topic.split("/"))


#: Few names, so that filters and topics meet often.
NAMES = st.sampled_from(["a", "b", "", "$x"])
TOPICS = st.lists(NAMES, min_size=1, max_size=5).map("/".join).filter(bool)
FILTERS = st.builds(
    lambda levels, rest: "/".join(levels + (["#"] if rest else [])),
    st.lists(NAMES | st.just("+"), max_size=4),
    st.booleans(),
).filter(bool)


@given(st.lists(FILTERS, max_size=12), st.lists(TOPICS, min_size=1, max_size=5))
@example(["#", "+/#", "a/#", "a"], ["a", "$x", "a/b"])
def test_the_router_finds_what_the_specification_says(filters: list[str], topics: list[str]) -> None:
    """Every matching pattern once, in order of registration, also when a topic comes again."""
    router = TopicRouter((parse_filter(text), number) for number, text in enumerate(filters))

    for topic in topics * 2:
        expected = [number for number, text in enumerate(filters) if naive(text, topic)]
        assert expected == [value for value, _ in router.match(topic)]
        assert expected == [
            number for number, text in enumerate(filters) if parse_filter(text).match(topic) is not None
        ]


@given(FILTERS, FILTERS, TOPICS)
def test_cover_and_overlap_agree_with_topics(a: str, b: str, topic: str) -> None:
    """A topic that both match proves an overlap; one that only `b` matches disproves a cover."""
    in_a, in_b = naive(a, topic), naive(b, topic)

    assert not (in_a and in_b) or overlaps(a, b)
    assert not (in_b and not in_a) or not covers(a, b)
    assert overlaps(a, b) == overlaps(b, a)


@settings(deadline=None, max_examples=200)
@given(FILTERS, FILTERS)
@example("+", "/#")
@example("+/+/#", "/#")
@example("/+/#", "/#")
def test_overlap_and_cover_have_witnesses(a: str, b: str) -> None:
    """Over all topics of up to five levels from a small alphabet, what is claimed is found."""
    topics = [topic for topic in _all_topics() if naive(b, topic)]

    assert overlaps(a, b) == any(naive(a, topic) for topic in topics)
    assert covers(a, b) == all(naive(a, topic) for topic in topics)


def _all_topics() -> list[str]:
    if not _TOPICS:
        level = ["a", "b", "", "$x", "other"]
        paths = [[name] for name in level]
        for _ in range(5):
            _TOPICS.extend("/".join(path) for path in paths if path != [""])
            paths = [[*path, name] for path in paths for name in level]
    return _TOPICS


_TOPICS: list[str] = []


@given(st.lists(FILTERS, max_size=8), st.lists(TOPICS, max_size=5))
def test_reduced_sets_lose_no_topic(filters: list[str], topics: list[str]) -> None:
    """`covering` matches the same topics, minimal; `disjoint_cover` at least these, and none twice."""
    minimal, disjoint = covering(filters), disjoint_cover(filters)

    for topic in topics:
        wanted = any(naive(text, topic) for text in filters)
        assert wanted == any(naive(text, topic) for text in minimal)
        assert sum(naive(text, topic) for text in disjoint) in ((1,) if wanted else (0, 1))
    assert not [(a, b) for i, a in enumerate(minimal) for j, b in enumerate(minimal) if i != j and covers(a, b)]
    assert not [(a, b) for i, a in enumerate(disjoint) for b in disjoint[:i] if overlaps(a, b)]


def test_captures_come_with_the_value() -> None:
    """Patterns that share a filter keep their own captures."""
    router = TopicRouter([(parse_filter("p/{x}"), 1), (parse_filter("p/l"), 2), (parse_filter("{y#}"), 3)])

    assert ((1, {"x": "l"}), (2, {}), (3, {"y": "p/l"})) == router.match("p/l")


def test_a_topic_of_65535_levels_is_walked_without_recursion() -> None:
    """The longest topic there is costs neither stack nor memory of the router."""
    router = TopicRouter([(parse_filter("#"), "all"), (parse_filter("/" * 65_534 + "+"), "deep")])

    assert ["all", "deep"] == [value for value, _ in router.match("/" * 65_534)]


def test_a_wildcard_in_a_topic_is_a_name() -> None:
    """A topic that a broken peer sends with a + in it matches each pattern once."""
    router = TopicRouter([(parse_filter("a/+"), 1)])

    assert ((1, {}),) == router.match("a/+")


def test_sets_of_filters() -> None:
    """The cases that 3.1.1 needs, with captures and share groups."""
    assert ["a/#"] == covering(["a/{x}/b", "a/#", "a/c"])
    assert ["#"] == covering(["+/#", "#"])
    assert ["+/+"] == disjoint_cover(["a/{x}", "{y}/b"])
    assert ["a/+/#"] == disjoint_cover(["a/b/#", "a/+"])
    assert ["$SYS/#", "#"] == disjoint_cover(["$SYS/#", "#", "a"])
    assert ["a/+", "$share/g/a/b", "$share/h/a/b"] == disjoint_cover(["a/+", "$share/g/a/b", "$share/h/a/b"])


def test_merging_reaches_filters_that_were_apart() -> None:
    """A merged filter is wider, and takes in what none of its parts overlapped."""
    assert ["+/+/+"] == disjoint_cover(["c/d/e", "a/+/x", "+/b/x", "a/b/+"])
