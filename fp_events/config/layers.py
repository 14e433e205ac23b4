"""Layers of settings, each knowing where every value of it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Keys and list positions from the top of a layer.
Path = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One source of settings: a file, the environment, the command line."""

    #: Keys are text, except where a file has it wrong.
    data: Mapping[Any, Any] = field(repr=False)
    #: Where a path was written: ``conf/project.yml:4``, ``environment FP_EVENTS_MQTT__URL``.
    marks: Mapping[Path, str] = field(default_factory=dict)
    #: Where the layer as a whole comes from.
    where: str
    #: Only files are worth a warning for secrets in them.
    is_file: bool = False

    def origin(self, path: Path) -> str:
        """Where `path`, or the nearest block around it, was written."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.marks:
                return self.marks[path[:end]]
        # A variable names what is inside a block only.
        inside = (mark for marked, mark in self.marks.items() if path and marked[: len(path)] == path)
        return next(inside, self.where)

    def decides(self, path: Path) -> bool:
        """Whether this layer says what `path` is, by naming it or by replacing a list or value around it."""
        value: object = self.data
        for part in path:
            if not isinstance(value, Mapping):
                return True
            if part not in value:
                return False
            value = value[part]
        return True

    def leaves_out(self, path: Path) -> bool:
        """Whether the layer decides `path` by a block that lacks it: one in a list, which no other layer adds to."""
        value: Any = self.data
        for part in path:
            is_item = isinstance(value, list) and isinstance(part, int) and part < len(value)
            if is_item or (isinstance(value, Mapping) and part in value):
                value = value[part]
            else:
                return isinstance(value, Mapping)
        return False

    def only(self, *keys: str) -> Layer:
        """The layer without all but some of its keys."""
        return self.having({key: self.data[key] for key in keys if key in self.data})

    def having(self, data: Mapping[Any, Any]) -> Layer:
        """The layer with other data from the same place."""
        return Layer(data=data, marks=self.marks, where=self.where, is_file=self.is_file)


def deciding(layers: Sequence[Layer], path: Path) -> Layer | None:
    """The highest of `layers` (lowest first) that decides `path`; None: the default stands."""
    return next((layer for layer in reversed(layers) if layer.decides(path)), None)


def origin(layers: Sequence[Layer], path: Path) -> str:
    """Where the value at `path` comes from."""
    layer = deciding(layers, path)
    return "default" if layer is None or layer.leaves_out(path) else layer.origin(path)


def path_text(path: Path) -> str:
    """``('triggers', 0, 'topic')`` as ``triggers[0].topic``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
