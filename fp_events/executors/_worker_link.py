"""The daemon's view of one worker process."""

from __future__ import annotations

import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic

from fp_events.domain.run import Attempt

from ._alarm import NEVER
from ._channel import Channel
from ._helper_link import HelperLink
from ._page import Page, page_file
from ._wire import OUTCOME, encode

#: Seconds, whether the worker ends now, and the encoded `AttemptResult` of the first job of the chunk.
OutcomeFrame = tuple[float, bool, memoryview]

#: Seconds that loading a plan may take on top of a run's timeout: its first run imports its libraries.
_LOADING = 60.0
#: Seconds until a cancelled job that had not begun is looked for again.
_SOON = 0.002


class Job:
    """One attempt on its way through the pool."""

    __slots__ = ("attempt", "cancelled", "number")

    def __init__(self, number: int, attempt: Attempt) -> None:
        #: From 1; unlike a run's id it is never used twice.
        self.number = number
        self.attempt = attempt
        self.cancelled = False


class WorkerLink:
    """A worker that is being forked, runs, or has died; the pool acts, this knows."""

    def __init__(
        self,
        number: int,
        helper: HelperLink,
        on_outcome: Callable[[WorkerLink, OutcomeFrame], None],
        on_end: Callable[[WorkerLink], None],
    ) -> None:
        self.number = number
        #: None until it is forked.
        self.pid: int | None = None
        #: What was sent and has no outcome, in the order in which it runs.
        self.chunk: deque[Job] = deque()
        #: The helper has told that it ended, or is dead itself.
        self.exited = False
        #: Exit code, or minus the signal's number, where known.
        self.exit_code: int | None = None
        #: It gets no more work: it retires, or was killed.
        self.leaving = False
        #: The job for whose sake it was killed.
        self.killed_for: Job | None = None
        ours, theirs = socket.socketpair()
        page = page_file()
        try:
            self._page = Page(page)
            with theirs:
                helper.fork(number, theirs, page)
        finally:
            os.close(page)
        self._on_outcome = on_outcome
        self._channel = Channel(ours, self._on_frame, lambda: on_end(self))

    def send(self, jobs: Sequence[tuple[Job, bytes]]) -> None:
        """Hand over a chunk of jobs with their encoded attempts; the worker has none."""
        self.chunk.extend(job for job, _ in jobs)
        self._channel.send(encode([(job.number, attempt) for job, attempt in jobs]))

    def current(self) -> Job | None:
        """The job that runs now, or ran when it died."""
        number = self._page.job
        return next((job for job in self.chunk if job.number == number), None) if number else None

    def elapsed(self) -> float:
        """Seconds that the current job, or the loading of its plan, has taken."""
        return max(0.0, monotonic() - self._page.since)

    def due(self, now: float) -> float:
        """Monotonic time at which this worker is to be killed, or looked at again."""
        if self.leaving or not self.chunk:
            return NEVER
        job = self.current()
        if job is None or job is not self.chunk[0]:
            # Between two jobs, or not begun: the next one ends its time no sooner than this.
            return now + min(_allowance(job) for job in self.chunk)
        if job.cancelled:
            return now
        allowance = _allowance(job) + (_LOADING if self._page.loading else 0.0)
        return self._page.since + allowance

    def kill(self) -> None:
        """Kill it, with the programs that its plan has started."""
        self.leaving = True
        if self.pid is not None and not self.exited:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def _on_frame(self, body: memoryview) -> None:
        self._on_outcome(self, (*OUTCOME.unpack_from(body), body[OUTCOME.size :]))

    def dismiss(self) -> None:
        """Have it close what it has opened, and end; it has no job."""
        self.leaving = True
        self._channel.finish()

    def drain(self) -> None:
        """Take in the outcomes that it sent before it ended."""
        self._channel.drain()

    def close(self) -> None:
        """Give back what it took."""
        self._channel.close()
        self._page.close()


def _allowance(job: Job) -> float:
    if job.cancelled:
        return _SOON
    return NEVER if job.attempt.timeout is None else job.attempt.timeout
