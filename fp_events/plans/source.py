"""Generated source: one line per node, called as a person would write it.

Only integers, `repr` of strings and ASCII identifiers enter the text; functions and constants are bound by number.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import CodeType, CoroutineType
from typing import Any

from fp_events.domain.marks import SKIPPED

from .awaiting import may_await, returns_coroutine
from .guards import Skip
from .selection import Selection
from .skipping import needed, takes_skipped
from .unwrapping import arguments_of, call_of

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What is written beside the calls."""

    #: Some node awaits.
    asynchronous: bool = False
    #: A recorder is told of every node.
    traced: bool = False
    #: Calls nodes the way lifecycle adapters want it: name -> what takes a run's id, and the arguments by name.
    instrumented: Callable[[str], Any] | None = None


def straight(selection: Selection, present: frozenset[str], style: Style) -> Program:
    """One function, `run(inputs)` or `run(inputs, t)`, that calls node after node; `t` is a `Recorder`.

    `present` are the optional inputs that the caller has. Local variables are used again, and values that may be
    large are deleted, once nothing needs them any more.
    """
    text = _Text()
    recorder = ", t" if style.traced or style.instrumented else ""
    text.add(f"{'async ' if style.asynchronous else ''}def run(inputs{recorder}):")
    slots = _Slots(selection)
    names = [name for name, required in selection.inputs.items() if required or name in present]
    for name in names:
        text.add(f" {slots.take(name)} = inputs[{name!r}]")
    for number, name in enumerate(selection.constants):
        text.bind(f"c{number}", selection.graph.config[name])
        text.add(f" {slots.take(name)} = c{number}")
    for number, name in enumerate(selection.order):
        node = _Node(text, selection, style, number)
        node.prepare(slots.places, "t")
        freed = slots.release(name)
        slot = slots.take(name)
        node.write(slot, "t")
        if freed - {slot}:
            text.add(f" del {', '.join(sorted(freed - {slot}))}")
    results = ", ".join(f"{name!r}: {slots.places[name]}" for name in selection.outputs)
    skipped = [name for name in selection.outputs if name in selection.may_skip]
    if not skipped:
        text.add(f" return {{{results}}}")
        return text.compile(selection)
    text.add(f" r = {{{results}}}")
    for name in skipped:
        text.add(f" if r[{name!r}] is SKIPPED: del r[{name!r}]")
    text.add(" return r")
    return text.compile(selection)


def steps(selection: Selection, present: frozenset[str], style: Style) -> Program:
    """A function per node, `n0(v)`, `n1(v)`, ..., that reads and writes a list of values; for concurrent plans.

    The list's last item is the recorder, where there is one.
    """
    text = _Text()
    absent = {name for name, required in selection.inputs.items() if not required and name not in present}
    places = {name: f"v[{slot}]" for name, slot in slots_of(selection).items() if name not in absent}
    for number, name in enumerate(selection.order):
        node = _Node(text, selection, style, number, alone=True)
        text.add(f"{'async ' if node.awaits else ''}def n{number}(v):")
        node.prepare(places, "v[-1]")
        node.write(places[name], "v[-1]")
    return text.compile(selection)


class _Node:
    """Writes one node."""

    def __init__(self, text: _Text, selection: Selection, style: Style, number: int, *, alone: bool = False) -> None:
        """`alone`: it is a function of its own, and ordinary where it never awaits."""
        self._text = text
        self._selection = selection
        self._style = style
        self._number = number
        self._name = selection.order[number]
        self._node = selection.graph.nodes[self._name]
        self._expression = ""
        self.awaits = style.asynchronous and (not alone or may_await(self._node) or style.instrumented is not None)
        self._is_coroutine = self.awaits and (style.instrumented is not None or returns_coroutine(self._node))

    def prepare(self, places: Mapping[str, str], recorder: str) -> None:
        """Find the expression for its value, while its arguments are in `places`."""
        may_skip = self._selection.may_skip
        fatal = [name for name in needed(self._node) if name in may_skip]
        taken = {name: places[name] for name in self._taken() if name in places}
        for name in () if takes_skipped(self._node) else taken.keys() & may_skip - set(fatal):
            taken[name] = f"(None if {places[name]} is SKIPPED else {places[name]})"
        call = self._call(taken, recorder)
        self._expression = f"await {call}" if self._is_coroutine else call
        if fatal:
            skipped = " or ".join(f"{places[name]} is SKIPPED" for name in fatal)
            self._expression = f"SKIPPED if {skipped} else {self._expression}"

    def _taken(self) -> list[str]:
        """What it takes, in the order of its parameters; adapters are told in the order that Hamilton's driver has."""
        if self._style.instrumented is None:
            return list(self._node.input_types)
        return [dependency.name for dependency in self._node.dependencies]

    def _call(self, taken: Mapping[str, str], recorder: str) -> str:
        bind, number = self._text.bind, self._number
        if self._style.instrumented is None:
            return call_of(self._node, self._selection.call(self._name), number, taken, bind)
        bind(f"f{number}", self._style.instrumented(self._name))
        return f"f{number}({', '.join(part for part in (f'{recorder}.run_id', arguments_of(None, taken)) if part)})"

    def write(self, slot: str, recorder: str) -> None:
        """Write the statements that put its value into `slot`."""
        add, number, name = self._text.add, self._number, self._name
        if self._style.traced:
            begin = "enter" if self._has_notes() else "begin"
            add(f" {recorder}.{begin}({number})", name)
        if name in self._selection.graph.conditional:
            add(" try:")
            self._assign(slot, "  ")
            add(f" except Skip: {slot} = SKIPPED")
        else:
            self._assign(slot, " ")
        if self._style.traced:
            add(f" {recorder}.end({number}, {slot})", name)

    def _assign(self, slot: str, indent: str) -> None:
        self._text.add(f"{indent}{slot} = {self._expression}", self._name)
        if self.awaits and not self._is_coroutine:
            self._text.add(f"{indent}if type({slot}) is Coroutine: {slot} = await {slot}", self._name)

    def _has_notes(self) -> bool:
        return self._name in self._selection.graph.marked or self._name in self._selection.calls


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
        self._namespace: dict[str, Any] = {"Coroutine": CoroutineType, "SKIPPED": SKIPPED, "Skip": Skip}

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
