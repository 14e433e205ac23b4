"""Runs on a cluster, whichever it is: what waits, what is there, what becomes of what was lost."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

import msgpack

from fp_events.domain.errors import ExecutorUnavailable
from fp_events.domain.run import Attempt, AttemptResult, Released

from ._alarm import NEVER, Alarm
from ._bridge import DONE, ERROR, STOPPED
from ._bridge_link import BridgeLink
from ._cluster_jobs import ClusterJob, Item
from ._mailbox import Mailbox
from ._outcomes import outcome
from ._pace import Pace
from ._portable import pack
from ._remote_task import Source
from ._results import cancelled, raised

#: Seconds of measured work in one job: what a job costs by itself.
_CHUNK = 0.02
_LONGEST_CHUNK = 200
#: Jobs that are usefully handed over for each that runs: the next one is there when a worker is free.
_AHEAD = 2
#: Seconds between the loss of a cluster and the next try to reach it, or to start another.
_PAUSE = 1.0


class ClusterExecutor:
    """Runs attempts as jobs of a cluster, through a process of its own that speaks to it.

    A job carries one attempt, or as many of a fast pipeline as are done in 20 ms. A worker that dies ends the attempt
    that it runs CRASHED; attempts that shared a job run again, each alone, since none of them is known for the cause.

    While the cluster is away attempts wait, and what ran there runs again; `on_link` is told why, and with an empty
    text when it is back.
    """

    def __init__(
        self,
        kind: str,
        settings: Mapping[str, Any],
        source: Source,
        *,
        max_workers: int | None,
        expected: int | None,
        timed_alone: bool,
        on_link: Callable[[str], None] | None,
    ) -> None:
        """`expected`: jobs at a time, where known beforehand. `timed_alone`: a run with a timeout shares no job."""
        self._kind = kind
        self._settings = settings
        self._source = source
        self._limit = max_workers
        self._expected = expected
        self._timed_alone = timed_alone
        self._on_link = on_link
        self._mailbox = Mailbox()
        self._pace = Pace()
        self._alarm = Alarm(self._look)
        #: run_id -> what has no result.
        self._items: dict[str, Item] = {}
        self._queue: deque[Item] = deque()
        self._jobs: dict[int, ClusterJob] = {}
        self._count = 0
        self._link: BridgeLink | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._opened: asyncio.Future[None] | None = None
        #: None: the cluster is not there.
        self._slots: int | None = None
        self._lost = 0
        self._problem = ""
        self._why = ""
        self._closing = False
        self._idle = asyncio.Event()

    @property
    def parallel(self) -> int:
        """Jobs at a time, where that is known."""
        return self._limit or self._expected or 1 << 30

    @property
    def capacity(self) -> int:
        """Attempts that are usefully handed over at a time; what a cluster has no room for waits here."""
        known = self._limit or self._expected
        return _AHEAD * 2 * known if known else 1 << 30

    async def start(self) -> None:
        """Connect, or start a cluster: seconds. Raises ExecutorUnavailable."""
        self._opened = asyncio.get_running_loop().create_future()
        self._connect()
        try:
            await self._opened
        except BaseException:
            self._closing = True
            await self._end_link()
            raise
        finally:
            self._opened = None

    def submit(self, burst: Sequence[Attempt]) -> None:
        """Queue attempts and hand over what there is room for."""
        for attempt in burst:
            item = self._items[attempt.run_id] = Item(attempt)
            self._queue.append(item)
        self._hand_over()

    async def results(self) -> Sequence[AttemptResult | Released]:
        """Everything that has ended, at least one."""
        return await self._mailbox.take()

    def cancel(self, run_id: str) -> bool:
        """Drop a run that waits; stop one that runs, or give it up."""
        item = self._items.get(run_id)
        if item is None:
            return False
        item.cancelled = True
        if item.job is None:
            self._queue.remove(item)
            self._end(item, cancelled(item.attempt))
        else:
            item.job.cancel()
            self._look()
        return True

    def status(self) -> Mapping[str, int]:
        """Counters; `restarts` counts workers and clusters that were lost, `connected` is 0 while there is none."""
        busy = sum(job.began != NEVER and bool(job.items) for job in self._jobs.values())
        waiting = sum(len(job.items) for job in self._jobs.values() if job.began == NEVER)
        return {
            "workers": self._slots or 0,
            "busy": busy,
            "queued": len(self._queue) + waiting,
            "abandoned": sum(len(job.abandoned) for job in self._jobs.values()),
            "restarts": self._lost,
            "connected": int(self._slots is not None),
        }

    async def close(self, grace: float) -> None:
        """Wait at most `grace` seconds for what runs, then stop it. What is queued never starts."""
        self._closing = True
        self._queue.clear()
        for job in list(self._jobs.values()):
            if job.began == NEVER:
                self._tell(["stop", job.number])
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                while any(job.items for job in self._jobs.values()):
                    self._idle.clear()
                    await self._idle.wait()
        self._alarm.cancel()
        await self._end_link()

    # -- the cluster there and away

    def _connect(self) -> None:
        self._why = ""
        self._link = BridgeLink(self._kind, self._settings, self._source, self._told, self._link_ended)

    async def _end_link(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    def _link_ended(self, how: str) -> None:
        """The cluster is gone, or could not be reached."""
        why = self._why or how
        self._link, self._slots = None, None
        if self._opened is not None:
            if not self._opened.done():
                self._opened.set_exception(self._unavailable(why))
            return
        self._lost += bool(self._jobs) or not self._problem
        for job in list(self._jobs.values()):
            self._job_ended(job, "lost", why)
        if self._closing:
            return
        if not self._problem:
            self._problem = why
            if self._on_link is not None:
                self._on_link(why)
        self._retry = asyncio.get_running_loop().call_later(_PAUSE, self._connect)

    def _unavailable(self, why: str) -> ExecutorUnavailable:
        address = self._settings["address"]
        what = f"the {self._kind} cluster at {address} cannot be reached" if address else f"no {self._kind} cluster"
        return ExecutorUnavailable(
            f"{what}{'' if address else ' can be started on this machine'}: {why}",
            where="run.executor.address" if address else f"run.executor.type: {self._kind}",
            mend="start it, or correct the address" if address else "see standard error for what its library says",
        )

    def _told(self, message: list[Any]) -> None:
        match message:
            case ["ready" | "slots", slots]:
                self._slots = slots
                self._link_found()
                self._hand_over()
            case ["failed", text]:
                self._why = text
            case ["lost", text] if self._link is not None:
                self._why = text
                # It would wait for what is gone.
                self._link.kill()
            case ["began", number] if number in self._jobs:
                job = self._jobs[number]
                job.begin()
                self._alarm.at(job.stop_at)
            case ["outcomes", number, data] if number in self._jobs:
                self._outcomes(self._jobs[number], data)
            case ["runs_on", number] if number in self._jobs:
                self._give_up(self._jobs[number])
            case ["ended", number, how, text] if number in self._jobs:
                self._lost += how not in {DONE, STOPPED, ERROR}
                self._job_ended(self._jobs[number], how, text)

    def _link_found(self) -> None:
        if self._opened is not None and not self._opened.done():
            self._opened.set_result(None)
        if self._problem:
            self._problem = ""
            if self._on_link is not None:
                self._on_link("")

    # -- jobs

    def _tell(self, message: list[Any]) -> None:
        if self._link is not None:
            self._link.send(message)

    def _hand_over(self) -> None:
        """Send jobs of what waits: of a pipeline whose runs are known to be fast many in one."""
        if self._closing or self._slots is None:
            return
        room = (self._limit or _AHEAD * max(1, self._slots)) - sum(bool(job.items) for job in self._jobs.values())
        share = -(-len(self._queue) // max(1, self._limit or self._slots))
        while self._queue and room > 0:
            packed = [(item, self._packed(item)) for item in self._chunk(share)]
            items = [item for item, body in packed if body]
            if not items:
                continue
            room -= 1
            self._count += 1
            self._jobs[self._count] = ClusterJob(self._count, items)
            self._tell(["run", self._count, msgpack.packb([body for _, body in packed if body])])

    def _chunk(self, most: int) -> list[Item]:
        items = [self._queue.popleft()]
        pipeline = items[0].attempt.plan.pipeline
        size = min(most, self._pace.share(pipeline, _CHUNK, _LONGEST_CHUNK)) if self._may_share(items[0]) else 1
        while self._queue and len(items) < size:
            following = self._queue[0]
            if following.attempt.plan.pipeline != pipeline or not self._may_share(following):
                break
            items.append(self._queue.popleft())
        return items

    def _may_share(self, item: Item) -> bool:
        return not item.alone and (item.attempt.timeout is None or not self._timed_alone)

    def _packed(self, item: Item) -> bytes:
        try:
            return pack(item.attempt)
        except Exception as error:  # noqa: BLE001 - whatever packing raises for what an attempt holds
            self._end(item, raised(item.attempt, error, elapsed=0.0))
            return b""

    def _outcomes(self, job: ClusterJob, data: bytes) -> None:
        items, job.items = job.items, []
        if not items:
            # Given up before.
            return
        elapsed = job.elapsed
        for item, body in zip(items, msgpack.unpackb(data), strict=True):
            result = outcome(item.attempt, body, elapsed=elapsed, is_cancelled=item.cancelled)
            self._pace.record(item.attempt.plan.pipeline, result.duration)
            self._end(item, result)

    def _give_up(self, job: ClusterJob) -> None:
        """Its worker cannot be stopped: it goes on, but not for us."""
        for item in reversed(job.items):
            result = job.give_up(item)
            if result is None:
                self._put_back(item)
            else:
                self._end(item, result)
                job.abandoned.append(item)
        job.items = []
        self._hand_over()

    def _job_ended(self, job: ClusterJob, how: str, text: str) -> None:
        """Decide on what has no result."""
        del self._jobs[job.number]
        for item in job.abandoned:
            self._mailbox.post(Released(run_id=item.attempt.run_id, number=item.attempt.number))
        for item in reversed(job.items):
            result = job.verdict(item, how, text)
            if result is not None:
                self._end(item, result)
            elif not self._closing:
                self._put_back(item)
        self._idle.set()
        self._hand_over()

    def _put_back(self, item: Item) -> None:
        item.job = None
        self._queue.appendleft(item)

    def _end(self, item: Item, result: AttemptResult) -> None:
        if self._items.get(item.attempt.run_id) is item:
            del self._items[item.attempt.run_id]
        self._mailbox.post(result)

    def _look(self) -> None:
        """Stop what is overdue or cancelled."""
        now = monotonic()
        for job in self._jobs.values():
            if not job.stopping and job.items:
                if job.stop_at <= now:
                    job.stopping = True
                    self._tell(["stop", job.number])
                self._alarm.at(NEVER if job.stopping else job.stop_at)
