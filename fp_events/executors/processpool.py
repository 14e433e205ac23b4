"""Runs in processes of its own: for plans that compute, hang or crash."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic

from fp_events.domain.run import Attempt, AttemptResult, Ended, Failure, Released

from ._alarm import Alarm
from ._helper_link import describe_exit
from ._mailbox import Mailbox
from ._pace import Pace
from ._results import cancelled, ended_with, raised, timed_out
from ._roster import Roster
from ._wire import decode, encode
from ._worker_link import Job, OutcomeFrame, WorkerLink

#: Seconds of measured work in one hand-over.
_CHUNK = 0.001
_LONGEST_CHUNK = 64
#: Deaths without a run to blame and without an outcome between them; then the queue is failed instead.
_BARREN = 5


class ProcesspoolExecutor:
    """Runs handlers in `max_workers` processes; default one per processor.

    `bootstrap` is ``module:function``; the function is called with `argument` in a helper process, which should
    import there whatever the plans need, and returns the `HandlerLoader`. The helper forks the workers.

    A run is killed at its timeout, or when it is cancelled, together with the programs that it started. A run that
    takes its process down ends CRASHED and nothing else does: what waited behind it in the same process runs
    elsewhere. A run that had just begun in the moment in which its neighbour was killed runs twice.

    Runs start in the order in which they came: with every process busy, fast ones wait behind slow ones.

    A worker that has grown by `max_worker_bytes`, or has served `max_worker_runs`, is replaced.
    """

    def __init__(
        self,
        bootstrap: str,
        argument: bytes,
        max_workers: int | None = None,
        *,
        max_worker_bytes: int = 1 << 30,
        max_worker_runs: int = 100_000,
    ) -> None:
        limits = {"max_bytes": max_worker_bytes, "max_runs": max_worker_runs}
        self._roster = Roster(self, bootstrap, argument, max_workers or os.cpu_count() or 1, limits)
        self._mailbox = Mailbox()
        self._pace = Pace()
        #: run_id -> what is queued or was sent.
        self._jobs: dict[str, Job] = {}
        self._queue: deque[Job] = deque()
        self._alarm = Alarm(self._look)
        self._job_count = 0
        #: Deaths without a run to blame since the last outcome.
        self._barren = 0
        #: Jobs of the last pipeline that make a chunk.
        self._chunk = 1
        self._closing = False
        self._idle = asyncio.Event()

    @property
    def parallel(self) -> int:
        """Processes."""
        return self._roster.size

    @property
    def capacity(self) -> int:
        """Attempts that are usefully handed over at a time: two chunks per worker."""
        return self._roster.size * 2 * self._chunk

    async def start(self) -> None:
        """Start the helper, which begins to load the plans."""
        self._roster.start()

    def submit(self, burst: Sequence[Attempt]) -> None:
        """Queue attempts and send what the free workers can take."""
        for attempt in burst:
            self._job_count += 1
            job = Job(self._job_count, attempt)
            self._jobs[attempt.run_id] = job
            self._queue.append(job)
        self.work_wanted()

    async def results(self) -> Sequence[AttemptResult | Released]:
        """Everything that has ended, at least one."""
        return await self._mailbox.take()

    def cancel(self, run_id: str) -> bool:
        """Drop a queued run; kill the process of one that runs."""
        job = self._jobs.get(run_id)
        if job is None:
            return False
        job.cancelled = True
        if job in self._queue:
            self._queue.remove(job)
            self._end(job, cancelled(job.attempt))
        else:
            self._look()
        return True

    def status(self) -> Mapping[str, int]:
        """Counters; `restarts` counts workers that ended: killed, crashed or replaced."""
        return {
            "workers": self._roster.size,
            "busy": self._roster.busy,
            "queued": len(self._queue),
            "abandoned": 0,
            "restarts": self._roster.ended,
        }

    async def close(self, grace: float) -> None:
        """Wait at most `grace` seconds for what was sent, then kill it. What is queued never starts."""
        self._closing = True
        self._queue.clear()
        if self._roster.busy:
            self._idle.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), grace)
        self._alarm.cancel()
        await self._roster.close()

    def work_wanted(self) -> None:
        """Send what can be sent, and see that there are workers for the rest."""
        if self._closing:
            return
        if self._queue:
            for worker in self._roster.free():
                if not self._send_chunk(worker):
                    break
        if self._queue:
            self._roster.staff(len(self._queue))

    def outcome(self, worker: WorkerLink, frame: OutcomeFrame) -> None:
        """Take one outcome; after the last one of its chunk the worker is free, or leaves."""
        seconds, retiring, body = frame
        job = worker.chunk.popleft()
        try:
            result: AttemptResult = decode(body)
        except Exception as error:  # noqa: BLE001 - a value's own unpickling may raise anything
            result = raised(job.attempt, error, elapsed=seconds)
        pipeline = job.attempt.plan.pipeline
        self._barren = 0
        self._pace.record(pipeline, seconds)
        self._end(job, cancelled(job.attempt, elapsed=seconds) if job.cancelled else result)
        if worker.chunk:
            # The alarm is set for no later than the shortest timeout in the chunk.
            return
        average = self._pace.average(pipeline) or _CHUNK
        self._chunk = max(1, min(_LONGEST_CHUNK, int(_CHUNK / max(average, 1e-6))))
        worker.leaving |= retiring
        self._roster.put_back(worker)
        self._check_idle()
        self.work_wanted()

    def worker_died(self, worker: WorkerLink) -> None:
        """Blame the run that was under way, if any; put the others back in front."""
        culprit = worker.current()
        if worker.killed_for not in {None, culprit}:
            # It was killed for a run that ended in that moment: this one is innocent.
            culprit = None
        for job in reversed(worker.chunk):
            if job is culprit or job.cancelled:
                self._end(job, self._verdict(worker, job))
            else:
                self._queue.appendleft(job)
        worker.chunk.clear()
        self._check_idle()
        # Code 0: it retired. No code: the helper died first, and is counted below.
        if culprit is None and worker.killed_for is None and worker.exit_code:
            self._count_barren(f"a worker process {describe_exit(worker.exit_code)} without a run")
        self.work_wanted()

    def helper_died(self) -> None:
        """Start another, with what waits."""
        self._count_barren("the process that forks the workers died")
        self.work_wanted()

    def load_failed(self, failure: Failure) -> None:
        """Every run fails of it."""
        self._fail_queue(Ended.RAISED, failure)

    def _send_chunk(self, worker: WorkerLink) -> bool:
        """Send jobs for about a millisecond, or one whose pipeline is slow or not measured; False without any."""
        jobs: list[tuple[Job, bytes]] = []
        left = _CHUNK
        while self._queue and len(jobs) < _LONGEST_CHUNK:
            cost = self._pace.average(self._queue[0].attempt.plan.pipeline)
            if jobs and (cost is None or cost > left):
                break
            job = self._queue.popleft()
            try:
                jobs.append((job, encode(job.attempt)))
            except Exception as error:  # noqa: BLE001 - whatever pickle raises for what an attempt holds
                self._end(job, raised(job.attempt, error, elapsed=0.0))
                continue
            left -= _CHUNK if cost is None else cost
        if not jobs:
            self._roster.put_back(worker)
            return False
        worker.send(jobs)
        self._alarm.at(worker.due(monotonic()))
        return True

    def _end(self, job: Job, result: AttemptResult) -> None:
        # A run that was handed over twice keeps its later entry.
        if self._jobs.get(job.attempt.run_id) is job:
            del self._jobs[job.attempt.run_id]
        self._mailbox.post(result)

    def _verdict(self, worker: WorkerLink, job: Job) -> AttemptResult:
        elapsed = worker.elapsed() if job is worker.current() else 0.0
        if job.cancelled:
            return cancelled(job.attempt, elapsed=elapsed)
        if worker.killed_for is job:
            return timed_out(job.attempt, elapsed=elapsed)
        failure = _crash(f"its process {describe_exit(worker.exit_code)} in the middle of run {job.attempt.run_id}")
        return ended_with(job.attempt, Ended.CRASHED, failure, elapsed=elapsed)

    def _look(self) -> None:
        """Kill what is overdue or cancelled."""
        now = monotonic()
        for worker in self._roster.overdue(now):
            worker.killed_for = worker.chunk[0]
            worker.kill()
        self._alarm.at(self._roster.next_due(now))

    def _check_idle(self) -> None:
        if not self._roster.busy:
            self._idle.set()

    def _count_barren(self, what: str) -> None:
        self._barren += 1
        if self._barren >= _BARREN:
            self._barren = 0
            self._fail_queue(Ended.CRASHED, _crash(f"{_BARREN} times in a row, {what}"))

    def _fail_queue(self, ended: Ended, failure: Failure) -> None:
        while self._queue:
            job = self._queue.popleft()
            self._end(job, ended_with(job.attempt, ended, failure, elapsed=0.0))


def _crash(what: str) -> Failure:
    return Failure(type="ProcessDied", message=f"{what}; standard error of the daemon may say more")
