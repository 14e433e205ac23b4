"""Sets of topic filters: which cover which, which overlap, and sets in which none do.

All functions take filters as users write them, captures included, and return MQTT filters without captures.
Filters of different `$share` groups are different subscriptions, never merged: the broker sends each group
a copy of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from . import topic_levels
from .topic_levels import Levels, is_exact, merge, share_and_levels
from .topic_trie import FilterTrie


def covers(a: str, b: str) -> bool:
    """Whether `a` matches every topic that `b` matches, share groups aside."""
    return topic_levels.covers(share_and_levels(a)[1], share_and_levels(b)[1])


def overlaps(a: str, b: str) -> bool:
    """Whether some topic matches both, share groups aside."""
    return topic_levels.overlap(share_and_levels(a)[1], share_and_levels(b)[1])


class FilterIndex:
    """Filters in an order, to be asked which of them brings what another one matches."""

    def __init__(self, filters: Iterable[str]) -> None:
        self._filters = list(dict.fromkeys(filters))
        self._known = frozenset(self._filters)
        #: Share group -> number of each filter with a wildcard: the others cover themselves alone.
        self._wide: dict[str, FilterTrie[int]] = defaultdict(FilterTrie)
        for number, text in enumerate(self._filters):
            share, levels = share_and_levels(text)
            if not is_exact(levels):
                self._wide[share].setdefault(levels, number)

    def by(self, text: str) -> str:
        """`text` itself where it is one of them, else the first of its share group that covers it.

        Raises ValueError where none does.
        """
        if text in self._known:
            return text
        share, levels = share_and_levels(text)
        return self._filters[min(number for _, number in self._wide[share].covering(levels))]


def covering(filters: Iterable[str]) -> list[str]:
    """The filters that no other one covers, in the order given: they match the same topics."""
    distinct = _distinct(filters)
    wide: dict[str, FilterTrie[None]] = defaultdict(FilterTrie)
    for share, levels in distinct:
        if not is_exact(levels):
            wide[share].setdefault(levels, None)
    return [
        _text(share, levels)
        for share, levels in distinct
        if all(other == levels for other, _ in wide[share].covering(levels))
    ]


def disjoint_cover(filters: Iterable[str]) -> list[str]:
    """Filters that match at least the topics of `filters`, and no topic twice; in the order of the first of each.

    For MQTT 3.1.1, where a broker may send one copy of a message per overlapping subscription (3.3.5).
    Overlapping filters are merged into the narrowest one that covers them: ``a/+`` and ``+/b`` into ``+/+``.
    Whichever are merged first, the result is the same.
    """
    #: Place -> what stands there; a merged filter takes the place of its first part.
    done: dict[int, tuple[str, Levels]] = {}
    wide: dict[str, FilterTrie[int]] = defaultdict(FilterTrie)
    distinct = list(enumerate(_distinct(filters)))
    for place, (share, given) in distinct:
        if not is_exact(given):
            levels, first = given, place
            # The merged filter is wider: look again at all that are left.
            while hits := list(wide[share].overlapping(levels)):
                for other, number in hits:
                    wide[share].remove(other)
                    del done[number]
                    levels, first = merge(other, levels), min(first, number)
            wide[share].setdefault(levels, first)
            done[first] = (share, levels)
    for place, (share, levels) in distinct:
        if is_exact(levels):
            # What overlaps a single topic covers it, so nothing becomes wider.
            hit = next(wide[share].covering(levels), None)
            if hit is None:
                done[place] = (share, levels)
            elif place < hit[1]:
                wide[share].remove(hit[0])
                wide[share].setdefault(hit[0], place)
                done[place] = done.pop(hit[1])
    return [_text(*done[place]) for place in sorted(done)]


def _distinct(filters: Iterable[str]) -> list[tuple[str, Levels]]:
    return list(dict.fromkeys(share_and_levels(text) for text in filters))


def _text(share: str, levels: Levels) -> str:
    return (f"$share/{share}/" if share else "") + "/".join(levels)
