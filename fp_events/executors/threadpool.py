"""Runs on threads of its own: the default for plans with ordinary functions."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic

from fp_events.domain.ports import HandlerLoader
from fp_events.domain.run import Attempt, AttemptResult, Released

from ._crew import Crew, Item
from ._mailbox import Mailbox
from ._pace import STUCK
from ._results import cancelled, timed_out
from ._worker_thread import WorkerThread

#: Attempts per worker that keep it busy while the loop handles the last ones.
_AHEAD = 8
#: Seconds between two looks at the workers: short after something happened, then longer and longer.
_TICK = 0.002
_LONGEST_TICK = 0.02
#: Seconds that threads have to close what runs have opened.
_FAREWELL = 5.0
#: Seconds that loading a plan may take on top of a run's timeout: its first run imports its libraries.
_LOADING = 60.0


class ThreadpoolExecutor:
    """Runs handlers on `max_workers` daemon threads; default min(32, processors + 4).

    A thread cannot be stopped. An attempt that reaches its timeout, or is cancelled while it runs, is
    abandoned: its result comes at once, its thread is counted as lost and another takes its place; a
    `Released` follows when it returns. At most max(8, max_workers) lost threads are replaced; from there
    on `capacity` and the `workers` of `status` shrink. Beside fast pipelines, slow ones (above 2 ms on average,
    or not yet measured) use at most max_workers - 1 threads, so that the fast do not wait behind them.

    `load` is called on the threads, by several at a time.
    """

    def __init__(self, load: HandlerLoader, max_workers: int | None = None) -> None:
        size = max_workers or min(32, (os.cpu_count() or 1) + 4)
        self._crew = Crew(load, size, lost_limit=max(8, size), notify=self._notify, make_worker=WorkerThread)
        self._mailbox = Mailbox()
        self._loop: asyncio.AbstractEventLoop | None = None
        #: run_id -> what is queued or runs; abandoned ones have left.
        self._items: dict[str, Item] = {}
        self._abandoned = 0
        self._notified = False
        self._timer: asyncio.TimerHandle | None = None
        self._interval = _TICK
        self._closed = asyncio.Event()

    @property
    def parallel(self) -> int:
        """Threads."""
        return self._crew.size

    @property
    def capacity(self) -> int:
        """Attempts that are usefully handed over at a time."""
        return self._crew.room * _AHEAD

    async def start(self) -> None:
        """Take the running loop; threads start with the first attempts."""
        self._loop = asyncio.get_running_loop()

    def submit(self, burst: Sequence[Attempt]) -> None:
        """Queue attempts and wake a worker."""
        items, put = self._items, self._crew.put
        for attempt in burst:
            items[attempt.run_id] = item = Item(attempt)
            put(item)
        self._crew.attend()
        self._look_soon()

    async def results(self) -> Sequence[AttemptResult | Released]:
        """Everything that has ended, at least one."""
        return await self._mailbox.take()

    def cancel(self, run_id: str) -> bool:
        """Drop a queued run; abandon one that runs."""
        item = self._items.get(run_id)
        if item is None:
            return False
        item.cancelled = True
        if self._crew.drop(item):
            del self._items[run_id]
            self._mailbox.post(cancelled(item.attempt))
        else:
            self._look()
        return True

    def status(self) -> Mapping[str, int]:
        """Counters; `abandoned` threads hold a run that was given up, `workers` is what may run beside them."""
        crew = self._crew
        return {
            "workers": crew.room,
            "busy": sum(worker.current is not None for worker in list(crew.workers)),
            "queued": len(crew.fast) + len(crew.slow),
            "abandoned": self._abandoned,
            "restarts": max(0, crew.started - crew.size),
        }

    async def close(self, grace: float) -> None:
        """Wait at most `grace` seconds for what runs. What is queued never starts; hung threads are left.

        Threads without a run have a moment to close what runs have opened on their loops.
        """
        self._crew.closing = True
        self._crew.wake_all()
        self._check_closed()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), grace)
        patience = monotonic() + _FAREWELL
        while monotonic() < patience and any(each.current is None for each in list(self._crew.workers)):  # noqa: ASYNC110 - threads set no events
            await asyncio.sleep(0.002)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _notify(self) -> None:
        """Have the loop collect what has ended. Called on any thread; one wake-up serves many."""
        if self._notified or self._loop is None:
            return
        self._notified = True
        try:
            self._loop.call_soon_threadsafe(self._collect)
        except RuntimeError:
            # The loop is closed: nobody is left to tell.
            return

    def _collect(self) -> None:
        # Before the queue is read: what comes later asks for a wake-up of its own.
        self._notified = False
        ended = self._crew.ended
        results: list[AttemptResult | Released] = []
        while ended:
            item, result = ended.popleft()
            if item.abandoned:
                self._abandoned -= 1
                results.append(Released(run_id=item.attempt.run_id, number=item.attempt.number))
                continue
            del self._items[item.attempt.run_id]
            results.append(cancelled(item.attempt, elapsed=result.duration) if item.cancelled else result)
        if results:
            self._interval = _TICK
            self._mailbox.extend(results)
        self._check_closed()

    def _check_closed(self) -> None:
        if self._crew.closing and not self._crew.workers:
            self._closed.set()

    def _look_soon(self) -> None:
        if self._timer is not None and self._interval > _TICK:
            self._timer.cancel()
            self._timer = None
        self._interval = _TICK
        self._plan_look()

    def _plan_look(self) -> None:
        if self._timer is None and self._items:
            assert self._loop is not None
            self._timer = self._loop.call_later(self._interval, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._interval = min(2 * self._interval, _LONGEST_TICK)
        self._look()
        self._plan_look()

    def _look(self) -> None:
        """Collect what has ended, give up what is overdue, and see that queued items find a worker."""
        self._collect()
        now = monotonic()
        for worker in list(self._crew.workers):
            item = worker.current
            if item is None or item.abandoned:
                continue
            elapsed = now - item.began
            if item.cancelled or _is_overdue(item, elapsed):
                self._abandon(worker, item, elapsed)
            elif elapsed > STUCK and not item.loading:
                self._crew.pace.stuck.add(item.attempt.plan.pipeline)
        if self._crew.has_work():
            self._crew.attend()

    def _abandon(self, worker: WorkerThread, item: Item, elapsed: float) -> None:
        item.abandoned = True
        self._abandoned += 1
        del self._items[item.attempt.run_id]
        stop = cancelled if item.cancelled else timed_out
        self._mailbox.post(stop(item.attempt, elapsed=elapsed, abandoned=True))
        worker.interrupt(item)
        self._crew.lose(worker, item)


def _is_overdue(item: Item, elapsed: float) -> bool:
    timeout = item.attempt.timeout
    return timeout is not None and elapsed > timeout + (_LOADING if item.loading else 0.0)
