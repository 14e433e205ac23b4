"""An executor that is started when it is first needed, and ended when it has long not been."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from fp_events.domain.ports import Executor
from fp_events.domain.run import Attempt, AttemptResult, Released

from ._mailbox import Mailbox
from ._results import cancelled, raised

#: Seconds without a run after which it is ended.
_IDLE = 300.0


class LateExecutor:
    """Makes and starts another executor with the first attempt, which waits meanwhile.

    Where that fails, what waits ends RAISED with the reason; the next attempt tries again.
    """

    def __init__(self, make: Callable[[], Executor], *, idle: float = _IDLE) -> None:
        self._make = make
        self._idle = idle
        self._mailbox = Mailbox()
        self._inner: Executor | None = None
        #: run_id -> what is submitted and has no result.
        self._under_way: dict[str, Attempt] = {}
        #: Of them, those that wait for the start.
        self._waiting: list[Attempt] = []
        self._life: asyncio.Task[None] | None = None
        self._moved = asyncio.Event()

    @property
    def parallel(self) -> int:
        """As the other one's; one that is not there yet bounds nothing."""
        return self._inner.parallel if self._inner is not None else 1 << 30

    @property
    def capacity(self) -> int:
        """The same."""
        return self._inner.capacity if self._inner is not None else 1 << 30

    async def start(self) -> None:
        """Nothing starts yet."""

    def submit(self, burst: Sequence[Attempt]) -> None:
        """Hand attempts on, or keep them until the other executor is there."""
        self._under_way.update((attempt.run_id, attempt) for attempt in burst)
        self._moved.set()
        if self._inner is not None:
            self._inner.submit(burst)
            return
        self._waiting += burst
        if self._life is None:
            self._life = asyncio.get_running_loop().create_task(self._live(), name="late executor")

    async def results(self) -> Sequence[AttemptResult | Released]:
        """Everything that has ended, at least one."""
        return await self._mailbox.take()

    def cancel(self, run_id: str) -> bool:
        """Stop a run there, or before it gets there."""
        if run_id not in self._under_way:
            return False
        if self._inner is not None:
            return self._inner.cancel(run_id)
        attempt = self._under_way.pop(run_id)
        self._waiting.remove(attempt)
        self._mailbox.post(cancelled(attempt))
        return True

    def status(self) -> Mapping[str, int]:
        """The other one's counters; without it, what waits."""
        if self._inner is not None:
            return self._inner.status()
        return {"workers": 0, "busy": 0, "queued": len(self._waiting), "abandoned": 0, "restarts": 0}

    async def close(self, grace: float) -> None:
        """End it, if it runs."""
        life, self._life = self._life, None
        inner, self._inner = self._inner, None
        if inner is not None:
            await inner.close(grace)
        if life is not None:
            life.cancel()
            await asyncio.wait([life])

    async def _live(self) -> None:
        """One life of the other executor."""
        try:
            inner = self._make()
            await inner.start()
        except Exception as error:  # noqa: BLE001 - whatever it is, the runs are to tell
            waiting, self._waiting = self._waiting, []
            for attempt in waiting:
                del self._under_way[attempt.run_id]
                self._mailbox.post(raised(attempt, error, elapsed=0.0))
            self._life = None
            return
        self._inner = inner
        waiting, self._waiting = self._waiting, []
        inner.submit(waiting)
        reader = asyncio.ensure_future(self._read(inner))
        try:
            await self._until_idle(inner)
            self._inner = self._life = None
            await inner.close(0.0)
        finally:
            reader.cancel()

    async def _until_idle(self, inner: Executor) -> None:
        while True:
            self._moved.clear()
            busy = self._under_way or inner.status()["abandoned"]
            try:
                async with asyncio.timeout(None if busy else self._idle):
                    await self._moved.wait()
            except TimeoutError:
                return

    async def _read(self, inner: Executor) -> None:
        while True:
            found = await inner.results()
            for result in found:
                if isinstance(result, AttemptResult):
                    self._under_way.pop(result.run_id, None)
            self._mailbox.extend(found)
            self._moved.set()
