"""How the cost of a message grows with one size at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from . import ledger, loads, nodes
from .points import Point

#: Name to what measures its points; each takes sizes and messages.
CURVES: Mapping[str, Callable[[Sequence[int], int], list[Point]]] = {
    "triggers": loads.triggers,
    "nodes": nodes.nodes,
    "ledger": ledger.ledger,
    "payload": loads.payload,
    "keys": loads.keys,
    "pipelines": loads.pipelines,
}
#: Sizes by default: bytes of payload, rows, and else numbers of what the curve is named after.
SIZES: Mapping[str, Sequence[int]] = {
    "triggers": (1, 10, 100, 1_000, 10_000),
    "nodes": (5, 50, 500),
    "ledger": (0, 100_000, 1_000_000, 10_000_000),
    "payload": (100, 1_000, 10_000, 100_000, 1_000_000),
    "keys": (1, 100, 10_000, 100_000),
    "pipelines": (1, 10, 100, 500),
}
#: For a run of two minutes.
SHORT: Mapping[str, Sequence[int]] = {"triggers": (1, 300), "nodes": (5, 50, 500), "ledger": (0, 100_000)}
