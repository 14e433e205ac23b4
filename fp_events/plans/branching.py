"""Plans whose independent ordinary functions run at the same time, in threads: a module's DAG may ask for that."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any

from fp_events.domain.marks import SKIPPED

from .selection import Selection
from .source import Style, slots_of, steps
from .trace import Recorder


def has_branches(selection: Selection) -> bool:
    """Whether two nodes are independent of one another: they are not if each is an ancestor of the next one."""
    above: dict[str, int] = {}
    for chain, name in enumerate(selection.order):
        height = max((above.get(each, 0) for each in selection.graph.nodes[name].input_types), default=0)
        if height != chain:
            return True
        above[name] = height + 1
    return False


class Branching:
    """Calls each node as soon as what it needs is there, up to `workers` of them at a time.

    A node that is alone runs on the run's own thread, so that a chain costs no thread. After an error nothing more is
    called, and the first error passes when the calls under way have returned: nothing of a failed attempt goes on
    beside the next one.
    """

    def __init__(self, selection: Selection, present: frozenset[str], style: Style, workers: int) -> None:
        self.program = steps(selection, present, style)
        self._workers = workers
        slots = slots_of(selection)
        numbers = {name: number for number, name in enumerate(selection.order)}
        self._calls = [self.program.function(f"n{number}") for number in range(len(numbers))]
        self._dependents: list[list[int]] = [[] for _ in numbers]
        self._needs: list[int] = []
        for name, number in numbers.items():
            needed = [numbers[each] for each in selection.graph.nodes[name].input_types if each in numbers]
            self._needs.append(len(needed))
            for other in needed:
                self._dependents[other].append(number)
        self._inputs = [(name, slots[name]) for name, need in selection.inputs.items() if need or name in present]
        self._constants = [(selection.graph.config[name], slots[name]) for name in selection.constants]
        self._outputs = [(name, slots[name]) for name in selection.outputs]
        self._size = len(slots)

    def __call__(self, inputs: Mapping[str, Any], recorder: Recorder | None = None) -> dict[str, Any]:
        """Run all nodes; the outputs by name, but for those that were skipped."""
        values: list[Any] = [None] * self._size
        values.append(recorder)
        for name, slot in self._inputs:
            values[slot] = inputs[name]
        for value, slot in self._constants:
            values[slot] = value
        self._run(values)
        return {name: values[slot] for name, slot in self._outputs if values[slot] is not SKIPPED}

    def _run(self, values: list[Any]) -> None:
        missing = list(self._needs)
        ready = [number for number, count in enumerate(missing) if count == 0]
        ended: SimpleQueue[tuple[int, BaseException | None]] = SimpleQueue()
        running = 0
        failure: BaseException | None = None
        while (ready and failure is None) or running:
            while ready and failure is None and running < self._workers:
                number = ready.pop(0)
                if not ready and not running:
                    _call(self._calls[number], values, number, ended)
                else:
                    context, call = copy_context(), self._calls[number]
                    _threads.submit(partial(context.run, _call, call, values, number, ended))
                running += 1
            number, error = ended.get()
            running -= 1
            failure = failure or error
            if error is None:
                for other in self._dependents[number]:
                    missing[other] -= 1
                    if missing[other] == 0:
                        ready.append(other)
        if failure is not None:
            raise failure


def _call(
    call: Callable[[list[Any]], None],
    values: list[Any],
    number: int,
    ended: SimpleQueue[tuple[int, BaseException | None]],
) -> None:
    try:
        call(values)
    except BaseException as error:  # noqa: BLE001 (it is raised on the run's own thread)
        ended.put((number, error))
    else:
        ended.put((number, None))


class _Threads:
    """Threads that wait for calls: as many as are busy at once, kept for the next run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._idle = 0

    def submit(self, call: Callable[[], None]) -> None:
        """Have `call`, which raises nothing, called by one of them."""
        with self._lock:
            if self._idle:
                self._idle -= 1
            else:
                threading.Thread(target=self._work, name="fp-events branch", daemon=True).start()
            self._calls.put(call)

    def _work(self) -> None:
        while True:
            self._calls.get()()
            with self._lock:
                self._idle += 1


_threads = _Threads()


def _renew() -> None:
    """A forked process has none of its parent's threads."""
    global _threads  # noqa: PLW0603 (a process has one set of them)
    _threads = _Threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
