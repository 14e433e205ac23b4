"""The daemon's view of what a cluster executes: attempts, and the jobs that carry them."""

from __future__ import annotations

from time import monotonic

from fp_events.domain.run import Attempt, AttemptResult, Ended, Failure

from ._alarm import NEVER
from ._bridge import DIED, ERROR, STOPPED
from ._results import cancelled, crashed, ended_with, timed_out

#: Seconds that a job of several attempts, which were to take milliseconds, may take longer than one may.
_LATE = 1.0
#: Seconds that such a job has to end by itself when one of them is cancelled.
_SOON = 0.5
#: Times that an attempt is run anew after it was lost with a worker and nothing says whether it was the cause.
_LOST_OFTEN = 3


class Item:
    """One attempt that has no result yet."""

    __slots__ = ("alone", "attempt", "cancelled", "job", "losses")

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.cancelled = False
        #: None while it waits here.
        self.job: ClusterJob | None = None
        #: It shares no job: it was in one that did not end well.
        self.alone = False
        self.losses = 0


class ClusterJob:
    """Some attempts that one worker runs one after the other; their results come together."""

    __slots__ = ("abandoned", "began", "items", "number", "stop_at", "stopping")

    def __init__(self, number: int, items: list[Item]) -> None:
        self.number = number
        #: Those without a result.
        self.items = items
        #: Monotonic time at which the first one began; NEVER before.
        self.began = NEVER
        #: Monotonic time at which it is to be stopped whatever happens.
        self.stop_at = NEVER
        self.stopping = False
        #: Given up, but under way still.
        self.abandoned: list[Item] = []
        for item in items:
            item.job = self

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return 0.0 if self.began == NEVER else max(0.0, monotonic() - self.began)

    def begin(self) -> None:
        """Its worker has loaded the plans."""
        self.began = monotonic()
        timeouts = [item.attempt.timeout for item in self.items]
        if len(timeouts) == 1 and timeouts[0] is not None:
            self.stop_at = min(self.stop_at, self.began + timeouts[0])
        elif any(timeout is not None for timeout in timeouts):
            longest = max(timeout or 0.0 for timeout in timeouts)
            self.stop_at = min(self.stop_at, self.began + longest + _LATE)

    def cancel(self) -> None:
        """One of its attempts is not wanted."""
        self.stop_at = min(self.stop_at, monotonic() + (_SOON if len(self.items) > 1 else 0.0))

    def verdict(self, item: Item, how: str, text: str) -> AttemptResult | None:
        """What became of an attempt that has no result, now that the job has ended; None: it is to run again."""
        attempt, elapsed = item.attempt, self.elapsed
        shared = len(self.items) > 1
        if item.cancelled:
            return cancelled(attempt, elapsed=elapsed)
        if how == ERROR:
            failure = Failure(type="WorkerFailed", message=f"a worker could not execute it: {text}")
            return ended_with(attempt, Ended.RAISED, failure, elapsed=elapsed)
        if self.stopping and not shared and self._is_overdue(item):
            return timed_out(attempt, elapsed=elapsed)
        item.alone = True
        if self.stopping or how == STOPPED:
            return None
        if how == DIED and self.began != NEVER and not shared:
            what = f"its worker died in the middle of run {attempt.run_id}"
            return crashed(attempt, "WorkerLost", f"{what}: {text}", elapsed=elapsed)
        item.losses += how == DIED or self.began != NEVER
        if item.losses >= _LOST_OFTEN:
            return crashed(attempt, "WorkerLost", f"{item.losses} times its worker was lost: {text}", elapsed=elapsed)
        return None

    def give_up(self, item: Item) -> AttemptResult | None:
        """The result of an attempt whose job cannot be stopped; None: it is to run elsewhere."""
        if item.cancelled:
            return cancelled(item.attempt, elapsed=self.elapsed, abandoned=True)
        if len(self.items) == 1:
            return timed_out(item.attempt, elapsed=self.elapsed, abandoned=True)
        item.alone = True
        return None

    def _is_overdue(self, item: Item) -> bool:
        timeout = item.attempt.timeout
        return timeout is not None and self.elapsed >= timeout
