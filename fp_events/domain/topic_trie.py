"""Many topic filters by their levels: those that cover one, and those that overlap it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from .topic_levels import Levels, hidden, overlap, spelt_out

T = TypeVar("T")


@dataclass(slots=True)
class _Node(Generic[T]):
    #: By level, wildcards among them.
    children: dict[str, _Node[T]] = field(default_factory=dict)
    #: (levels, value) of the filter that ends here.
    here: tuple[Levels, T] | None = None


class FilterTrie(Generic[T]):
    """Filters with a value each. Walked without recursion: a filter may have 65,535 levels.

    Related filters are found at a cost that unrelated ones do not add to, but for what a ``+`` has to try.
    """

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()

    def setdefault(self, levels: Levels, value: T) -> T:
        """The value of these levels; `value` from now on where they had none."""
        node = self._root
        for level in levels:
            child = node.children.get(level)
            if child is None:
                child = node.children[level] = _Node()
            node = child
        if node.here is None:
            node.here = (levels, value)
        return node.here[1]

    def remove(self, levels: Levels) -> None:
        """Forget a filter that is there, and the nodes that lead to nothing else."""
        path = [self._root]
        for level in levels:
            path.append(path[-1].children[level])
        path[-1].here = None
        for level, parent in zip(reversed(levels), reversed(path[:-1]), strict=True):
            child = parent.children[level]
            if child.here is not None or child.children:
                return
            del parent.children[level]

    def covering(self, levels: Levels) -> Iterator[tuple[Levels, T]]:
        """Those that match every topic which `levels` match; itself too, where it is there."""
        nodes = [self._root]
        for depth, level in enumerate(spelt_out(levels)):
            reached: list[_Node[T]] = []
            for node in nodes:
                for name in ("#",) if level == "#" else dict.fromkeys((level, "+", "#")):
                    child = node.children.get(name)
                    if child is None or (depth == 0 and hidden(name, level)):
                        continue
                    if name != "#":
                        reached.append(child)
                    elif child.here is not None:
                        yield child.here
            nodes = reached
        yield from _ends(nodes)

    def overlapping(self, levels: Levels) -> Iterator[tuple[Levels, T]]:
        """Those that match some topic which `levels` match. Not to be changed meanwhile."""
        # Whether a parent is there at all is looked at only where it may be the topic without a character.
        doubtful = len(levels) <= 2 and levels[0] in ("", "+")
        for found in self._meeting(levels):
            if not doubtful or overlap(found[0], levels):
                yield found

    def _meeting(self, levels: Levels) -> Iterator[tuple[Levels, T]]:
        nodes = [self._root]
        for depth, level in enumerate(levels):
            reached: list[_Node[T]] = []
            for node in nodes:
                if level == "#" and node.here is not None:
                    yield node.here
                names = node.children if level in ("+", "#") else dict.fromkeys((level, "+", "#"))
                for name in names:
                    child = node.children.get(name)
                    if child is None or (depth == 0 and (hidden(name, level) or hidden(level, name))):
                        continue
                    if level == "#":
                        yield from _below(child)
                    elif name != "#":
                        reached.append(child)
                    elif child.here is not None:
                        yield child.here
            nodes = reached
        yield from _ends(nodes)


def _ends(nodes: Iterable[_Node[T]]) -> Iterator[tuple[Levels, T]]:
    """What ends at the nodes themselves: `a/#` matches `a` too."""
    for node in nodes:
        for end in (node, node.children.get("#")):
            if end is not None and end.here is not None:
                yield end.here


def _below(node: _Node[T]) -> Iterator[tuple[Levels, T]]:
    """What ends at the node or further down."""
    stack = [node]
    while stack:
        node = stack.pop()
        if node.here is not None:
            yield node.here
        stack.extend(node.children.values())
