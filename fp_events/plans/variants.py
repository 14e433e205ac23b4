"""The programs of one plan: one for each set of optional inputs that callers have come with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .branching import Branching
from .concurrent import Concurrent
from .selection import Selection
from .source import Program, Style, straight


class Variants:
    """Generated code leaves missing optional inputs out of calls; a variant is compiled when it is first needed."""

    def __init__(
        self,
        selection: Selection,
        style: Style,
        *,
        concurrent: bool,
        branches: int = 0,
        programs: dict[str, Program] | None = None,
    ) -> None:
        """`programs` takes in what is compiled, by file name. `branches`: functions in threads at a time."""
        self._selection = selection
        self._style = style
        self._concurrent = concurrent
        self._branches = branches
        self.programs: dict[str, Program] = {} if programs is None else programs
        optional = [name for name, required in selection.inputs.items() if not required]
        #: A bit for each optional input: a set of them is a number, and cheap to look up.
        self._optional = tuple((name, 1 << number) for number, name in enumerate(optional))
        self._made: dict[int, Any] = {}
        without = self._make(0)
        #: The one program, where no input is optional; else None.
        self.only = None if optional else without

    def choose(self, inputs: Mapping[str, Any]) -> Any:
        """The program for callers that have `inputs`."""
        mask = 0
        for name, bit in self._optional:
            if name in inputs:
                mask |= bit
        return self._made.get(mask) or self._make(mask)

    def _make(self, mask: int) -> Any:
        present = frozenset(name for name, bit in self._optional if mask & bit)
        run: Any
        if self._concurrent:
            run = Concurrent(self._selection, present, self._style)
            program = run.program
        elif self._branches:
            run = Branching(self._selection, present, self._style, self._branches)
            program = run.program
        else:
            program = straight(self._selection, present, self._style)
            run = program.function("run")
        self.programs[program.filename] = program
        self._made[mask] = run
        return run
