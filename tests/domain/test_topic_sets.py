"""Sets of filters against their definitions, which compare every filter with every other one."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fp_events.domain import topic_levels
from fp_events.domain.topic_levels import Levels, share_and_levels
from fp_events.domain.topic_trie import FilterTrie
from fp_events.domain.topics import FilterIndex, covering, covers, disjoint_cover, overlaps, parse_filter

#: Few names, so that filters meet often; captures and groups, which are left aside or kept apart.
LEVELS = st.sampled_from(["a", "b", "", "$x", "+", "{c}"])
FILTERS = (
    st.builds(
        lambda share, levels, rest: share + "/".join(levels + rest),
        st.sampled_from(["", "", "", "$share/g/"]),
        st.lists(LEVELS, max_size=4, unique_by=lambda level: level if level == "{c}" else object()),
        st.sampled_from([[], [], ["#"], ["{rest#}"]]),
    )
    .filter(bool)
    .filter(lambda text: text != "$share/g/")
)


def covering_by_definition(filters: list[str]) -> list[str]:
    """One filter after the other: none that a kept one covers, and no kept one that it covers."""
    kept: list[tuple[str, Levels]] = []
    for share, levels in dict.fromkeys(share_and_levels(text) for text in filters):
        if any(share == group and topic_levels.covers(other, levels) for group, other in kept):
            continue
        kept = [(s, other) for s, other in kept if s != share or not topic_levels.covers(levels, other)]
        kept.append((share, levels))
    return [(f"$share/{share}/" if share else "") + "/".join(levels) for share, levels in kept]


def disjoint_by_definition(filters: list[str]) -> list[str]:
    """One filter after the other: merged with the first that it overlaps, until it overlaps none."""
    done: list[tuple[str, Levels]] = []
    for share, given_levels in dict.fromkeys(share_and_levels(text) for text in filters):
        levels, place = given_levels, len(done)
        while True:
            hits = (i for i, (s, other) in enumerate(done) if s == share and topic_levels.overlap(other, levels))
            hit = next(hits, None)
            if hit is None:
                break
            levels = topic_levels.merge(done.pop(hit)[1], levels)
            place = min(place, hit)
        done.insert(place, (share, levels))
    return [(f"$share/{share}/" if share else "") + "/".join(levels) for share, levels in done]


@settings(max_examples=300)
@given(st.lists(FILTERS, max_size=14))
@example(["/+/#", "/#", "/a"])
@example(["c/d/e", "a/+/x", "+/b/x", "a/b/+", "a/b/x", "$x/b", "+/#", "$share/g/a/+"])
def test_sets_are_those_of_the_definitions(filters: list[str]) -> None:
    """The same filters in the same order, whatever the order in which they are looked at."""
    assert covering_by_definition(filters) == covering(filters)
    assert disjoint_by_definition(filters) == disjoint_cover(filters)


@given(st.lists(FILTERS, max_size=12), FILTERS)
def test_an_index_answers_with_the_first_that_covers(filters: list[str], wanted: str) -> None:
    """Of the same group; a filter that is there answers for itself, and where none covers there is no answer."""
    share = parse_filter(wanted).share
    expected = [text for text in filters if parse_filter(text).share == share and covers(text, wanted)]
    index = FilterIndex(filters)

    if wanted in filters:
        assert wanted == index.by(wanted)
    elif expected:
        assert expected[0] == index.by(wanted)
    else:
        with pytest.raises(ValueError, match=r"min\(\)"):
            index.by(wanted)


@given(st.lists(FILTERS, max_size=12), FILTERS)
def test_a_trie_finds_what_pairs_say(filters: list[str], wanted: str) -> None:
    """Each filter once; those that were removed are gone."""
    trie: FilterTrie[str] = FilterTrie()
    texts = dict.fromkeys("/".join(share_and_levels(text)[1]) for text in filters)
    for text in texts:
        trie.setdefault(tuple(text.split("/")), text)
    for text in list(texts)[::3]:
        trie.remove(tuple(text.split("/")))
        del texts[text]
    levels = share_and_levels(wanted)[1]

    assert sorted(text for text in texts if covers(text, wanted)) == sorted(text for _, text in trie.covering(levels))
    assert sorted(text for text in texts if overlaps(text, wanted)) == sorted(
        text for _, text in trie.overlapping(levels)
    )


def test_ten_thousand_filters_are_not_compared_pair_by_pair() -> None:
    """Which would take minutes."""
    filters = [f"in/{number}/{end}" for number in range(5_000) for end in ("+", "a/b")]
    index = FilterIndex(filters)

    assert filters == covering(filters) == disjoint_cover(filters) == [index.by(text) for text in filters]
    assert ["in/+/+", *filters[1::2]] == disjoint_cover([*filters, "in/+/x"])
