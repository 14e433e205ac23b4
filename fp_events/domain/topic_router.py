"""From a topic to everything that wants it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Generic, TypeVar

from .topic_filter import TopicPattern

T = TypeVar("T")

#: Topics whose matches are remembered, and the length up to which they are: at most some 2 MB.
_REMEMBERED = 4096
_REMEMBERED_LENGTH = 256


@dataclass(slots=True)
class _Node(Generic[T]):
    children: dict[str, _Node[T]] = field(default_factory=dict)
    #: (order of registration, pattern, value) of the patterns that end here.
    here: list[tuple[int, TopicPattern, T]] = field(default_factory=list)
    #: The same for patterns that end in ``#`` below here.
    below: list[tuple[int, TopicPattern, T]] = field(default_factory=list)


class TopicRouter(Generic[T]):
    """Finds the values of all patterns that match a topic, at a cost that unrelated patterns do not add to.

    Topics without wildcards are looked up in a dict, the others in a trie of levels. Built once; not to be
    changed. For use by one thread, as the results are shared between calls.
    """

    def __init__(self, pairs: Iterable[tuple[TopicPattern, T]]) -> None:
        self._exact: dict[str, list[tuple[int, TopicPattern, T]]] = {}
        self._root: _Node[T] = _Node()
        for order, (pattern, value) in enumerate(pairs):
            if pattern.exact:
                self._exact.setdefault("/".join(pattern.levels), []).append((order, pattern, value))
            else:
                self._insert((order, pattern, value))
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._find)

    def match(self, topic: str) -> tuple[tuple[T, Mapping[str, str]], ...]:
        """(value, captures) of every pattern that matches `topic`, each once, in order of registration."""
        return self._remembered(topic) if len(topic) <= _REMEMBERED_LENGTH else self._find(topic)

    def _insert(self, entry: tuple[int, TopicPattern, T]) -> None:
        node = self._root
        levels = entry[1].levels
        for level in levels[:-1] if levels[-1] == "#" else levels:
            node = node.children.setdefault(level, _Node())
        (node.below if levels[-1] == "#" else node.here).append(entry)

    def _find(self, topic: str) -> tuple[tuple[T, Mapping[str, str]], ...]:
        parts = topic.split("/")
        found = self._exact.get(topic, []) + self._walk(parts)
        found.sort(key=lambda entry: entry[0])
        return tuple((value, pattern.captured(parts)) for _, pattern, value in found)

    def _walk(self, parts: list[str]) -> list[tuple[int, TopicPattern, T]]:
        """Level by level and without recursion: a topic may have 65,535 levels."""
        # Wildcards at the start do not match topics that start with $ (MQTT 5, 4.7.2).
        hidden = parts[0].startswith("$")
        found = [] if hidden else list(self._root.below)
        nodes = [self._root]
        for part in parts:
            reached: list[_Node[T]] = []
            for node in nodes:
                for name in (part,) if hidden or part == "+" else (part, "+"):
                    child = node.children.get(name)
                    if child is not None:
                        reached.append(child)
                        found += child.below
            hidden = False
            nodes = reached
            if not nodes:
                return found
        for node in nodes:
            found += node.here
        return found
