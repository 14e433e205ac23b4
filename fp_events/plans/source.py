"""Generated source: one line per node, called as a person would write it.

Only integers, `repr` of strings and ASCII identifiers enter the text; functions and constants are bound by number.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import CodeType, CoroutineType
from typing import Any

from .awaiting import may_await, returns_coroutine
from .selection import Selection
from .unwrapping import call_of

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Compiled source and what is needed to read a traceback through it."""

    code: CodeType
    #: Unique, so that a frame tells which program it belongs to.
    filename: str
    #: Line -> node.
    lines: Mapping[int, str]
    namespace: dict[str, Any] = field(repr=False)

    def function(self, name: str) -> Any:
        """What the source defines as `name`."""
        if name not in self.namespace:
            exec(self.code, self.namespace)  # noqa: S102 (the text is ours; no name or value of a user is in it)
        return self.namespace[name]


def straight(selection: Selection, present: frozenset[str], *, asynchronous: bool) -> Program:
    """One function, `run(inputs)`, that calls node after node.

    `present` are the optional inputs that the caller has. Local variables are used again, and values that may be
    large are deleted, once nothing needs them any more.
    """
    text = _Text()
    text.add(f"{'async ' if asynchronous else ''}def run(inputs):")
    slots = _Slots(selection)
    names = [name for name, required in selection.inputs.items() if required or name in present]
    for name in names:
        text.add(f" {slots.take(name)} = inputs[{name!r}]")
    for number, name in enumerate(selection.constants):
        text.bind(f"c{number}", selection.graph.config[name])
        text.add(f" {slots.take(name)} = c{number}")
    for number, name in enumerate(selection.order):
        node = selection.graph.nodes[name]
        call = call_of(node, number, slots.places, text.bind)
        freed = slots.release(name)
        slot = slots.take(name)
        awaited = "await " if asynchronous and returns_coroutine(node) else ""
        text.add(f" {slot} = {awaited}{call}", name)
        if asynchronous and not awaited:
            text.bind("Coroutine", CoroutineType)
            text.add(f" if type({slot}) is Coroutine: {slot} = await {slot}", name)
        if freed - {slot}:
            text.add(f" del {', '.join(sorted(freed - {slot}))}")
    results = ", ".join(f"{name!r}: {slots.places[name]}" for name in selection.outputs)
    text.add(f" return {{{results}}}")
    return text.compile(selection)


def steps(selection: Selection, present: frozenset[str]) -> Program:
    """A function per node, `n0(v)`, `n1(v)`, ..., that reads and writes a list of values; for concurrent plans."""
    text = _Text()
    absent = {name for name, required in selection.inputs.items() if not required and name not in present}
    places = {name: f"v[{slot}]" for name, slot in slots_of(selection).items() if name not in absent}
    text.bind("Coroutine", CoroutineType)
    for number, name in enumerate(selection.order):
        node = selection.graph.nodes[name]
        call = call_of(node, number, places, text.bind)
        if returns_coroutine(node):
            text.add(f"async def n{number}(v): {places[name]} = await {call}", name)
        elif may_await(node):
            text.add(f"async def n{number}(v):", name)
            text.add(f" x = {call}", name)
            text.add(f" {places[name]} = await x if type(x) is Coroutine else x", name)
        else:
            text.add(f"def n{number}(v): {places[name]} = {call}", name)
    return text.compile(selection)


def slots_of(selection: Selection) -> dict[str, int]:
    """Where each value is in the list that `steps` works on."""
    return {name: slot for slot, name in enumerate([*selection.inputs, *selection.constants, *selection.order])}


class _Slots:
    """Local variables for values, used again after a value's last use."""

    def __init__(self, selection: Selection) -> None:
        self._nodes = selection.graph.nodes
        self.places: dict[str, str] = {}
        self._free: list[str] = []
        self._count = 0
        self._last: dict[str, list[str]] = {}
        kept = set(selection.outputs)
        last: dict[str, str] = {}
        for name in selection.order:
            for dependency in selection.graph.nodes[name].input_types:
                last[dependency] = name
        for dependency, name in last.items():
            if dependency not in kept:
                self._last.setdefault(name, []).append(dependency)

    def take(self, name: str) -> str:
        if self._free:
            slot = self._free.pop()
        else:
            slot = f"v{self._count}"
            self._count += 1
        self.places[name] = slot
        return slot

    def release(self, name: str) -> set[str]:
        """Give back what `name` is the last to use; which of it may be large.

        What is large comes last, so that the next `take` overwrites it. The caller holds inputs anyway.
        """
        given = [dependency for dependency in self._last.get(name, ()) if dependency in self.places]
        large = [name for name in given if not self._is_small(name)]
        small = [name for name in given if self._is_small(name)]
        self._free += [self.places[name] for name in small + large]
        return {self.places[name] for name in large}

    def _is_small(self, name: str) -> bool:
        node = self._nodes[name]
        return node.user_defined or node.type in (int, float, bool, str, type(None))


class _Text:
    def __init__(self) -> None:
        self._lines: list[str] = []
        self._nodes: dict[int, str] = {}
        self._namespace: dict[str, Any] = {}

    def add(self, line: str, node: str = "") -> None:
        self._lines.append(line)
        if node:
            self._nodes[len(self._lines)] = node

    def bind(self, name: str, value: Any) -> None:
        self._namespace[name] = value

    def compile(self, selection: Selection) -> Program:
        filename = f"<plan {next(_numbers)} of {selection.graph.name}>"
        code = compile("\n".join(self._lines) + "\n", filename, "exec", dont_inherit=True)
        return Program(code=code, filename=filename, lines=self._nodes, namespace=self._namespace)
