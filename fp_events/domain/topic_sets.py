"""Sets of topic filters: which cover which, which overlap, and sets in which none do.

All functions take filters as users write them, captures included, and return MQTT filters without captures.
Filters of different `$share` groups are different subscriptions, never merged: the broker sends each group
a copy of its own.
"""

from __future__ import annotations

from collections.abc import Iterable

from .topic_filter import parse_filter

Levels = tuple[str, ...]


def covers(a: str, b: str) -> bool:
    """Whether `a` matches every topic that `b` matches, share groups aside."""
    return _covers(_levels(a)[1], _levels(b)[1])


def overlaps(a: str, b: str) -> bool:
    """Whether some topic matches both, share groups aside."""
    return _overlap(_levels(a)[1], _levels(b)[1])


def covering(filters: Iterable[str]) -> list[str]:
    """The filters that no other one covers, in the order given: they match the same topics."""
    kept: list[tuple[str, Levels]] = []
    for share, levels in _distinct(filters):
        if any(share == other_share and _covers(other, levels) for other_share, other in kept):
            continue
        kept = [(s, other) for s, other in kept if s != share or not _covers(levels, other)]
        kept.append((share, levels))
    return [_text(share, levels) for share, levels in kept]


def disjoint_cover(filters: Iterable[str]) -> list[str]:
    """Filters that match at least the topics of `filters`, and no topic twice.

    For MQTT 3.1.1, where a broker may send one copy of a message per overlapping subscription (3.3.5).
    Overlapping filters are merged into the narrowest one that covers them: ``a/+`` and ``+/b`` into ``+/+``.
    """
    done: list[tuple[str, Levels]] = []
    for share, given in _distinct(filters):
        levels, place = given, len(done)
        while True:
            hit = next((i for i, (s, other) in enumerate(done) if s == share and _overlap(other, levels)), None)
            if hit is None:
                break
            # The merged filter is wider: look again at all that are left.
            levels = _merge(done.pop(hit)[1], levels)
            place = min(place, hit)
        done.insert(place, (share, levels))
    return [_text(share, levels) for share, levels in done]


def _levels(text: str) -> tuple[str, Levels]:
    pattern = parse_filter(text)
    # Every topic has a first level, so these two match the same.
    return pattern.share, ("#",) if pattern.levels == ("+", "#") else pattern.levels


def _distinct(filters: Iterable[str]) -> list[tuple[str, Levels]]:
    return list(dict.fromkeys(_levels(text) for text in filters))


def _text(share: str, levels: Levels) -> str:
    return (f"$share/{share}/" if share else "") + "/".join(levels)


def _hidden(a: str, b: str) -> bool:
    """A wildcard at the start does not match the topics that the other one names by ``$…`` (4.7.2)."""
    return a in ("+", "#") and b.startswith("$")


def _covers(a: Levels, b: Levels) -> bool:
    if _hidden(a[0], b[0]):
        return False
    for index, level in enumerate(a):
        if level == "#":
            return True
        if index == len(b) or b[index] == "#" or level not in ("+", b[index]):
            return False
    return len(a) == len(b)


def _overlap(a: Levels, b: Levels) -> bool:
    if _hidden(a[0], b[0]) or _hidden(b[0], a[0]):
        return False
    for x, y in zip(a, b, strict=False):
        if x == "#" or y == "#":
            return True
        if x not in (y, "+") and y != "+":
            return False
    if len(a) == len(b):
        return True
    longer = a if len(a) > len(b) else b
    if longer[min(len(a), len(b)) :] != ("#",):
        return False
    # What both match is the parent of the longer one; there is no topic without a character (4.7.3).
    return len(longer) > 2 or "" not in (a[0], b[0])


def _merge(a: Levels, b: Levels) -> Levels:
    """The narrowest filter that covers two overlapping ones."""
    merged: list[str] = []
    for x, y in zip(a, b, strict=False):
        if x == "#" or y == "#":
            return _narrow((*merged, "#"))
        merged.append(x if x == y else "+")
    return _narrow(tuple(merged) if len(a) == len(b) else (*merged, "#"))


def _narrow(levels: Levels) -> Levels:
    return ("#",) if levels == ("+", "#") else levels
