"""A plan that runs as generated code."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fp_events.domain.errors import InputInvalid
from fp_events.domain.run import PlanRef

from .awaiting import has_sync_nodes, is_async, is_concurrent
from .concurrent import Concurrent
from .selection import Selection
from .source import Program, straight


class CompiledPlan:
    """A pipeline's functions as straight-line code: costs what hand-written calls cost.

    The code leaves missing optional inputs out of calls, so there is one variant for each set of them that
    callers have come with; a variant is compiled when it is first needed.
    """

    through_driver = False

    def __init__(self, ref: PlanRef, selection: Selection) -> None:
        self.ref = ref
        self.selection = selection
        self.inputs: Mapping[str, bool] = MappingProxyType(dict(selection.inputs))
        self.outputs: Sequence[str] = selection.outputs
        self.is_async = is_async(selection)
        self.has_sync_nodes = has_sync_nodes(selection)
        optional = [name for name, required in selection.inputs.items() if not required]
        #: A bit for each optional input: a set of them is a number, and cheap to look up.
        self._optional = tuple((name, 1 << number) for number, name in enumerate(optional))
        self._concurrent = self.is_async and is_concurrent(selection)
        self._variants: dict[int, Any] = {}
        self._programs: dict[str, Program] = {}
        #: The variant without optional inputs; for most plans the only one.
        self._plain = self._variant(0)

    def execute(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run every node once; a plan with awaiting nodes gets an event loop of its own.

        Raises InputInvalid where a required input is missing.
        """
        if self.is_async:
            return asyncio.run(self.execute_async(inputs))
        run = self._choose(inputs) if self._optional else self._plain
        try:
            result: dict[str, Any] = run(inputs)
        except KeyError as error:
            self._refuse_missing(inputs, error)
            raise
        return result

    async def execute_async(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The same on the running loop; nodes that await run concurrently where the graph allows."""
        if not self.is_async:
            return self.execute(inputs)
        run = self._choose(inputs) if self._optional else self._plain
        try:
            result: dict[str, Any] = await run(inputs)
        except KeyError as error:
            self._refuse_missing(inputs, error)
            raise
        return result

    def failed_node(self, error: BaseException) -> str:
        """The node that raised `error`, from its traceback; empty if none did."""
        step = error.__traceback__
        while step is not None:
            program = self._programs.get(step.tb_frame.f_code.co_filename)
            if program is not None and step.tb_lineno in program.lines:
                return program.lines[step.tb_lineno]
            step = step.tb_next
        return ""

    def _choose(self, inputs: Mapping[str, Any]) -> Any:
        mask = 0
        for name, bit in self._optional:
            if name in inputs:
                mask |= bit
        return self._variants.get(mask) or self._variant(mask)

    def _variant(self, mask: int) -> Any:
        present = frozenset(name for name, bit in self._optional if mask & bit)
        run: Any
        if self._concurrent:
            run = Concurrent(self.selection, present)
            program = run.program
        else:
            program = straight(self.selection, present, asynchronous=self.is_async)
            run = program.function("run")
        self._programs[program.filename] = program
        self._variants[mask] = run
        return run

    def _refuse_missing(self, inputs: Mapping[str, Any], error: KeyError) -> None:
        """Tell a KeyError of ours from one that a node raised."""
        missing = [name for name, required in self.inputs.items() if required and name not in inputs]
        if missing and not self.failed_node(error):
            names = ", ".join(f"'{name}'" for name in missing)
            raise InputInvalid(
                f"pipeline '{self.ref.pipeline}' needs {'inputs' if len(missing) > 1 else 'input'} {names}",
                mend="fill it by a trigger's `map`, `run.inputs` or `params`, or give the parameter a default",
            ) from None
