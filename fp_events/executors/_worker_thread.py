"""One thread of the threadpool."""

from __future__ import annotations

import threading
from time import monotonic

from fp_events.domain.run import AttemptResult

from ._crew import Crew, Item
from ._results import cancelled, raised
from ._runner import Runner

#: Seconds that outcomes are gathered before the loop is woken for them.
_GATHER = 0.001
#: Seconds after which a run that was expected to be quick is so no more.
_SOON = 0.001


class WorkerThread:
    """A daemon thread: a hung run does not keep the process from ending."""

    def __init__(self, crew: Crew, number: int) -> None:
        self._crew = crew
        self._thread = threading.Thread(target=self._main, name=f"fp-events worker {number}", daemon=True)
        #: Held while awake: `wake` releases it, falling asleep takes it twice.
        self._sleeping = threading.Lock()
        self._sleeping.acquire()
        #: Monotonic: the end of its last run or sleep, and when it last woke the loop.
        self._now = 0.0
        self._notified_at = 0.0
        self._runner = Runner()
        #: Read by the loop's thread; None between runs.
        self.current: Item | None = None
        #: It will look at the queues before it sleeps.
        self.awake = True
        #: Its run was abandoned. Set under the crew's lock.
        self.lost = False

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """End its sleep. Only for whoever took it off `Crew.idle`."""
        self.awake = True
        self._sleeping.release()

    def interrupt(self, item: Item) -> None:
        """Cancel `item` if it awaits on this thread; nothing stops one that does not."""
        if self.current is item:
            self._runner.interrupt()

    def comes_soon(self) -> bool:
        """Whether it will look for work at once, or does a run that should be over at once. For the loop's thread."""
        if self.lost or not self.awake:
            return False
        item = self.current
        return item is None or (
            not item.loading
            and self._crew.pace.is_quick(item.attempt.plan.pipeline)
            and monotonic() - item.began < _SOON
        )

    def _main(self) -> None:
        crew = self._crew
        self._now = self._notified_at = monotonic()
        try:
            while not (self.lost and not crew.find(self)):
                taken = None if crew.closing else crew.take()
                if taken is not None:
                    self._work(taken)
                elif not self._sleep():
                    break
        finally:
            self.awake = False
            self._runner.close()
            crew.leave(self)

    def _sleep(self) -> bool:
        """Wait for `wake`; False where the pool closes."""
        crew = self._crew
        crew.notify()
        if crew.closing:
            return False
        crew.idle.append(self)
        self.awake = False
        if crew.has_work() or crew.closing:
            # It came between the last look and the line above, so perhaps nobody was woken for it.
            try:
                crew.idle.remove(self)
            except ValueError:
                self._sleeping.acquire()
        else:
            self._sleeping.acquire()
        self.awake = True
        self._now = self._notified_at = monotonic()
        return not crew.closing

    def _work(self, item: Item) -> None:
        crew = self._crew
        pipeline = item.attempt.plan.pipeline
        item.began = self._now
        # Before the look at the queues, and at `cancelled`: whoever puts or cancels looks at this after that.
        self.current = item
        if item.counts_as_slow:
            crew.notify()
        if not crew.pace.is_quick(pipeline) and crew.has_work():
            crew.wake_one()
        result = cancelled(item.attempt) if item.cancelled else self._run(item, pipeline)
        self.current = None
        if pipeline in crew.pace.stuck:
            crew.unstick(pipeline)
        if item.counts_as_slow:
            crew.done(item)
        crew.ended.append((item, result))
        if self._now - self._notified_at > _GATHER:
            self._notified_at = self._now
            crew.notify()

    def _run(self, item: Item, pipeline: str) -> AttemptResult:
        crew, attempt = self._crew, item.attempt
        try:
            if pipeline in crew.loaded:
                handler = crew.load(attempt.plan)
            else:
                item.loading = True
                handler = crew.load(attempt.plan)
                item.began = monotonic()
                item.loading = False
                crew.loaded.add(pipeline)
            result = self._runner.run(handler, attempt)
        except BaseException as error:  # noqa: BLE001 - a plan's SystemExit must not end the worker
            self._now = monotonic()
            return raised(attempt, error, elapsed=self._now - item.began)
        self._now = now = monotonic()
        crew.pace.record(pipeline, now - item.began)
        return result
