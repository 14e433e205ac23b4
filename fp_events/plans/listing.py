"""A plan's nodes as facts to print."""

from __future__ import annotations

from typing import Any

from .building import type_name
from .catalogue import NodeInfo
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
    )
