"""The daemon's view of a job: which of its attempts are open, and what is known of its worker."""

from __future__ import annotations

import signal
from time import monotonic

from fp_events.domain.run import Attempt, AttemptResult

from ._alarm import NEVER
from ._helper_link import describe_exit
from ._results import cancelled, crashed, timed_out

#: Seconds after its timeout at which an attempt is stopped from here: the process that runs it was to end by itself.
_LATE = 5.0


class Item:
    """One attempt that has no result yet."""

    __slots__ = ("attempt", "cancelled", "job")

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.cancelled = False
        #: None while it waits here.
        self.job: RqJob | None = None


class RqJob:
    """Some attempts in one job of RQ; they run in order."""

    __slots__ = ("began", "items", "job_id", "overdue", "queued_at", "started", "stopped_for", "worker")

    def __init__(self, job_id: str, items: list[Item]) -> None:
        self.job_id = job_id
        #: Position -> what has no result.
        self.items = dict(enumerate(items))
        #: Monotonic time at which Redis took it; NEVER before.
        self.queued_at = NEVER
        self.started = False
        self.worker = ""
        #: Monotonic time at which the first of `items` began, as far as we know.
        self.began = NEVER
        #: What it was stopped for, and whether because of its timeout.
        self.stopped_for: Item | None = None
        self.overdue = False

    @property
    def current(self) -> Item | None:
        """What runs now, or would be next."""
        return next(iter(self.items.values()), None)

    def start(self, worker: str) -> None:
        """A worker has it."""
        self.worker = worker or self.worker
        if not self.started:
            self.started, self.began = True, monotonic()

    def to_stop(self) -> bool:
        """Whether what it runs was cancelled, or is long over its time; remembers which."""
        item = self.current
        if item is None:
            return False
        timeout = item.attempt.timeout
        self.overdue = self.started and timeout is not None and monotonic() > self.began + timeout + _LATE
        if item.cancelled or self.overdue:
            self.stopped_for = item
        return item.cancelled or self.overdue

    def verdict(self, code: int | None) -> AttemptResult | None:
        """What became of the first open attempt, its process having ended with `code`; None: it is to run again."""
        item = self.current
        assert item is not None
        elapsed = max(0.0, monotonic() - self.began) if self.started else 0.0
        if item.cancelled:
            return cancelled(item.attempt, elapsed=elapsed)
        if self.stopped_for not in {None, item}:
            # It was killed for one that ended in that moment.
            return None
        if code == -signal.SIGALRM or (self.overdue and self.stopped_for is item):
            return timed_out(item.attempt, elapsed=elapsed)
        what = f"its process {describe_exit(code)} in the middle of run {item.attempt.run_id}"
        return crashed(
            item.attempt, "ProcessDied", f"{what}; the log of worker {self.worker} may say more", elapsed=elapsed
        )

    def lost(self) -> AttemptResult:
        """What became of the first open attempt, its worker having fallen silent."""
        item = self.current
        assert item is not None
        elapsed = max(0.0, monotonic() - self.began)
        if item.cancelled:
            return cancelled(item.attempt, elapsed=elapsed)
        what = f"worker {self.worker} fell silent in the middle of run {item.attempt.run_id}"
        return crashed(
            item.attempt, "WorkerLost", f"{what}: it, or its machine, was killed or cut off", elapsed=elapsed
        )
