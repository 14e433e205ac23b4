"""One run of a DAG: each task starts as soon as what it waits for has ended; the first error ends the run."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from fp_events.domain.errors import FlowkitError, TaskExecutionError
from fp_events.domain.marks import SKIPPED
from fp_events.domain.observation import NodeRecord, NodeStatus
from fp_events.tasks.binding import Binding
from fp_events.tasks.direct import again, pause
from fp_events.tasks.wiring import Wiring

from .events import Kind, Progress, Results, TaskEvent
from .pools import Pool

_log = logging.getLogger(__name__)


class Run:
    """Runs all tasks of a wiring once."""

    def __init__(
        self,
        dag: str,
        wiring: Wiring,
        inputs: Mapping[str, Any],
        pool: Pool,
        *,
        limit: int | None,
        observers: Sequence[Progress],
    ) -> None:
        """`limit`: tasks at a time, async ones too; None: as many as `pool` takes, and any number of async ones."""
        self._dag = dag
        self._wiring = wiring
        self._pool = pool
        self._observers = observers
        #: By task, and by input.
        self._values: dict[str, Any] = dict(inputs)
        self._records: dict[str, NodeRecord] = {}
        self._has_failed = False
        self._zero = time.perf_counter()
        self._threads = asyncio.Semaphore(min(limit or pool.size, pool.size))
        self._loop: AbstractAsyncContextManager[Any] = self._threads if limit else nullcontext()

    async def __call__(self) -> Results:
        """Values by task. Raises TaskExecutionError for the first task that raised; the others are cancelled."""
        missing = {name: len(set(binding.upstream)) for name, binding in self._wiring.bindings.items()}
        downstream = self._wiring.downstream()
        ready = [name for name, count in missing.items() if count == 0]
        running: set[asyncio.Task[None]] = set()
        try:
            while ready or running:
                running |= {asyncio.create_task(self._one(name), name=name) for name in ready}
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                ready = []
                for ended in done:
                    ended.result()
                    for name in downstream[ended.get_name()]:
                        missing[name] -= 1
                        if missing[name] == 0:
                            ready.append(name)
        finally:
            for left in running:
                left.cancel()
            if running:
                await asyncio.wait(running)
        values = {name: self._values[name] for name in self._wiring.bindings if self._values[name] is not SKIPPED}
        return Results(values, self._records)

    async def _one(self, name: str) -> None:
        """Run one task, or skip it."""
        binding = self._wiring.bindings[name]
        started = time.perf_counter()
        attempt = [0]
        try:
            bound = binding.arguments(self._values)
            if bound is None or not binding.applies(*bound):
                self._values[name] = SKIPPED
                self._end(name, "skipped", started, 0)
                return
            self._values[name] = await self._attempts(binding, *bound, started, attempt)
        except Exception as error:
            self._end(name, "failed", started, attempt[0], error)
            raise self._failed(binding, attempt[0], error) from error
        except asyncio.CancelledError as error:
            if asyncio.current_task().cancelling():  # type: ignore[union-attr]  # it runs in one
                raise
            # Raised by the function itself.
            self._end(name, "failed", started, attempt[0], error)
            raise self._failed(binding, attempt[0], error) from error
        self._end(name, "succeeded", started, attempt[0])

    async def _attempts(
        self, binding: Binding, args: Sequence[Any], kwargs: Mapping[str, Any], started: float, attempt: list[int]
    ) -> Any:
        task = binding.task
        while True:
            async with self._loop if task.is_async else self._threads:
                if self._has_failed:
                    # Its turn came because another one failed: it is about to be cancelled.
                    await asyncio.get_running_loop().create_future()
                attempt[0] += 1
                if attempt[0] == 1:
                    self._tell(task.name, "started", attempt=1)
                try:
                    async with asyncio.timeout(task.timeout):
                        call = task.func(*args, **kwargs) if task.is_async else self._pool.call(task, args, kwargs)
                        return await call
                except Exception as error:
                    if not again(task, attempt[0], error):
                        raise
                    failure = error
            delay = pause(task, attempt[0])
            duration = time.perf_counter() - started
            self._tell(task.name, "retrying", attempt=attempt[0], delay=delay, duration=duration, error=failure)
            await asyncio.sleep(delay)

    def _end(
        self, name: str, status: NodeStatus, started: float, attempts: int, error: BaseException | None = None
    ) -> None:
        self._has_failed = self._has_failed or status == "failed"
        duration = time.perf_counter() - started
        text = "" if error is None else " ".join(f"{type(error).__name__}: {error}".split())
        self._records[name] = NodeRecord(
            node=name, status=status, started=started - self._zero, duration=duration, attempts=attempts, error=text
        )
        kind: Kind = "succeeded" if status == "succeeded" else "skipped" if status == "skipped" else "failed"
        self._tell(name, kind, attempt=attempts, duration=duration, error=error)

    def _tell(
        self,
        name: str,
        kind: Kind,
        *,
        attempt: int = 0,
        duration: float = 0.0,
        delay: float = 0.0,
        error: BaseException | None = None,
    ) -> None:
        if not self._observers:
            return
        retry = self._wiring.bindings[name].task.retry
        event = TaskEvent(
            dag=self._dag,
            task=name,
            kind=kind,
            done=len(self._records),
            total=len(self._wiring.bindings),
            attempt=attempt,
            attempts=retry.attempts if retry else 1,
            duration=duration,
            delay=delay,
            error=error,
        )
        for observer in self._observers:
            try:
                observer(event)
            except Exception:  # noqa: BLE001 (observers are the user's, and cannot steer)
                _log.exception("an observer of DAG '%s' raised", self._dag)

    def _failed(self, binding: Binding, attempts: int, error: BaseException) -> TaskExecutionError:
        name = binding.task.name
        if isinstance(error, FlowkitError):
            return TaskExecutionError(error.what, where=error.where, mend=error.mend, task_name=name, attempts=attempts)
        if isinstance(error, TimeoutError) and not str(error) and binding.task.timeout is not None:
            what = f"task '{name}' of DAG '{self._dag}' took longer than {binding.task.timeout:g} s"
        else:
            text = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
            what = f"task '{name}' of DAG '{self._dag}' raised {text}"
        if attempts > 1:
            what += f", the last of {attempts} times"
        return TaskExecutionError(what, where=binding.where, task_name=name, attempts=attempts)
