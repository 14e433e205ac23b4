"""The processes of a processpool: the helper, the workers that it forks, and who of them is free."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from time import monotonic
from typing import Protocol

from fp_events.domain.run import Failure

from ._alarm import NEVER
from ._helper_link import HelperLink
from ._worker_link import OutcomeFrame, WorkerLink

#: Seconds that workers have to close what they have opened.
_FAREWELL = 5.0


class RosterEvents(Protocol):
    """What the pool is told."""

    def work_wanted(self) -> None:
        """A worker has become free."""

    def outcome(self, worker: WorkerLink, frame: OutcomeFrame) -> None:
        """A worker has finished a job."""

    def worker_died(self, worker: WorkerLink) -> None:
        """A worker is gone; every outcome that it sent has been told before."""

    def helper_died(self) -> None:
        """The helper is gone, and `worker_died` has been told of all its workers."""

    def load_failed(self, failure: Failure) -> None:
        """The plans cannot be loaded. `start` tries again."""


class Roster:
    """At most `size` busy workers, and one spare that steps in for one that is killed."""

    def __init__(
        self, events: RosterEvents, bootstrap: str, argument: bytes, size: int, limits: dict[str, int]
    ) -> None:
        self._events = events
        self._bootstrap = bootstrap
        self._argument = argument
        self._limits = limits
        self.size = size
        #: Workers that ended: killed, crashed or replaced.
        self.ended = 0
        self._helper: HelperLink | None = None
        self._workers: dict[int, WorkerLink] = {}
        self._idle: list[WorkerLink] = []
        self._count = 0

    def start(self) -> None:
        """Start the helper if there is none."""
        if self._helper is None:
            self._helper = HelperLink(self, self._bootstrap, self._argument, self._limits)

    @property
    def busy(self) -> int:
        """Workers with a job."""
        return sum(bool(worker.chunk) for worker in self._workers.values())

    def free(self) -> Iterator[WorkerLink]:
        """Free workers, as long as fewer than `size` are busy; each one given is to be sent a chunk."""
        for _ in range(self.size - self.busy):
            if not self._idle:
                return
            yield self._idle.pop()

    def put_back(self, worker: WorkerLink) -> None:
        """A worker without a job is free again, unless it is about to end."""
        if not worker.leaving:
            self._idle.append(worker)

    def staff(self, queued: int) -> None:
        """See that there is a worker for each of `queued` jobs, as far as `size` allows, and a spare one."""
        if self._helper is None or not self._helper.ready:
            self.start()
            return
        wanted = min(self.size, self.busy + queued) + 1
        present = sum(not worker.leaving for worker in self._workers.values())
        for _ in range(wanted - present):
            self._count += 1
            worker = WorkerLink(self._count, self._helper, self._events.outcome, self._fell_silent)
            self._workers[worker.number] = worker

    def overdue(self, now: float) -> list[WorkerLink]:
        """Workers that are to be killed now."""
        return [worker for worker in self._workers.values() if worker.due(now) <= now]

    def next_due(self, now: float) -> float:
        """Monotonic time at which to look again."""
        return min((worker.due(now) for worker in self._workers.values()), default=NEVER)

    async def close(self) -> None:
        """Let workers without a job end by themselves, kill everything else, and wait for the helper to be gone."""
        await self._dismiss()
        for worker in self._workers.values():
            worker.kill()
            worker.close()
        self._workers.clear()
        self._idle.clear()
        helper, self._helper = self._helper, None
        if helper is None:
            return
        # The closed connection is its sign; it kills what is left of the workers first.
        helper.close()
        patience = monotonic() + 1.0
        while not helper.ended and monotonic() < patience:  # noqa: ASYNC110 - `Popen` has no event to await
            await asyncio.sleep(0.005)
        helper.kill()

    async def _dismiss(self) -> None:
        """Workers close what runs have opened: databases want to know that a client has gone."""
        free = [worker for worker in self._workers.values() if not worker.chunk and worker.pid is not None]
        for worker in free:
            worker.dismiss()
        patience = monotonic() + _FAREWELL
        while monotonic() < patience and not all(worker.exited for worker in free):  # noqa: ASYNC110 - as below
            await asyncio.sleep(0.002)

    def helper_ready(self) -> None:
        """The plans are loaded: a worker is ready before the first run comes."""
        self._events.work_wanted()
        self.staff(0)

    def helper_failed(self, failure: Failure) -> None:
        """The plans cannot be loaded."""
        self._helper = None
        self._events.load_failed(failure)

    def helper_ended(self) -> None:
        """The helper died, and so do its workers."""
        self._helper = None
        for worker in list(self._workers.values()):
            worker.kill()
            worker.exited = True
            self._bury(worker)
        self._events.helper_died()

    def worker_forked(self, number: int, pid: int) -> None:
        """A worker is ready for work."""
        worker = self._workers.get(number)
        if worker is not None:
            worker.pid = pid
            self.put_back(worker)
            self._events.work_wanted()

    def worker_exited(self, number: int, code: int) -> None:
        """A worker has ended."""
        worker = self._workers.get(number)
        if worker is not None:
            worker.exited = True
            worker.exit_code = code
            self._bury(worker)

    def _fell_silent(self, worker: WorkerLink) -> None:
        # It died, which the helper tells in a moment, or a plan closed its descriptors and it is of no more use.
        worker.kill()
        if worker in self._idle:
            self._idle.remove(worker)

    def _bury(self, worker: WorkerLink) -> None:
        worker.leaving = True
        worker.drain()
        if worker in self._idle:
            self._idle.remove(worker)
        del self._workers[worker.number]
        self.ended += 1
        self._events.worker_died(worker)
        worker.close()
