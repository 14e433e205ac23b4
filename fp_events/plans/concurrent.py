"""Plans in which several nodes can await at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from fp_events.domain.marks import SKIPPED

from .awaiting import may_await, may_wait
from .selection import Selection
from .source import Style, slots_of, steps
from .trace import Recorder


class Concurrent:
    """Starts each node as soon as what it needs is there.

    Sync nodes run straight away, and so do async ones that cannot wait. Of the others that become ready together,
    the first goes on in the same task and each other one gets a task of its own. The first error cancels the rest
    and passes unchanged.
    """

    def __init__(self, selection: Selection, present: frozenset[str], style: Style) -> None:
        self.program = steps(selection, present, style)
        slots = slots_of(selection)
        numbers = {name: number for number, name in enumerate(selection.order)}
        nodes = [selection.graph.nodes[name] for name in selection.order]
        self._calls = [self.program.function(f"n{number}") for number in range(len(nodes))]
        self._waits = [may_wait(node) for node in nodes]
        self._awaits = [may_await(node) or style.instrumented is not None for node in nodes]
        self._dependents: list[list[int]] = [[] for _ in nodes]
        self._needs: list[int] = []
        for number, node in enumerate(nodes):
            needed = [numbers[name] for name in node.input_types if name in numbers]
            self._needs.append(len(needed))
            for other in needed:
                self._dependents[other].append(number)
        self._sources = [number for number, count in enumerate(self._needs) if count == 0]
        self._inputs = [(name, slots[name]) for name, need in selection.inputs.items() if need or name in present]
        self._constants = [(selection.graph.config[name], slots[name]) for name in selection.constants]
        self._outputs = [(name, slots[name]) for name in selection.outputs]
        self._size = len(slots)
        self._may_skip = not selection.may_skip.isdisjoint(selection.outputs)

    async def __call__(self, inputs: Mapping[str, Any], recorder: Recorder | None = None) -> dict[str, Any]:
        """Run all nodes; the outputs by name, but for those that were skipped."""
        values: list[Any] = [None] * self._size
        values.append(recorder)
        for name, slot in self._inputs:
            values[slot] = inputs[name]
        for value, slot in self._constants:
            values[slot] = value
        await _Execution(self._calls, self._awaits, self._waits, self._dependents, list(self._needs), values).run(
            self._sources
        )
        if self._may_skip:
            return {name: values[slot] for name, slot in self._outputs if values[slot] is not SKIPPED}
        return {name: values[slot] for name, slot in self._outputs}


class _Execution:
    """One run of a concurrent plan."""

    def __init__(
        self,
        calls: list[Any],
        awaits: list[bool],
        waits: list[bool],
        dependents: list[list[int]],
        missing: list[int],
        values: list[Any],
    ) -> None:
        self._calls = calls
        #: Its call gives a coroutine; and one that may take its time.
        self._awaits = awaits
        self._waits = waits
        self._dependents = dependents
        #: Per node, how many of its dependencies are still to come.
        self._missing = missing
        self._values = values
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None
        #: The owner sleeps until the tasks that others started are done, or one of them failed.
        self._changed = asyncio.Event()

    async def run(self, sources: list[int]) -> None:
        first = asyncio.ensure_future(self._follow(sources))
        self._watch(first)
        try:
            while self._tasks and self._error is None:
                self._changed.clear()
                await self._changed.wait()
        finally:
            await self._stop()
        if self._error is not None:
            raise self._error

    async def _follow(self, ready: list[int]) -> None:
        """Run `ready`, and whatever becomes ready by it."""
        ready = list(ready)
        while ready:
            waiting: list[int] = []
            while ready:
                number = ready.pop(0)
                if self._waits[number]:
                    waiting.append(number)
                    continue
                if self._awaits[number]:
                    await self._calls[number](self._values)
                else:
                    self._calls[number](self._values)
                ready += self._done(number)
            for number in waiting[1:]:
                self._watch(asyncio.ensure_future(self._follow_waiting(number)))
            if waiting:
                await self._calls[waiting[0]](self._values)
                ready = self._done(waiting[0])

    async def _follow_waiting(self, number: int) -> None:
        await self._calls[number](self._values)
        await self._follow(self._done(number))

    def _done(self, number: int) -> list[int]:
        ready = []
        for other in self._dependents[number]:
            self._missing[other] -= 1
            if self._missing[other] == 0:
                ready.append(other)
        return ready

    def _watch(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._error is None:
            # A node may raise CancelledError by itself; what `_stop` cancels comes after the error that caused it.
            self._error = asyncio.CancelledError() if task.cancelled() else task.exception()
        self._changed.set()

    async def _stop(self) -> None:
        rest = list(self._tasks)
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest)
