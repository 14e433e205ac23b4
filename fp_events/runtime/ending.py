"""From a result to what follows: an outcome, or the next attempt.

executor -> decide -> settlement
                 \\-> wait -> due -> ready
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from random import Random

from fp_events.domain.ports import Executor
from fp_events.domain.records import Committed
from fp_events.domain.retry import decide
from fp_events.domain.run import AttemptResult, Ended, Failure, Outcome, Released

from .entry import Entry, Phase
from .lane import Lane
from .pending import Pending
from .settlement import Settlement
from .starting import Starter
from .timers import Timers

_WAITS = frozenset({Phase.BLOCKED, Phase.READY, Phase.LOADING, Phase.WAITING})


class Ender:
    """Takes results, decides, settles. Everything happens on the loop, in callbacks."""

    def __init__(
        self,
        lanes: Mapping[str, Lane],
        *,
        pending: Pending,
        starter: Starter,
        settlement: Settlement,
        timers: Timers,
        moved: asyncio.Event,
        rng: Random,
    ) -> None:
        self._lanes = lanes
        self._pending = pending
        self._starter = starter
        self._settlement = settlement
        self._timers = timers
        self._moved = moved
        self._rng = rng
        settlement.connect(self._settled)
        #: Attempts that were given up and whose threads still run; of their runs, some have ended.
        self._abandoned: dict[tuple[str, int], Entry] = {}

    async def collect(self, executor: Executor) -> None:
        """Take what an executor returns. Runs for ever."""
        while True:
            results = await executor.results()
            lanes = {}
            sample: dict[Lane, float] = {}
            for result in results:
                if isinstance(result, Released):
                    entry = self._abandoned.pop((result.run_id, result.number), None)
                else:
                    entry = self._pending.get(result.run_id)
                if entry is None:
                    continue
                lane = self._lanes[entry.pipeline]
                lanes[entry.pipeline] = lane
                if isinstance(result, Released):
                    self._released(lane, entry)
                elif entry.phase is Phase.EXECUTING and entry.attempt == result.number:
                    sample[lane] = result.duration
                    self._end(lane, entry, result)
            self._moved.set()
            for lane, seconds in sample.items():
                lane.measure(seconds)
            for lane in lanes.values():
                self._starter.pump(lane)

    def _end(self, lane: Lane, entry: Entry, result: AttemptResult) -> None:
        lane.queue(entry).executing -= 1
        entry.claimed = False
        abandoned = result.abandoned and entry.key is not None
        if abandoned is not entry.odd.abandoned:
            entry.mark(abandoned=abandoned)
        if abandoned:
            self._abandoned[entry.run_id, entry.attempt] = entry
        time_left = None if entry.deadline is None else entry.deadline - time.monotonic()
        odd = entry.odd
        policy = lane.pipeline.retry if odd.overrides is None else odd.overrides.retry(lane.pipeline.retry)
        decision = decide(policy, result, retries=odd.retries, time_left=time_left, rng=self._rng)
        if odd.cancelled and decision.outcome is None:
            self.finish(lane, entry, Outcome.CANCELLED, result)
        elif decision.outcome is not None:
            self.finish(lane, entry, decision.outcome, result)
        else:
            self._retry(lane, entry, result, decision.delay)

    def _retry(self, lane: Lane, entry: Entry, result: AttemptResult, delay: float) -> None:
        entry.mark(retries=entry.odd.retries + 1, discard_state=False)
        entry.phase = Phase.WAITING
        due = time.monotonic() + delay
        if lane.pipeline.on_retry == "pass" and not entry.odd.abandoned:
            lane.leave(entry)

        def durable(committed: Committed) -> None:
            if entry.run_id in committed.stale:
                self.forget(lane, entry)
                self._starter.pump(lane)
            else:
                self.wait_until(lane, entry, due)

        self._settlement.retrying(lane, entry, result, delay, durable)

    def wait_until(self, lane: Lane, entry: Entry, due: float) -> None:
        """The run goes on at monotonic `due`."""
        if entry.phase is Phase.WAITING:
            entry.mark(due=self._timers.at(due, partial(self._due, lane, entry)))

    def _due(self, lane: Lane, entry: Entry) -> None:
        entry.mark(due=None)
        if entry.phase is not Phase.WAITING:
            return
        if entry.odd.abandoned:
            # Its key is held against itself too.
            entry.mark(overslept=True)
            return
        lane.due(entry)
        self._starter.pump(lane)

    def _released(self, lane: Lane, entry: Entry) -> None:
        overslept = entry.odd.overslept
        entry.mark(abandoned=False, overslept=False)
        if entry.phase is Phase.DONE or lane.pipeline.on_retry == "pass":
            lane.leave(entry)
        if overslept and entry.phase is Phase.WAITING:
            lane.due(entry)

    def limit(self, lane: Lane, entry: Entry) -> None:
        """Have a run end in time that waits too long."""
        if entry.expires is None and entry.deadline is None:
            return
        at = entry.next_limit()
        if at is not None:
            entry.limit = self._timers.at(at, partial(self._overdue, lane, entry))

    def _overdue(self, lane: Lane, entry: Entry) -> None:
        outcome = entry.overdue(time.monotonic())
        if entry.phase in _WAITS and outcome is not None:
            self.finish(lane, entry, outcome)
            self._starter.pump(lane)
        elif entry.phase is not Phase.DONE and outcome is not Outcome.TIMED_OUT:
            # An attempt is under way that began in time; the deadline is still to come.
            entry.expires = None
            self.limit(lane, entry)

    def cancel(self, lane: Lane, entry: Entry) -> None:
        """End a held run as CANCELLED: at once where it waits, else as soon as its executor lets go of it."""
        entry.mark(cancelled=True)
        if entry.phase in _WAITS:
            self.finish(lane, entry, Outcome.CANCELLED)
            self._starter.pump(lane)
        elif entry.phase is Phase.EXECUTING:
            lane.cancel(entry.run_id)

    def fail(self, lane: Lane, entry: Entry, failure: Failure) -> None:
        """End a held run as FAILED without another attempt."""
        result = AttemptResult(
            run_id=entry.run_id,
            number=entry.attempt,
            ended=Ended.CRASHED,
            started_at=datetime.now(UTC),
            duration=0.0,
            failure=failure,
        )
        self.finish(lane, entry, Outcome.FAILED, result)

    def finish(self, lane: Lane, entry: Entry, outcome: Outcome, result: AttemptResult | None = None) -> None:
        """Settle a run."""
        self._leave_queue(lane, entry)
        if entry.odd.orphaned:
            self._starter.claim(lane, [entry])
        state = None
        if result is not None and outcome is Outcome.SUCCEEDED and not entry.odd.discard_state:
            state = result.state
        if state is not None and entry.key is not None:
            lane.states.computed(entry.key, state)
        if not entry.odd.abandoned:
            lane.leave(entry)
        self._settlement.finish(lane, entry, outcome, result, state)

    def _settled(
        self,
        lane: Lane,
        entry: Entry,
        outcome: Outcome,
        result: AttemptResult | None,
        wrote_state: bool,
    ) -> None:
        """The outcome is durable."""
        if wrote_state and entry.key is not None:
            lane.states.committed(entry.key)
            lane.states.forget_idle(lane.keys)
        self._pending.settled(entry, outcome, result)
        self._moved.set()

    def forget(self, lane: Lane, entry: Entry) -> None:
        """The ledger says that the run is no longer ours."""
        if entry.phase in (Phase.CLAIMING, Phase.EXECUTING):
            lane.queue(entry).executing -= 1
        self._leave_queue(lane, entry)
        lane.leave(entry)
        self._pending.drop(entry)
        self._moved.set()

    def _leave_queue(self, lane: Lane, entry: Entry) -> None:
        """The run waits for nothing any more."""
        entry.phase = Phase.DONE
        lane.queue(entry).discard(entry)
        if entry.limit is not None:
            self._timers.cancel(entry.limit)
        if entry.odd.due is not None:
            self._timers.cancel(entry.odd.due)
