"""Which nodes of a plan may be skipped, and what that means for those that need them."""

from __future__ import annotations

import types
import typing
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from fp_events.domain.marks import SKIPPED

from .guards import Skip

#: The attribute of a function that is told of skipped arguments by SKIPPED itself, and decides what that means.
TAKES_SKIPPED: Final = "__fp_events_takes_skipped__"


def skippable(nodes: Mapping[str, Any], order: Sequence[str], conditional: Collection[str]) -> frozenset[str]:
    """Nodes of `order` whose value may be SKIPPED: those with a condition, and those that need one of them."""
    found: set[str] = set()
    for name in order:
        if name in conditional or any(other in found for other in needed(nodes[name])):
            found.add(name)
    return frozenset(found)


def needed(node: Any) -> list[str]:
    """What a node is skipped without: all that it takes but for parameters that may be None."""
    if takes_skipped(node):
        return []
    return [name for name, (kind, _) in node.input_types.items() if not takes_none(kind)]


def takes_skipped(node: Any) -> bool:
    """Whether the node's function is given SKIPPED for what was skipped."""
    return hasattr(node.callable, TAKES_SKIPPED)


def takes_none(hint: Any) -> bool:
    """Whether a type hint names None. ``Any`` and ``object`` do not."""
    if hint is None or hint is type(None):
        return True
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return takes_none(typing.get_args(hint)[0])
    if origin is typing.Union or origin is types.UnionType:
        return any(takes_none(alternative) for alternative in typing.get_args(hint))
    return False


def unless_skipped(call: Any, node: Any, may_skip: Collection[str]) -> Any:
    """`call` for a node that Hamilton's driver executes: SKIPPED goes in and out of it as a value.

    A Collect node leaves out the branches that were skipped, or takes None for them where its items may be None.
    """
    collected = _collected(node)
    lethal = {name for name in needed(node) if name in may_skip and name not in collected}
    if not (lethal or collected or node.name in may_skip or any(name in may_skip for name in node.input_types)):
        return call

    def guard(**arguments: Any) -> Any:
        for name, value in arguments.items():
            if name in collected:
                arguments[name] = _gathered(value, collected[name])
            elif value is SKIPPED and not takes_skipped(node):
                if name in lethal:
                    return SKIPPED
                arguments[name] = None
        try:
            return call(**arguments)
        except Skip:
            return SKIPPED

    return guard


def _collected(node: Any) -> dict[str, bool]:
    """Parameters that collect branches; True where an item may be None."""
    found = {}
    for name, (kind, _) in node.input_types.items():
        origin = typing.get_origin(kind)
        if getattr(origin, "__name__", "") == "Collect":
            found[name] = any(takes_none(item) for item in typing.get_args(kind))
    return found


def _gathered(values: Any, with_none: bool) -> Any:
    if with_none:
        return [None if value is SKIPPED else value for value in values]
    return [value for value in values if value is not SKIPPED]
