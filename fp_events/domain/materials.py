"""Loaders and savers that a pipeline's settings name: what fills an input, what takes a node's value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """One of Hamilton's data adapters and its arguments."""

    #: ``csv``, ``parquet``, ``sql``, ``mqtt``, …
    adapter: str
    #: By name; ``{"source": "x"}`` stands for the value of the node or input x.
    arguments: Mapping[str, Any] = field(repr=False)
    #: The node whose value a saver takes; empty for a loader.
    node: str = ""
    #: ``file:line``, for messages to the user.
    where: str = field(default="", compare=False)
