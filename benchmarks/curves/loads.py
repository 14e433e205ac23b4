"""Curves over what the project and its messages are like."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.passage import Load
from benchmarks.projects import Settings

from .points import Point, daemon_cost

#: Bytes that one burst of the payload curve may have.
_MOST_BYTES = 200_000_000
#: Bytes of a payload without padding.
_LEAST = 35


def triggers(sizes: Sequence[int], messages: int) -> list[Point]:
    """Triggers of one pipeline, a filter each; messages to all of them in turn."""
    return [
        daemon_cost(
            size,
            Settings(triggers=[f"in/t{number}/{{line}}" for number in range(size)]),
            Load(count=max(messages, size), topic="in/t{}/a", topics=size),
        )
        for size in sizes
    ]


def pipelines(sizes: Sequence[int], messages: int) -> list[Point]:
    """Pipelines with a trigger each; messages to all of them in turn."""
    return [
        daemon_cost(
            size,
            Settings(pipelines=size, triggers=["in/p%d/{line}"]),
            Load(count=messages, topic="in/p{}/a", topics=size),
        )
        for size in sizes
    ]


def keys(sizes: Sequence[int], messages: int) -> list[Point]:
    """Keys of one pipeline, which keeps the order of each."""
    return [
        daemon_cost(size, Settings(key="{line}"), Load(count=max(messages, size), topic="in/{}", topics=size))
        for size in sizes
    ]


def payload(sizes: Sequence[int], messages: int) -> list[Point]:
    """Bytes of JSON in a message, nearly all of them in a field that nothing reads."""
    return [
        daemon_cost(
            size,
            Settings(),
            Load(count=min(messages, max(100, _MOST_BYTES // size)), pad=max(1, size - _LEAST), seconds=120.0),
        )
        for size in sizes
    ]
