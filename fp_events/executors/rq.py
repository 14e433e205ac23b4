"""Runs on RQ workers over Redis: for work on several machines."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from time import monotonic

from fp_events.domain.run import Attempt, AttemptResult, Released

from ._mailbox import Mailbox
from ._outcomes import outcome
from ._pace import Pace
from ._results import cancelled, raised
from ._rq_jobs import Item, RqJob
from ._rq_link import Entry, Link, reason
from ._rq_task import ENDED, OUTCOME, STARTED, Task

#: Seconds of measured work in one job: what a job costs by itself.
_CHUNK = 0.02
_LONGEST_CHUNK = 200
#: Jobs that are usefully in Redis for each worker: the rest may go in larger ones, once its pipeline is measured.
_AHEAD = 4
#: The same while no worker is known.
_FEW = 8
#: Seconds between two tries to reach Redis.
_PAUSE = 1.0
#: Seconds between two looks at the workers, with jobs and without.
_LOOK = 1.0
_IDLE_LOOK = 10.0


class RqExecutor:
    """Runs attempts on the workers that serve `queue` in the Redis at `url`.

    A job carries one attempt, or as many of a fast pipeline as are done in 20 ms. Its worker forks a process for it,
    holds a lease of `lease` seconds that it renews, and tells each outcome at once over a stream of this executor's
    own. A process that dies ends its attempt CRASHED; so does a worker whose lease runs out. Those behind it in the
    job run elsewhere. A job that vanishes before a worker has it, as from a Redis that was emptied, is queued again.

    While Redis is away attempts wait; `on_link` is told why, and with an empty text when it is back.
    """

    def __init__(
        self,
        url: str,
        queue: str,
        *,
        project: str,
        owner: str,
        max_workers: int | None = None,
        lease: float = 10.0,
        on_link: Callable[[str], None] | None = None,
    ) -> None:
        """`owner` names the daemon, the same after its restart."""
        self._url = url
        self._project = project
        self._limit = max_workers
        self._lease = lease
        self._on_link = on_link
        self._link = Link(url, queue, owner=owner)
        self._mailbox = Mailbox()
        self._pace = Pace()
        #: run_id -> what has no result.
        self._items: dict[str, Item] = {}
        self._queue: deque[Item] = deque()
        self._jobs: dict[str, RqJob] = {}
        self._work = asyncio.Event()
        self._poke = asyncio.Event()
        self._idle = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._workers = 0
        self._lost = 0
        self._problem = ""
        #: Monotonic time from which on a missing lease says something: one lease after Redis came back.
        self._sighted = 0.0
        self._closing = False
        self._ended = False

    @property
    def parallel(self) -> int:
        """Nobody knows how many workers there will be."""
        return 1 << 30

    @property
    def capacity(self) -> int:
        """Attempts that are usefully handed over at a time; what Redis is not to have yet waits here."""
        return self._limit or 1 << 30

    async def start(self) -> None:
        """Connect; raises ExecutorUnavailable where Redis does not answer."""
        await self._link.open()
        for step, name in ((self._send, "send"), (self._read, "read"), (self._watch, "watch")):
            task = asyncio.get_running_loop().create_task(self._forever(step), name=f"rq: {name}")
            task.add_done_callback(self._broken)
            self._tasks.append(task)
        self._poke.set()

    def submit(self, burst: Sequence[Attempt]) -> None:
        """Queue attempts here; they go to Redis together."""
        for attempt in burst:
            item = self._items[attempt.run_id] = Item(attempt)
            self._queue.append(item)
        self._work.set()

    async def results(self) -> Sequence[AttemptResult | Released]:
        """Everything that has ended, at least one."""
        return await self._mailbox.take()

    def cancel(self, run_id: str) -> bool:
        """Drop a run that waits; have the process of one that runs killed."""
        item = self._items.get(run_id)
        if item is None:
            return False
        item.cancelled = True
        if item.job is None:
            self._queue.remove(item)
            self._end(item, cancelled(item.attempt))
        else:
            self._poke.set()
        return True

    def status(self) -> Mapping[str, int]:
        """Counters; `restarts` counts workers that were lost, `connected` is 0 while Redis is away."""
        busy = sum(job.started for job in self._jobs.values())
        waiting = sum(len(job.items) for job in self._jobs.values() if not job.started)
        return {
            "workers": self._workers,
            "busy": busy,
            "queued": len(self._queue) + waiting,
            "abandoned": 0,
            "restarts": self._lost,
            "connected": int(not self._problem),
        }

    async def close(self, grace: float) -> None:
        """Wait at most `grace` seconds for what runs, then have it killed. What is queued never starts."""
        if not self._tasks:
            return
        self._closing = True
        self._queue.clear()
        with suppress(*_away(), TimeoutError):
            async with asyncio.timeout(grace + _PAUSE):
                await self._withdraw()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                while self._jobs:
                    self._idle.clear()
                    await self._idle.wait()
        await self._end_roles()
        with suppress(*_away(), TimeoutError):
            async with asyncio.timeout(_PAUSE):
                for job in self._jobs.values():
                    await self._link.stop(job.job_id, job.worker)
        await self._link.close()

    async def _end_roles(self) -> None:
        self._ended = True
        waiting: set[asyncio.Task[None]] = set(self._tasks)
        while waiting:
            # More than once: a client in the middle of its connection's clean-up swallows a cancellation.
            for task in waiting:
                task.cancel()
            _, waiting = await asyncio.wait(waiting, timeout=_PAUSE / 10)
        self._tasks.clear()

    # -- roles

    async def _forever(self, step: Callable[[], Awaitable[None]]) -> None:
        """Repeat a step; while Redis is away, once in a while."""
        while not self._ended:
            try:
                await step()
            except _away() as error:
                self._link_lost(reason(error, self._url))
                await asyncio.sleep(_PAUSE)

    async def _send(self) -> None:
        """Put into Redis what waits here."""
        await self._work.wait()
        self._work.clear()
        unsent = [job for job in self._jobs.values() if job.queued_at > monotonic()]
        while jobs := unsent or self._cut():
            unsent = []
            self._work.set()  # until Redis has taken them: after an error they are sent again
            await self._link.enqueue({job.job_id: self._task(job) for job in jobs})
            self._work.clear()
            for job in jobs:
                job.queued_at = monotonic()
        self._poke.set()

    async def _read(self) -> None:
        """Take outcomes from the stream."""
        entries = await self._link.read()
        self._link_found()
        if entries:
            self._take(entries)
            await self._link.forget(entries)

    async def _watch(self) -> None:
        """Look at the workers while there are jobs; stop what is to be stopped."""
        wait = min(_LOOK, self._lease / 4) if self._jobs else _IDLE_LOOK
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._poke.wait()
        self._poke.clear()
        # What was known before the look: a start that we hear of meanwhile may be later than what the look saw.
        jobs = [(job, job.started) for job in self._jobs.values() if job.queued_at <= monotonic()]
        entries, leases, self._workers = await self._link.look([job.job_id for job, _ in jobs])
        self._link_found()
        self._take(entries)
        for (job, was_started), has_lease in zip(jobs, leases, strict=True):
            if job.job_id in self._jobs:
                await self._judge(job, was_started=was_started, has_lease=has_lease)

    # -- what is known of jobs

    async def _judge(self, job: RqJob, *, was_started: bool, has_lease: bool) -> None:
        now = monotonic()
        if has_lease:
            job.start("")
        elif now >= self._sighted and was_started:
            # Lease and end of a job come and go in one transaction, and all that was told has been read.
            self._lost += 1
            self._close_job(job, job.lost() if job.items else None)
            await self._link.drop(job.job_id)
            return
        elif now >= max(self._sighted, job.queued_at + self._lease) and not job.started:
            await self._queue_again(job)
        if job.to_stop():
            await self._stop(job)

    async def _queue_again(self, job: RqJob) -> None:
        """A job that no worker has is to be in the queue; a Redis that was emptied has lost it."""
        if await self._link.waiting(job.job_id) or job.started:
            return
        job.queued_at = monotonic()
        await self._link.enqueue({job.job_id: self._task(job)})

    async def _stop(self, job: RqJob) -> None:
        withdrawn = not job.started and (await self._link.withdraw([job.job_id]))[0]
        if not withdrawn:
            await self._link.stop(job.job_id, job.worker)
        elif job.items:
            self._close_job(job, job.verdict(None))

    def _take(self, entries: Sequence[Entry]) -> None:
        """Act on what workers tell; told twice it changes nothing more."""
        for _, told in entries:
            job = self._jobs.get(told.get(b"job", b"").decode(errors="replace"))
            if job is None:
                continue
            kind = told.get(b"kind")
            if kind == STARTED:
                job.start(told.get(b"worker", b"").decode(errors="replace"))
            elif kind == OUTCOME:
                with suppress(ValueError):  # not of our workers
                    self._outcome(job, int(told.get(b"index", b"")), told.get(b"body", b""))
            elif kind == ENDED:
                self._job_ended(job, told.get(b"body", b""))

    def _outcome(self, job: RqJob, index: int, body: bytes) -> None:
        item = job.items.get(index)
        if item is None:
            return
        result = outcome(item.attempt, body, elapsed=0.0, is_cancelled=item.cancelled)
        del job.items[index]
        job.began = monotonic()
        self._pace.record(item.attempt.plan.pipeline, result.duration)
        self._end(item, result)

    def _job_ended(self, job: RqJob, body: bytes) -> None:
        """Its process is gone: what has no outcome crashed, or never began."""
        try:
            code = json.loads(body)["code"]
        except (ValueError, KeyError, TypeError):
            code = None
        verdict = job.verdict(code if isinstance(code, int) else None) if job.items else None
        self._close_job(job, verdict)

    def _close_job(self, job: RqJob, verdict: AttemptResult | None) -> None:
        """End a job's first open attempt with `verdict`, and give back the others."""
        self._jobs.pop(job.job_id, None)
        if verdict is not None and (first := job.current) is not None:
            del job.items[next(iter(job.items))]
            self._end(first, verdict)
        for item in reversed(job.items.values()):
            item.job = None
            if item.cancelled:
                self._end(item, cancelled(item.attempt))
            else:
                self._queue.appendleft(item)
        job.items.clear()
        self._work.set()
        if not self._jobs:
            self._idle.set()

    async def _withdraw(self) -> None:
        jobs = [job for job in self._jobs.values() if not job.started]
        for job, was_there in zip(jobs, await self._link.withdraw([job.job_id for job in jobs]), strict=True):
            if was_there:
                del self._jobs[job.job_id]

    # -- making jobs

    def _cut(self) -> list[RqJob]:
        """Jobs of what waits: of a pipeline whose runs are known to be fast many in one, but some for each worker."""
        most = min(_LONGEST_CHUNK, -(-len(self._queue) // max(1, self._workers)))
        room = 0 if self._closing else max(_FEW, _AHEAD * self._workers)
        jobs: list[RqJob] = []
        while self._queue and len(self._jobs) < room:
            items = [self._queue.popleft()]
            pipeline = items[0].attempt.plan.pipeline
            size = min(most, self._chunk_of(pipeline))
            while self._queue and len(items) < size and self._queue[0].attempt.plan.pipeline == pipeline:
                items.append(self._queue.popleft())
            job = RqJob(self._link.new_job(), items)
            for item in items:
                item.job = job
            self._jobs[job.job_id] = job
            jobs.append(job)
        return jobs

    def _chunk_of(self, pipeline: str) -> int:
        return self._pace.share(pipeline, _CHUNK, _LONGEST_CHUNK)

    def _task(self, job: RqJob) -> Task:
        attempts = tuple(item.attempt for item in job.items.values())
        return Task(project=self._project, stream=self._link.stream, lease=self._lease, attempts=attempts)

    def _end(self, item: Item, result: AttemptResult) -> None:
        if self._items.get(item.attempt.run_id) is item:
            del self._items[item.attempt.run_id]
        self._mailbox.post(result)

    # -- Redis there and away

    def _link_lost(self, why: str) -> None:
        self._sighted = float("inf")
        if not self._problem:
            self._problem = why
            if self._on_link is not None:
                self._on_link(why)

    def _link_found(self) -> None:
        if self._problem:
            self._problem = ""
            self._sighted = monotonic() + self._lease
            if self._on_link is not None:
                self._on_link("")

    def _broken(self, task: asyncio.Task[None]) -> None:
        """A defect ended a role: nothing here may wait for it for ever."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            asyncio.get_running_loop().call_exception_handler({"message": "a role ended", "exception": error})
            for item in list(self._items.values()):
                self._end(item, raised(item.attempt, error, elapsed=0.0))


def _away() -> tuple[type[Exception], ...]:
    from redis.exceptions import RedisError

    return (RedisError, OSError)
