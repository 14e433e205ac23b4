"""Two topic filters, each as its levels without captures: whether one covers the other, and where they overlap."""

from __future__ import annotations

from .topic_filter import parse_filter

Levels = tuple[str, ...]


def share_and_levels(text: str) -> tuple[str, Levels]:
    """The share group, and the levels in the one spelling that filters of the same topics have here."""
    pattern = parse_filter(text)
    return pattern.share, narrow(pattern.levels)


def narrow(levels: Levels) -> Levels:
    """Every topic has a first level, and one that starts with `/` a second: ``+/#`` is ``#``, ``/+/#`` is ``/#``."""
    return (*levels[:-2], "#") if levels in (("+", "#"), ("", "+", "#")) else levels


def spelt_out(levels: Levels) -> Levels:
    """The reverse, where it says how many levels there are at least: ``/#`` is ``/+/#``, for what may cover it."""
    return ("", "+", "#") if levels == ("", "#") else levels


def hidden(a: str, b: str) -> bool:
    """A wildcard at the start does not match the topics that the other one names by ``$…`` (4.7.2)."""
    return a in ("+", "#") and b.startswith("$")


def is_exact(levels: Levels) -> bool:
    """No wildcards."""
    return "+" not in levels and levels[-1] != "#"


def covers(a: Levels, b: Levels) -> bool:
    """Whether `a` matches every topic that `b` matches."""
    b = spelt_out(b)
    if hidden(a[0], b[0]):
        return False
    for index, level in enumerate(a):
        if level == "#":
            return True
        if index == len(b) or b[index] == "#" or level not in ("+", b[index]):
            return False
    return len(a) == len(b)


def overlap(a: Levels, b: Levels) -> bool:
    """Whether some topic matches both."""
    if hidden(a[0], b[0]) or hidden(b[0], a[0]):
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


def merge(a: Levels, b: Levels) -> Levels:
    """The narrowest filter that covers two overlapping ones."""
    merged: list[str] = []
    for x, y in zip(a, b, strict=False):
        if x == "#" or y == "#":
            return narrow((*merged, "#"))
        merged.append(x if x == y else "+")
    return narrow(tuple(merged) if len(a) == len(b) else (*merged, "#"))
