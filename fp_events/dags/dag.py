"""A DAG of tasks that runs where it is called."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Mapping
from contextvars import copy_context
from difflib import get_close_matches
from types import FrameType
from typing import Any, Literal

from fp_events.domain.errors import FlowkitError
from fp_events.tasks import registry
from fp_events.tasks.task import Task, caller
from fp_events.tasks.wiring import Wiring, wire

from . import pictures
from .events import Progress, Results
from .log import FlowkitLogger, configured_logger
from .pools import Pool, Processes, Threads
from .progress import bar
from .running import Run

Executor = Literal["threads", "processes"]
_EXECUTORS = {"threads": "threads", "thread": "threads", "processes": "processes", "process": "processes"}
#: How `plans/loading.py` calls the modules of a project.
_PROJECTS = "_fp_events_"


class DAG:
    """Tasks and the edges between them, under a name.

    Without `tasks` these are the tasks of the function that calls, or of its module, which have been made by then.
    """

    def __init__(
        self,
        name: str = "workflow",
        max_workers: int | None = None,
        *,
        tasks: Iterable[Task] | None = None,
        executor: str = "threads",
        progress: bool | Progress = False,
        logger: FlowkitLogger | None = None,
    ) -> None:
        """`max_workers`: tasks that run at a time; None: 4 more than processors in threads, at most 32, as many as
        processors in processes, and any number of async ones. `executor`: ``threads`` or ``processes``, for ordinary
        functions. `progress`: True shows a bar, a function gets each TaskEvent. `logger`: None is that of
        `configure_logging`, if any. Raises FlowkitError for a wrong setting.
        """
        if max_workers is not None and (isinstance(max_workers, bool) or max_workers < 1):
            raise FlowkitError(f"`max_workers` of DAG '{name}' is a number from 1, not {max_workers!r}")
        self.name = name
        self.max_workers = max_workers
        self.executor = _executor(name, executor)
        self.progress = progress
        self.logger = logger
        frame = caller()
        if tasks is None:
            self.tasks: tuple[Task, ...] = tuple(registry.visible(frame))
        else:
            self.tasks = tuple(tasks)
            for task in self.tasks:
                if not isinstance(task, Task):
                    raise FlowkitError(
                        f"`tasks` of DAG '{name}' holds {task!r}, which is no task", mend="put @task above it"
                    )
        registry.adopt(self.tasks, max_workers or 0, frame)

    @property
    def inputs(self) -> Mapping[str, bool]:
        """Parameters that no edge fills, by name; True where `run` needs a value for them."""
        return self.wiring().inputs

    def wiring(self) -> Wiring:
        """Tasks in order, with their arguments bound.

        Raises DAGCycleError, TaskNotFoundError, DuplicateTaskError, or FlowkitError for edges that do not fit.
        """
        return wire(self.tasks)

    def run(
        self,
        executor: str | None = None,
        *,
        inputs: Mapping[str, Any] | None = None,
        progress: bool | Progress | None = None,
    ) -> Results:
        """Run all tasks; values by task, those that were skipped left out.

        The first task that raises ends the run as TaskExecutionError: what has not started is cancelled, and ordinary
        functions under way are left to end by themselves. Raises what `wiring` raises, before anything runs. May be
        called while an event loop runs in this thread, which waits; `run_async` does not make it wait.
        """
        _refuse_import(self.name, caller())
        call = self._run(executor, inputs, progress)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(call)
        return _in_thread(call)

    async def run_async(
        self,
        executor: str | None = None,
        *,
        inputs: Mapping[str, Any] | None = None,
        progress: bool | Progress | None = None,
    ) -> Results:
        """The same on the running event loop."""
        return await self._run(executor, inputs, progress)

    def visualize(self, format: str = "text", *, show: bool = True) -> str:  # noqa: A002 (the word for it)
        """The DAG as ``text``, ``mermaid`` or ``dot``, which is printed too if `show`."""
        picture = pictures.draw(self.name, self.wiring(), format)
        if show:
            print(picture)
        return picture

    def __repr__(self) -> str:
        return f"DAG({self.name!r}, tasks={len(self.tasks)})"

    async def _run(
        self, executor: str | None, inputs: Mapping[str, Any] | None, progress: bool | Progress | None
    ) -> Results:
        wiring = self.wiring()
        given = dict(inputs or {})
        self._check(wiring, given)
        pool = self._pool(self.executor if executor is None else _executor(self.name, executor), wiring)
        logger = self.logger or configured_logger()
        try:
            with bar(self.progress if progress is None else progress, self.name, len(wiring.bindings)) as shown:
                observers = [*shown, *([logger.observer(self.name, len(wiring.bindings))] if logger else [])]
                run = Run(self.name, wiring, given, pool, limit=self.max_workers, observers=observers)
                if logger is None:
                    return await run()
                with logger.around(self.name, len(wiring.bindings)):
                    return await run()
        finally:
            pool.close()

    def _pool(self, executor: Executor, wiring: Wiring) -> Pool:
        if executor == "threads":
            return Threads(self.max_workers, self.name)
        return Processes(self.max_workers, [each.task for each in wiring.bindings.values() if not each.task.is_async])

    def _check(self, wiring: Wiring, given: Mapping[str, Any]) -> None:
        for binding in wiring.bindings.values():
            if binding.task.cached is not None:
                raise FlowkitError(
                    f"task '{binding.task.name}' is @cached, and a DAG that runs by itself has no project's cache",
                    where=binding.where,
                    mend="use TaskCache, or run it as a pipeline",
                )
            for name, required in binding.inputs.items():
                if required and name not in given:
                    raise FlowkitError(
                        f"DAG '{self.name}' needs a value for '{name}', which task '{binding.task.name}' takes",
                        where=binding.where,
                        mend=f"write run(inputs={{'{name}': …}}), or connect a task to it with >>",
                    )
        unknown = [name for name in given if name not in wiring.inputs]
        if unknown:
            near = get_close_matches(unknown[0], wiring.inputs, n=1)
            mend = f"did you mean '{near[0]}'?" if near else "leave it out"
            raise FlowkitError(f"DAG '{self.name}' takes no input '{unknown[0]}'", mend=mend)


def _executor(dag: str, name: str) -> Executor:
    if name not in _EXECUTORS:
        raise FlowkitError(f"`executor` of DAG '{dag}' is 'threads' or 'processes', not {name!r}")
    return _EXECUTORS[name]  # type: ignore[return-value]  # the table has no other values


def _refuse_import(dag: str, frame: FrameType) -> None:
    """The daemon imports modules to know their tasks: nothing is to run by that."""
    if registry.is_module(frame) and str(frame.f_globals.get("__name__", "")).startswith(_PROJECTS):
        raise FlowkitError(
            f"DAG '{dag}' runs when its module is imported", mend='put the call under `if __name__ == "__main__":`'
        )


def _in_thread(call: Coroutine[Any, Any, Results]) -> Results:
    """Run `call` on an event loop of its own, since this thread has one that runs already."""
    found: list[Results] = []
    raised: list[BaseException] = []
    context = copy_context()

    def work() -> None:
        try:
            found.append(context.run(asyncio.run, call))
        except BaseException as error:  # noqa: BLE001 (it is raised by the caller)
            raised.append(error)

    thread = threading.Thread(target=work, name="dag")
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return found[0]
