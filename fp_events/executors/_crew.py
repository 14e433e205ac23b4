"""What the workers of a threadpool share: queues, sleepers, and the count of those that are lost.

Workers pull single items: chunks cut ahead let a run of 1 microsecond wait behind one of 50 ms. Slow
plans have a queue of their own and at most n - 1 workers. A hand-over is one operation on a deque, a set
or a list, which the interpreter lock makes atomic; `_lock` guards only the counts.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from fp_events.domain.ports import HandlerLoader
from fp_events.domain.run import Attempt, AttemptResult

from ._pace import Pace

if TYPE_CHECKING:
    from ._worker_thread import WorkerThread


class Item:
    """One attempt on its way through the pool. What is true of most items stands in the class: making one is cheap."""

    #: The result is out, the thread runs on. This and the next belong to the loop.
    abandoned = False
    cancelled = False
    #: It holds one of the places for slow items. Belongs to the crew's lock.
    counts_as_slow = False
    #: Monotonic time at which a worker began with it, or at which its plan was loaded.
    began = 0.0
    #: Its plan is being loaded, for the first time.
    loading = False

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt


class Crew:
    """The workers of one pool. `notify` wakes the loop and may be called from any thread."""

    def __init__(
        self,
        load: HandlerLoader,
        size: int,
        *,
        lost_limit: int,
        notify: Callable[[], None],
        make_worker: Callable[[Crew, int], WorkerThread],
    ) -> None:
        self.load = load
        #: Pipelines whose plans have been loaded.
        self.loaded: set[str] = set()
        self.notify = notify
        self.pace = Pace()
        self.fast: deque[Item] = deque()
        #: Items of plans that are slow, or not measured yet.
        self.slow: deque[Item] = deque()
        self.ended: deque[tuple[Item, AttemptResult]] = deque()
        self.workers: list[WorkerThread] = []
        #: The last to fall asleep is the first to wake.
        self.idle: list[WorkerThread] = []
        self.closing = False
        #: Workers started in all.
        self.started = 0
        #: Workers that hold an abandoned run.
        self.lost = 0
        #: The worker that was woken last. While it is quick, nobody else is woken.
        self._front: WorkerThread | None = None
        self._lock = threading.Lock()
        self.size = size
        self._lost_limit = lost_limit
        self._make_worker = make_worker
        self._slow_running = 0

    @property
    def room(self) -> int:
        """Workers that may run beside the lost ones; each lost one above the limit takes a place."""
        return max(0, self.size - max(0, self.lost - self._lost_limit))

    @property
    def _slow_limit(self) -> int:
        """Workers that slow items may hold: all but one, where there are fast ones that would wait behind them."""
        return max(1, self.size - 1) if self.pace.has_fast else self.size

    def put(self, item: Item) -> None:
        """Queue an item by the pace of its pipeline."""
        (self.slow if self.pace.is_slow(item.attempt.plan.pipeline) else self.fast).append(item)

    def drop(self, item: Item) -> bool:
        """Take an item out that nobody has begun; False where somebody has, or is about to."""
        for queue in (self.fast, self.slow):
            try:
                queue.remove(item)
            except ValueError:
                continue
            return True
        return False

    def take(self) -> Item | None:
        """Own the next item; `done` must follow if it counts as slow."""
        while self.fast:
            try:
                item = self.fast.popleft()
            except IndexError:
                break
            if not self.pace.is_slow(item.attempt.plan.pipeline):
                return item
            self.slow.append(item)
        if not self.slow:
            return None
        with self._lock:
            if self.slow and self._slow_running < self._slow_limit:
                item = self.slow.popleft()
                self._slow_running += 1
                item.counts_as_slow = True
                return item
        return None

    def done(self, item: Item) -> None:
        """A slow item has ended, or is not waited for any longer."""
        with self._lock:
            if item.counts_as_slow:
                item.counts_as_slow = False
                self._slow_running -= 1

    def unstick(self, pipeline: str) -> None:
        """A run of the pipeline has ended: it was slow itself, or had to wait for the interpreter."""
        with self._lock:
            self.pace.stuck.discard(pipeline)
            if self.pace.is_slow(pipeline):
                return
            for _ in range(len(self.slow)):
                # One by one: the loop may put and drop items meanwhile.
                try:
                    item = self.slow.popleft()
                except IndexError:
                    break
                (self.fast if item.attempt.plan.pipeline == pipeline else self.slow).append(item)

    def has_work(self) -> bool:
        """Whether `take` would find something now."""
        return bool(self.fast) or (bool(self.slow) and self._slow_running < self._slow_limit)

    def attend(self) -> None:
        """See that somebody comes for what was put: the worker in front, while it is quick, or else one more."""
        if self._front is None or not self._front.comes_soon():
            self.wake_one()

    def wake_one(self) -> None:
        """Wake the worker that slept last, or start one where there is room."""
        try:
            worker = self.idle.pop()
        except IndexError:
            self._start_worker()
            return
        self._front = worker
        worker.wake()

    def wake_all(self) -> None:
        """Wake every sleeper, so that it sees `closing`."""
        while self.idle:
            self.idle.pop().wake()

    def lose(self, worker: WorkerThread, item: Item) -> None:
        """Count out a worker that does not come back from `item`; another takes its place."""
        self.done(item)
        with self._lock:
            worker.lost = True
            self.lost += 1
        if self.has_work():
            self.wake_one()

    def find(self, worker: WorkerThread) -> bool:
        """Count a lost worker in again; False where its place is taken and it must end."""
        with self._lock:
            worker.lost = False
            self.lost -= 1
            return len(self.workers) - self.lost <= self.room

    def leave(self, worker: WorkerThread) -> None:
        """A worker ends."""
        with self._lock:
            self.workers.remove(worker)
        self.notify()

    def _start_worker(self) -> None:
        with self._lock:
            if self.closing or len(self.workers) - self.lost >= self.room:
                return
            self.started += 1
            worker = self._make_worker(self, self.started)
            self.workers.append(worker)
        self._front = worker
        worker.start()
