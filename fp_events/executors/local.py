"""Runs on the event loop itself: for plans well under a millisecond, and for plans that await."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from time import monotonic

from fp_events.domain.ports import Handler, HandlerLoader
from fp_events.domain.run import Attempt, AttemptResult, PlanRef, Released

from ._mailbox import Mailbox
from ._results import cancelled, raised
from ._tasks import AsyncRuns

#: Attempts that await at the same time; more only lengthens the deadline scan.
_CAPACITY = 256
#: Seconds of sync runs before the loop gets its turn for keepalive and sockets.
_SLICE = 0.005
#: Seconds a single sync run may hold the loop before `on_blocked` names it.
_BLOCKED = 0.1


class LocalExecutor:
    """Runs handlers on the running loop: async ones side by side, sync ones in turn.

    A sync run cannot be stopped here: one that overran its timeout is still RETURNED, and until it ends
    nothing else in the process moves. `on_blocked(pipeline, seconds)` is told of each that held the loop
    longer than 0.1 s. A timeout or a cancel stops a run at its next await; one that swallows two
    cancellations is abandoned.
    """

    def __init__(self, load: HandlerLoader, *, on_blocked: Callable[[str, float], None] | None = None) -> None:
        self._load = load
        self._on_blocked = on_blocked
        self._mailbox = Mailbox()
        self._async = AsyncRuns(self._mailbox.post)
        self._queue: deque[tuple[Attempt, Handler]] = deque()
        self._slice_due = False
        self._blocked = 0

    @property
    def parallel(self) -> int:
        """As many as there are: async attempts await side by side."""
        return _CAPACITY

    @property
    def capacity(self) -> int:
        """Attempts that are usefully handed over at a time."""
        return _CAPACITY

    async def start(self) -> None:
        """Nothing to make ready: the loop runs already."""

    def submit(self, burst: Sequence[Attempt]) -> None:
        """Start async attempts, queue sync ones. A plan that is not loaded yet is loaded here, on the loop."""
        for attempt in burst:
            began = monotonic()
            try:
                handler = self._load(attempt.plan)
                is_async = handler.is_async
            except BaseException as error:  # noqa: BLE001 - whatever a plan's import raises is this run's failure
                self._mailbox.post(raised(attempt, error, elapsed=monotonic() - began))
                continue
            if is_async:
                self._async.start(attempt, handler)
            else:
                self._queue.append((attempt, handler))
        self._plan_slice()

    async def results(self) -> Sequence[AttemptResult | Released]:
        """Everything that has ended, at least one."""
        return await self._mailbox.take()

    def cancel(self, run_id: str) -> bool:
        """Drop a queued run, or cancel the task of an async one."""
        for entry in self._queue:
            if entry[0].run_id == run_id:
                self._queue.remove(entry)
                self._mailbox.post(cancelled(entry[0]))
                return True
        return self._async.cancel(run_id)

    def status(self) -> Mapping[str, int]:
        """Counters; `blocked` counts sync runs that held the loop longer than 0.1 s."""
        return {
            "workers": 1,
            "busy": len(self._async) + bool(self._queue),
            "queued": len(self._queue),
            "abandoned": self._async.abandoned,
            "restarts": 0,
            "blocked": self._blocked,
        }

    async def close(self, grace: float) -> None:
        """Let what runs end within `grace` seconds, then cancel it. What is still queued never starts."""
        self._queue.clear()
        await self._async.close(grace)

    def _plan_slice(self) -> None:
        if self._queue and not self._slice_due:
            self._slice_due = True
            asyncio.get_running_loop().call_soon(self._run_slice)

    def _run_slice(self) -> None:
        self._slice_due = False
        now = monotonic()
        end = now + _SLICE
        while self._queue and now < end:
            attempt, handler = self._queue.popleft()
            began = now
            try:
                result = copy_context().run(handler.handle, attempt)
            except BaseException as error:  # noqa: BLE001 - a plan's SystemExit must not end the loop
                result = raised(attempt, error, elapsed=monotonic() - began)
            self._mailbox.post(result)
            now = monotonic()
            if now - began > _BLOCKED:
                self._name_blocker(attempt.plan, now - began)
        self._plan_slice()

    def _name_blocker(self, plan: PlanRef, seconds: float) -> None:
        self._blocked += 1
        if self._on_blocked is not None:
            self._on_blocked(plan.pipeline, seconds)
