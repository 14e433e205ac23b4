"""Async attempts as tasks under one supervisor, with one timer for all their timeouts.

A task that is to be stopped is cancelled, cancelled again, and then given up: user code may swallow a
cancellation, and may raise CancelledError of its own accord. So what ended an attempt is read from
`_Run.reason`, never from the exception.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from fp_events.domain.ports import Handler
from fp_events.domain.run import Attempt, AttemptResult, Ended, Released

from ._alarm import NEVER, Alarm
from ._results import cancelled, raised, timed_out

#: Seconds from one cancellation to the next, and from the last one to giving up.
_PATIENCE = 0.25
_CANCELLATIONS = 2
_FINISHED_LATE = (Ended.TIMED_OUT, Ended.RETURNED)


class _Run:
    """One attempt and how far its end has come."""

    __slots__ = ("abandoned", "attempt", "began", "cancellations", "due", "entered", "reason", "task")

    def __init__(self, attempt: Attempt, began: float) -> None:
        self.attempt = attempt
        self.began = began
        #: Monotonic time of the next step against it: timeout, second cancellation, giving up.
        self.due = began + attempt.timeout if attempt.timeout is not None else NEVER
        self.task: asyncio.Task[None] | None = None
        #: The coroutine has had its first step; before, a cancellation ends it unseen.
        self.entered = False
        #: Why we stop it; None while we do not.
        self.reason: Ended | None = None
        self.cancellations = 0
        self.abandoned = False


class AsyncRuns:
    """The async attempts of one executor. `post` takes what has ended, on the loop."""

    def __init__(self, post: Callable[[AttemptResult | Released], None]) -> None:
        self._post = post
        #: Also holds the only strong references to the tasks.
        self._runs: set[_Run] = set()
        self._by_id: dict[str, _Run] = {}
        self._alarm = Alarm(self._scan)

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def abandoned(self) -> int:
        """Tasks that were given up and still run."""
        return len(self._runs) - len(self._by_id)

    def start(self, attempt: Attempt, handler: Handler) -> None:
        """Run `attempt` in a task, and so in a context, of its own."""
        run = _Run(attempt, monotonic())
        self._runs.add(run)
        self._by_id[attempt.run_id] = run
        name = f"run {attempt.run_id}"
        run.task = asyncio.get_running_loop().create_task(self._drive(run, handler), name=name)
        self._alarm.at(run.due)

    def cancel(self, run_id: str) -> bool:
        """Begin to stop a run; its result follows within half a second."""
        run = self._by_id.get(run_id)
        if run is None:
            return False
        run.reason = Ended.CANCELLED
        if run.cancellations == 0:
            self._push(run, monotonic())
        return True

    async def close(self, grace: float) -> None:
        """Wait `grace` seconds for the tasks, then cancel them, twice at most."""
        for wait in (grace, *[_PATIENCE] * _CANCELLATIONS):
            tasks = [run.task for run in self._runs if run.task is not None]
            if not tasks:
                break
            await asyncio.wait(tasks, timeout=wait)
            for run in self._runs:
                run.reason = run.reason or Ended.CANCELLED
                if run.task is not None:
                    run.task.cancel()
        self._alarm.cancel()

    async def _drive(self, run: _Run, handler: Handler) -> None:
        run.entered = True
        result: AttemptResult | None = None
        try:
            result = await handler.handle_async(run.attempt)
        except BaseException as error:  # noqa: BLE001 - SystemExit and CancelledError of a plan are its failure
            if run.reason is None:
                result = raised(run.attempt, error, elapsed=monotonic() - run.began)
        self._finish(run, result)

    def _finish(self, run: _Run, result: AttemptResult | None) -> None:
        self._runs.discard(run)
        if run.abandoned:
            self._post(Released(run_id=run.attempt.run_id, number=run.attempt.number))
            return
        del self._by_id[run.attempt.run_id]
        self._post(self._verdict(run, result))

    def _verdict(self, run: _Run, result: AttemptResult | None) -> AttemptResult:
        # A run that finished its work in the moment it was timed out did finish it: doing it again would
        # repeat its side effects. A cancelled one was given up by a person, who is told so.
        elapsed = monotonic() - run.began
        if result is not None and (run.reason is None or (run.reason, result.ended) == _FINISHED_LATE):
            return result
        if run.reason is Ended.CANCELLED:
            return cancelled(run.attempt, elapsed=elapsed, abandoned=run.abandoned)
        return timed_out(run.attempt, elapsed=elapsed, abandoned=run.abandoned)

    def _push(self, run: _Run, now: float) -> None:
        """Take the next step against a run whose time has come."""
        run.reason = run.reason or Ended.TIMED_OUT
        if not run.entered:
            assert run.task is not None
            run.task.cancel()
            self._finish(run, None)
        elif run.cancellations < _CANCELLATIONS:
            assert run.task is not None
            run.cancellations += 1
            run.task.cancel()
            run.due = now + _PATIENCE
            self._alarm.at(run.due)
        else:
            run.abandoned = True
            run.due = NEVER
            del self._by_id[run.attempt.run_id]
            self._post(self._verdict(run, None))

    def _scan(self) -> None:
        now = monotonic()
        for run in [run for run in self._runs if run.due <= now]:
            self._push(run, now)
        self._alarm.at(min((run.due for run in self._runs), default=NEVER))
