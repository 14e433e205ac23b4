"""YAML text to a layer: YAML 1.2 scalars, every line remembered, nothing executed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import yaml

from fp_events.domain.errors import Problem

from .interpolate import interpolate
from .layers import Layer, Path
from .values import plain_scalar

_Base: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_PLAIN: Final = "plain"
_TAG: Final = "tag:yaml.org,2002:"
#: Values in one file, aliases counted each time they are used: more is an attack or a mistake.
_MOST_VALUES: Final = 100_000
#: Blocks and lists inside one another: far below where Python's stack ends.
_DEEPEST: Final = 64


class _Loader(_Base):  # type: ignore[misc]  # the C parser where libyaml is there, and it has no types
    def resolve(self, kind: type, value: object, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else _TAG + "str"
        return _TAG + ("seq" if kind is yaml.SequenceNode else "map")


class _Fault(Exception):
    """Ends the reading of one file."""

    def __init__(self, line: int, what: str) -> None:
        self.line = line
        self.what = what
        super().__init__(what)


def read_yaml(text: str, *, file: str, environ: Mapping[str, str]) -> tuple[Layer, list[Problem]]:
    """The settings in `text`, and what is wrong with it; an empty file is an empty layer."""
    empty = Layer(data={}, where=f"{file}:1", is_file=True)
    try:
        _check_depth(text)
        node = _Loader(text).get_single_node()
    except yaml.YAMLError as error:
        return empty, [_syntax(error, text, file)]
    except _Fault as fault:
        return empty, [Problem(what=fault.what, where=f"{file}:{fault.line}")]
    if node is None:
        return empty, []
    builder = _Builder(file, environ)
    try:
        data = builder.build(node, ())
    except _Fault as fault:
        return empty, [*builder.problems, Problem(what=fault.what, where=f"{file}:{fault.line}")]
    if data is None:
        return empty, builder.problems
    if not isinstance(data, dict):
        what = "must be a block of keys such as 'name: value'"
        mend = "put a space after the colon" if isinstance(data, str) and ":" in data else ""
        return empty, [*builder.problems, Problem(what=what, where=f"{file}:{node.start_mark.line + 1}", mend=mend)]
    return Layer(data=data, marks=builder.marks, where=f"{file}:1", is_file=True), builder.problems


def _check_depth(text: str) -> None:
    # The C composer recurses without a limit and would take the process with it.
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            assert event.start_mark is not None
            raise _Fault(event.start_mark.line + 1, f"is nested more than {_DEEPEST} levels deep")


def _syntax(error: yaml.YAMLError, text: str, file: str) -> Problem:
    line = _line(error, text)
    wrong = "".join(text.splitlines()[line - 1 : line])
    mend = "inside { } and [ ], put ${…} in quotes" if "${" in wrong else ""
    if wrong.lstrip(" ").startswith("\t"):
        mend = "indent with spaces: YAML does not take tabs"
    return Problem(what=f"is not YAML: {_reason(error)}", where=f"{file}:{line}", mend=mend)


def _reason(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError):
        reason = ", ".join(part for part in (error.context, error.problem) if part)
        # An alias that is not defined may be a password that begins with '*'.
        return "text that begins with '*' must be in quotes" if "undefined alias" in reason else reason
    return str(getattr(error, "reason", "unreadable"))


def _line(error: yaml.YAMLError, text: str) -> int:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        return int(mark.line) + 1
    return text.count("\n", 0, int(getattr(error, "position", 0) or 0)) + 1


class _Builder:
    """Values out of YAML nodes."""

    def __init__(self, file: str, environ: Mapping[str, str]) -> None:
        self._file = file
        self._environ = environ
        self._open: set[int] = set()
        self._count = 0
        self.marks: dict[Path, str] = {}
        self.problems: list[Problem] = []

    def build(self, node: yaml.Node, path: Path) -> object:
        self._count += 1
        line = node.start_mark.line + 1
        if self._count > _MOST_VALUES:
            raise _Fault(line, f"holds more than {_MOST_VALUES} values, counting aliases")
        if id(node) in self._open:
            raise _Fault(line, "contains itself through an alias")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return self._sequence(node, path)
            return self._mapping(node, path)
        finally:
            self._open.discard(id(node))

    def _sequence(self, node: yaml.SequenceNode, path: Path) -> list[object]:
        self._known_tag(node, "seq")
        items = []
        for index, item in enumerate(node.value):
            self._mark((*path, index), item)
            items.append(self.build(item, (*path, index)))
        return items

    def _mapping(self, node: yaml.Node, path: Path) -> dict[object, object]:
        self._known_tag(node, "map")
        # https://yaml.org/type/merge.html: own keys win over merged ones, earlier merges over later ones.
        made: dict[object, object] = {}
        for key, value in reversed(node.value):
            if _is_merge(key):
                self._merge(made, value, path)
        lines: dict[object, int] = {}
        for key_node, value_node in node.value:
            if _is_merge(key_node):
                continue
            key = self._key(key_node)
            if key in lines:
                self._problem(key_node, f"'{key_node.value}' is given twice, first on line {lines[key]}")
                continue
            lines[key] = key_node.start_mark.line + 1
            self._mark((*path, key), key_node)
            made[key] = self.build(value_node, (*path, key))
        return made

    def _merge(self, made: dict[object, object], source: yaml.Node, path: Path) -> None:
        sources = source.value if isinstance(source, yaml.SequenceNode) else [source]
        for block in reversed(sources):
            if not isinstance(block, yaml.MappingNode):
                raise _Fault(block.start_mark.line + 1, "'<<' takes a block of keys, or a list of them")
            merged = self.build(block, path)
            assert isinstance(merged, dict)
            made |= merged

    def _key(self, node: yaml.Node) -> object:
        if not isinstance(node, yaml.ScalarNode):
            raise _Fault(node.start_mark.line + 1, "a key must be a single word or number")
        return plain_scalar(node.value) if node.tag == _PLAIN else node.value

    def _scalar(self, node: yaml.ScalarNode) -> object:
        plain = node.tag == _PLAIN
        if not plain:
            self._known_tag(node, "str")
        try:
            text = interpolate(node.value, self._environ, plain=plain)
        except ValueError as error:
            self._problem(node, str(error))
            return None
        return plain_scalar(text) if plain and text == node.value else text

    def _known_tag(self, node: yaml.Node, name: str) -> None:
        if node.tag != _TAG + name:
            # The tag itself may be a password that begins with '!'.
            self._problem(node, "tags are not understood; put text that begins with '!' in quotes")

    def _mark(self, path: Path, node: yaml.Node) -> None:
        self.marks[path] = f"{self._file}:{node.start_mark.line + 1}"

    def _problem(self, node: yaml.Node, what: str) -> None:
        self.problems.append(Problem(what=what, where=f"{self._file}:{node.start_mark.line + 1}"))


def _is_merge(key: yaml.Node) -> bool:
    return isinstance(key, yaml.ScalarNode) and key.tag == _PLAIN and key.value == "<<"
