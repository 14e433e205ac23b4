"""A plan's nodes as facts to print."""

from __future__ import annotations

from typing import Any, Literal

from fp_events.domain.durations import format_duration
from fp_events.domain.marks import marks_of

from .building import type_name
from .catalogue import NodeInfo
from .hamilton_api import hamilton
from .selection import Selection

#: Tags that Hamilton sets for itself.
_HAMILTONS = ("hamilton.", "module")


def nodes_of(selection: Selection) -> list[NodeInfo]:
    """Inputs first, then the computed nodes, each after what it needs."""
    return [_info(selection, name) for name in [*selection.inputs, *selection.constants, *selection.order]]


def _info(selection: Selection, name: str) -> NodeInfo:
    node: Any = selection.graph.nodes[name]
    is_input = name not in selection.order
    return NodeInfo(
        name=name,
        type=type_name(node.type),
        doc="" if is_input else (node.documentation or "").strip().partition("\n\n")[0],
        where=selection.graph.where(name),
        inputs=() if is_input else tuple(node.input_types),
        tags={key: value for key, value in node.tags.items() if not key.startswith(_HAMILTONS)},
        is_input=is_input,
        final=name in selection.outputs,
        marks=() if is_input else _marks(selection, name),
        branches=_branches(node),
    )


def _marks(selection: Selection, name: str) -> tuple[str, ...]:
    node: Any = selection.graph.nodes[name]
    around = [marks_of(function) for function in (*(node.originating_functions or ()), node.callable)]
    marks = next((each for each in around if each is not None), None)
    found = []
    if marks is not None and marks.when is not None:
        predicate = getattr(marks.when.function, "__name__", "")
        found.append("when" if predicate in ("", "<lambda>") else f"when {predicate}")
    if name in selection.calls or (marks is not None and marks.cached is not None):
        ttl = marks.cached.ttl if marks is not None and marks.cached is not None else None
        found.append("cached" if ttl is None else f"cached {format_duration(ttl)}")
    if marks is not None and marks.retry is not None:
        found.append(f"retry {marks.retry.attempts}")
    if marks is not None and marks.timeout is not None:
        found.append(f"timeout {format_duration(marks.timeout)}")
    return tuple(found)


def _branches(node: Any) -> Literal["", "makes", "collects"]:
    roles = hamilton("node").NodeType
    if node.node_role is roles.EXPAND:
        return "makes"
    return "collects" if node.node_role is roles.COLLECT else ""
