"""Where a single run executes that asks for another executor than its pipeline's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Any, Protocol

import anyio

from fp_events.domain.ports import Executor
from fp_events.domain.run import Attempt

from .lane import Lane


class Places(Protocol):
    """Makes executors; `app` has it."""

    @property
    def types(self) -> Collection[str]:
        """The types that the project itself configures."""

    def check(self, pipeline: str, asked: Mapping[str, Any]) -> None:
        """Raise UsageError for an executor that cannot be had: `type`, `max_workers`, `num_cpus`."""

    def executor(self, pipeline: str, asked: str) -> tuple[Executor, bool]:
        """The executor that a JSON object asks for, which takes attempts at once, and whether some pipeline has it."""


class Placing:
    """Hands attempts to executors that are not their pipeline's, and has them collected from."""

    def __init__(self, places: Places | None, collect: Callable[[Executor], Coroutine[Any, Any, None]]) -> None:
        """`collect`: takes what an executor returns, for ever."""
        self._places = places
        self._collect = collect
        #: Those that no pipeline has, and what was asked for first, by identity.
        self._known: dict[int, tuple[Executor, str]] = {}
        self._new: asyncio.Queue[Executor] = asyncio.Queue()

    def submit(self, lane: Lane, asked: str, attempt: Attempt) -> None:
        """Execute an attempt where it asks to."""
        if self._places is None:
            lane.executor.submit([attempt])
            return
        executor, is_shared = self._places.executor(lane.pipeline.name, asked)
        if not is_shared and id(executor) not in self._known:
            self._known[id(executor)] = executor, asked
            self._new.put_nowait(executor)
        lane.also(executor)
        executor.submit([attempt])

    def shown(self) -> dict[str, dict[str, int]]:
        """What `status` shows."""
        return {asked: dict(executor.status()) for executor, asked in self._known.values()}

    async def run(self) -> None:
        """Collect; runs for ever."""
        try:
            async with anyio.create_task_group() as tasks:
                while True:
                    executor = await self._new.get()
                    tasks.start_soon(self._collect, executor, name="collect from another executor")
        finally:
            with anyio.CancelScope(shield=True):
                for executor, _ in self._known.values():
                    await executor.close(0.0)
