"""One thread of the threadpool."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from time import monotonic

from fp_events.domain.run import AttemptResult

from ._crew import Crew, Item
from ._results import raised
from ._runner import Runner

#: Seconds that outcomes are gathered before the loop is woken for them.
_GATHER = 0.001


@dataclass(slots=True)
class Current:
    """What a worker is doing."""

    item: Item
    #: Monotonic time at which it began to load the plan, then at which the run began.
    began: float
    loading: bool


class WorkerThread:
    """A daemon thread: a hung run does not keep the process from ending."""

    def __init__(self, crew: Crew, number: int) -> None:
        self._crew = crew
        self._thread = threading.Thread(target=self._main, name=f"fp-events worker {number}", daemon=True)
        #: Held while awake: `wake` releases it, falling asleep takes it twice.
        self._sleeping = threading.Lock()
        self._sleeping.acquire()
        self._notified_at = 0.0
        self._runner = Runner()
        #: Read by the loop's thread; None between runs.
        self.current: Current | None = None
        #: Its run was abandoned. Set under the crew's lock.
        self.lost = False

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """End its sleep. Only for whoever took it off `Crew.idle`."""
        self._sleeping.release()

    def interrupt(self, item: Item) -> None:
        """Cancel `item` if it awaits on this thread; nothing stops one that does not."""
        if self.current is not None and self.current.item is item:
            self._runner.interrupt()

    def _main(self) -> None:
        crew = self._crew
        self._notified_at = monotonic()
        while not (self.lost and not crew.find(self)):
            taken = None if crew.closing else crew.take()
            if taken is not None:
                self._work(taken)
            elif not self._sleep():
                break
        self._runner.close()
        crew.leave(self)

    def _sleep(self) -> bool:
        """Wait for `wake`; False where the pool closes."""
        crew = self._crew
        crew.notify()
        if crew.closing:
            return False
        crew.idle.append(self)
        if crew.has_work() or crew.closing:
            # It came between the last look and the line above, so perhaps nobody was woken for it.
            try:
                crew.idle.remove(self)
            except ValueError:
                self._sleeping.acquire()
        else:
            self._sleeping.acquire()
        self._notified_at = monotonic()
        return not crew.closing

    def _work(self, item: Item) -> None:
        crew = self._crew
        if item.counts_as_slow:
            crew.notify()
            if crew.has_work():
                crew.wake_one()
        result = self._run(item)
        if item.counts_as_slow:
            crew.done(item)
        crew.ended.append((item, result))
        now = monotonic()
        if now - self._notified_at > _GATHER:
            self._notified_at = now
            crew.notify()

    def _run(self, item: Item) -> AttemptResult:
        attempt = item.attempt
        began = monotonic()
        self.current = current = Current(item, began, True)
        try:
            handler = self._crew.load(attempt.plan)
            current.began = began = monotonic()
            current.loading = False
            result = self._runner.run(handler, attempt)
        except BaseException as error:  # noqa: BLE001 - a plan's SystemExit must not end the worker
            result = raised(attempt, error, elapsed=monotonic() - began)
        else:
            self._crew.pace.record(attempt.plan.pipeline, monotonic() - began)
        self.current = None
        return result
