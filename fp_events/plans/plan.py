"""A plan that runs as generated code."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fp_events.domain.errors import InputInvalid
from fp_events.domain.observation import NodeRecord
from fp_events.domain.run import PlanRef

from .awaiting import has_sync_nodes, is_async, is_concurrent
from .lifecycle import Lifecycle
from .selection import Selection
from .source import Program, Style
from .trace import Recorder
from .typed import validators_of
from .using import uses_broker
from .variants import Variants


class CompiledPlan:
    """A pipeline's functions as straight-line code: costs what hand-written calls cost."""

    through_driver = False

    def __init__(self, ref: PlanRef, selection: Selection, *, branches: int = 0) -> None:
        """`branches`: ordinary functions that may run at a time, in threads; 0: one after the other."""
        self.ref = ref
        self.selection = selection
        self.inputs: Mapping[str, bool] = MappingProxyType(dict(selection.inputs))
        self.outputs: Sequence[str] = selection.outputs
        self.is_async = is_async(selection)
        self.has_sync_nodes = has_sync_nodes(selection)
        self.validators = validators_of(selection)
        self.uses_broker = uses_broker(selection)
        self.is_marked = selection.is_marked
        self._concurrent = self.is_async and is_concurrent(selection)
        #: Ordinary functions that may run at a time.
        self.branches = 0 if self.is_async else branches
        self._variants = self._made(self._style())
        self._only = self._variants.only
        self._traced: Variants | None = None

    def execute(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run every node once; a plan with awaiting nodes gets an event loop of its own.

        Outputs that were skipped are left out. Raises InputInvalid where a required input is missing.
        """
        if self.is_async:
            return asyncio.run(self.execute_async(inputs))
        run = self._only or self._variants.choose(inputs)
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
        run = self._only or self._variants.choose(inputs)
        try:
            result: dict[str, Any] = await run(inputs)
        except KeyError as error:
            self._refuse_missing(inputs, error)
            raise
        return result

    def traced(self) -> TracedRun:
        """One run of which every node is noted."""
        if self._traced is None:
            self._traced = self._made(self._style(traced=True), self._variants.programs)
        return TracedRun(self, self._traced)

    def run(self, inputs: Mapping[str, Any], variants: Variants, recorder: Recorder) -> dict[str, Any]:
        """Run a variant that tells a recorder."""
        try:
            result: dict[str, Any] = variants.choose(inputs)(inputs, recorder)
        except KeyError as error:
            self._refuse_missing(inputs, error)
            raise
        return result

    async def run_async(self, inputs: Mapping[str, Any], variants: Variants, recorder: Recorder) -> dict[str, Any]:
        """The same of a plan that awaits."""
        try:
            result: dict[str, Any] = await variants.choose(inputs)(inputs, recorder)
        except KeyError as error:
            self._refuse_missing(inputs, error)
            raise
        return result

    def failed_node(self, error: BaseException) -> str:
        """The node that raised `error`, from its traceback; empty if none did."""
        programs = self._variants.programs
        step = error.__traceback__
        while step is not None:
            program = programs.get(step.tb_frame.f_code.co_filename)
            if program is not None and step.tb_lineno in program.lines:
                return program.lines[step.tb_lineno]
            step = step.tb_next
        return ""

    def _made(self, style: Style, programs: dict[str, Program] | None = None) -> Variants:
        return Variants(self.selection, style, concurrent=self._concurrent, branches=self.branches, programs=programs)

    def _style(self, *, traced: bool = False) -> Style:
        return Style(asynchronous=self.is_async, traced=traced)

    def _refuse_missing(self, inputs: Mapping[str, Any], error: KeyError) -> None:
        """Tell a KeyError of ours from one that a node raised."""
        missing = [name for name, required in self.inputs.items() if required and name not in inputs]
        if missing and not self.failed_node(error):
            names = ", ".join(f"'{name}'" for name in missing)
            raise InputInvalid(
                f"pipeline '{self.ref.pipeline}' needs {'inputs' if len(missing) > 1 else 'input'} {names}",
                mend="fill it by a trigger's `map`, `run.inputs` or `params`, or give the parameter a default",
            ) from None


class AdaptedPlan(CompiledPlan):
    """A plan whose code calls lifecycle adapters where Hamilton's driver would."""

    def __init__(self, ref: PlanRef, selection: Selection, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        super().__init__(ref, selection)

    def execute(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run every node once, told to the adapters."""
        if self.is_async:
            return asyncio.run(self.execute_async(inputs))
        return self.run(inputs, self._variants, Recorder(self.selection.order))

    async def execute_async(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The same on the running loop."""
        if not self.is_async:
            return self.execute(inputs)
        return await self.run_async(inputs, self._variants, Recorder(self.selection.order))

    def run(self, inputs: Mapping[str, Any], variants: Variants, recorder: Recorder) -> dict[str, Any]:
        """Run a variant between what adapters do before and after a graph."""
        with self._lifecycle.run(inputs) as graph_run:
            recorder.run_id = graph_run.run_id
            return graph_run.built(super().run(inputs, variants, recorder))

    async def run_async(self, inputs: Mapping[str, Any], variants: Variants, recorder: Recorder) -> dict[str, Any]:
        """The same of a plan that awaits."""
        async with self._lifecycle.run(inputs) as graph_run:
            recorder.run_id = graph_run.run_id
            return graph_run.built(await super().run_async(inputs, variants, recorder))

    def _style(self, *, traced: bool = False) -> Style:
        caller = self._lifecycle.caller(asynchronous=self.is_async)
        return Style(asynchronous=self.is_async, traced=traced, instrumented=caller)


class TracedRun:
    """One run, and what happened to its nodes."""

    def __init__(self, plan: CompiledPlan, variants: Variants) -> None:
        self._plan = plan
        self._variants = variants
        self._recorder = Recorder(plan.selection.order)

    def execute(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """As the plan's."""
        if self._plan.is_async:
            return asyncio.run(self.execute_async(inputs))
        return self._plan.run(inputs, self._variants, self._recorder)

    async def execute_async(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """As the plan's."""
        if not self._plan.is_async:
            return self.execute(inputs)
        return await self._plan.run_async(inputs, self._variants, self._recorder)

    def nodes(self, error: BaseException | None = None) -> Sequence[NodeRecord]:
        """What happened, in the order in which nodes began; `error` is what the run raised."""
        failed = self._plan.failed_node(error) if error is not None else ""
        return self._recorder.records(error, failed)
