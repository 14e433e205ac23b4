"""Runs in memory: which may start, what follows when one ends.

    take -> [state] -> [claim] -> executor -> decide -> settlement
               ^                                 |
               +------------ due ----------------+ wait

All of it happens on the loop, in callbacks of the committer, the executors and the timers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from random import Random

from fp_events.domain.pipeline import Pipeline
from fp_events.domain.ports import Executor, Ledger
from fp_events.domain.records import Batch, Claim, Committed
from fp_events.domain.retry import decide
from fp_events.domain.run import AttemptResult, Ended, Failure, Outcome, Released

from .committer import Committer
from .entry import Entry, Phase
from .lane import Lane, TriggerQueue
from .settlement import Settlement
from .timers import Timers

#: Runs held in memory, and their bytes; above it intake waits, and so does the broker.
PENDING_RUNS = 100_000
PENDING_BYTES = 256 * 1024 * 1024
#: Seconds after which a run that was found RUNNING no longer counts as what killed the process.
ALONE_FOR = 10.0
#: Deaths of the process while a run was alone in it, after which the run is not tried again.
POISON_CRASHES = 3


class Runner:
    """Owns every run that is not finished."""

    def __init__(
        self,
        lanes: Iterable[Lane],
        *,
        ledger: Ledger,
        committer: Committer,
        settlement: Settlement,
        timers: Timers,
        rng: Random | None = None,
    ) -> None:
        self.lanes: Mapping[str, Lane] = {lane.pipeline.name: lane for lane in lanes}
        self._ledger = ledger
        self._committer = committer
        self._settlement = settlement
        self._timers = timers
        self._rng = rng or Random()  # noqa: S311 - jitter, not cryptography
        self._entries: dict[str, Entry] = {}
        self._bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._ended = asyncio.Event()
        #: Closed while suspects run alone, and for good at a drain.
        self._open = False
        self._draining = False
        self._missing: list[tuple[Lane, Entry]] = []
        self._state_wanted = asyncio.Event()
        self._waiters: dict[str, list[Callable[[Outcome, AttemptResult | None], None]]] = {}

    # -- taking runs in

    @property
    def pending(self) -> int:
        """Runs that are not finished."""
        return len(self._entries)

    @property
    def pending_bytes(self) -> int:
        """Bytes that they hold, roughly."""
        return self._bytes

    async def room(self) -> None:
        """Wait until intake may go on."""
        await self._room.wait()

    def may_start(self, pipeline: Pipeline, trigger: int | None, key: str | None, ahead: int = 0) -> bool:
        """Whether a new run can be accepted RUNNING; `ahead`: runs of its trigger accepted with it, before it."""
        return self._open and self.lanes[pipeline.name].may_start(trigger, key, ahead)

    def take(self, entries: Iterable[Entry]) -> None:
        """Run what the ledger has just accepted, in this order."""
        lanes = {}
        for entry in entries:
            lane = self.lanes[entry.pipeline]
            lanes[entry.pipeline] = lane
            self._hold(entry)
            lane.add(entry)
        for lane in lanes.values():
            self._pump(lane)

    def take_waiting(self, entry: Entry, due: float) -> None:
        """Hold a run that is due at monotonic `due`; it keeps its key unless the pipeline lets others pass."""
        lane = self.lanes[entry.pipeline]
        self._hold(entry)
        if entry.key is not None and lane.pipeline.on_retry == "hold":
            lane.add(entry)
            if entry.phase is Phase.READY:
                lane.queue(entry).ready.pop()
        self._wait_until(lane, entry, due)

    def _hold(self, entry: Entry) -> None:
        self._entries[entry.run_id] = entry
        self._bytes += entry.size
        if entry.deadline is not None:
            self._timers.at(entry.deadline, partial(self._deadline, entry))
        if len(self._entries) >= PENDING_RUNS or self._bytes >= PENDING_BYTES:
            self._room.clear()

    def when_ended(self, run_id: str, call: Callable[[Outcome, AttemptResult | None], None]) -> bool:
        """Have `call` called when the run is FINISHED and durable; False where no such run is held."""
        if run_id not in self._entries:
            return False
        self._waiters.setdefault(run_id, []).append(call)
        return True

    # -- steering

    def open(self) -> None:
        """Let runs start."""
        self._open = True
        self.pump_all()

    def pump_all(self) -> None:
        """Start whatever may start."""
        for lane in self.lanes.values():
            self._pump(lane)

    async def recover(self, suspects: Iterable[Entry]) -> None:
        """Run those that were RUNNING when the last process died, each alone, before any other.

        One that makes the process die again is found by this: only it is RUNNING then.
        """
        for entry in suspects:
            lane = self.lanes[entry.pipeline]
            if entry.phase is not Phase.READY or lane.paused:
                continue  # behind a run of its key that waits: it runs in its turn
            entry.alone = True
            self._start(lane, lane.queue(entry), entry)
            stop = time.monotonic() + ALONE_FOR
            while entry.phase in (Phase.LOADING, Phase.CLAIMING, Phase.EXECUTING, Phase.READY):
                if entry.phase is Phase.READY:
                    self._start(lane, lane.queue(entry), entry)
                self._ended.clear()
                try:
                    async with asyncio.timeout(max(0.0, stop - time.monotonic())):
                        await self._ended.wait()
                except TimeoutError:
                    break
            entry.alone = False

    async def drain(self, grace: float) -> bool:
        """Start nothing more and wait at most `grace` seconds for what runs; True if all of it ended."""
        self._open = False
        self._draining = True
        try:
            async with asyncio.timeout(grace):
                while any(queue.executing for lane in self.lanes.values() for queue in lane.queues):
                    self._ended.clear()
                    await self._ended.wait()
        except TimeoutError:
            return False
        return True

    def reset_state(self, pipeline: str, key: str) -> None:
        """An operator reset the key's state: the next run starts from None."""
        lane = self.lanes[pipeline]
        lane.states.computed(key, None)
        lane.states.committed(key)
        for entry in lane.keys.get(key, ()):
            if entry.phase is Phase.EXECUTING:
                entry.discard_state = True

    # -- starting

    def _pump(self, lane: Lane) -> None:
        if not self._open or lane.paused:
            return
        for queue in lane.queues:
            started: list[Entry] = []
            claims: list[Entry] = []
            while queue.ready and queue.executing < queue.limit:
                entry = queue.ready.popleft()
                if entry.phase is Phase.READY:
                    self._prepare(lane, queue, entry, started, claims)
            self._claim(lane, claims)
            self._submit(lane, started)

    def _start(self, lane: Lane, queue: TriggerQueue, entry: Entry) -> None:
        """Start one run whether or not the runner is open."""
        started: list[Entry] = []
        claims: list[Entry] = []
        self._prepare(lane, queue, entry, started, claims)
        self._claim(lane, claims)
        self._submit(lane, started)

    def _prepare(
        self, lane: Lane, queue: TriggerQueue, entry: Entry, started: list[Entry], claims: list[Entry]
    ) -> None:
        """Decide what a ready run needs next: to be dropped, its state, a claim, or to be executed."""
        now = time.monotonic()
        if entry.expires is not None and now >= entry.expires:
            self._finish(lane, entry, Outcome.EXPIRED, None)
        elif entry.deadline is not None and now >= entry.deadline:
            self._finish(lane, entry, Outcome.TIMED_OUT, None)
        elif lane.pipeline.state and entry.key is not None and not lane.states.knows(entry.key):
            entry.phase = Phase.LOADING
            self._missing.append((lane, entry))
            self._state_wanted.set()
        else:
            queue.executing += 1
            entry.phase = Phase.EXECUTING if entry.claimed else Phase.CLAIMING
            if entry.claimed:
                started.append(entry)
            elif not entry.claiming:
                claims.append(entry)
                if not entry.alone:
                    claims.extend(lane.followers(entry))

    def _claim(self, lane: Lane, entries: list[Entry]) -> None:
        if not entries:
            return
        for entry in entries:
            entry.attempt += 1
            entry.claiming = True
            entry.orphaned = False
        claims = tuple(Claim(run_id=e.run_id, attempt=e.attempt, alone=e.alone) for e in entries)
        self._committer.post(Batch(claims=claims), partial(self._claimed, lane, entries))

    def _claimed(self, lane: Lane, entries: list[Entry], committed: Committed) -> None:
        started = []
        for entry in entries:
            entry.claiming = False
            if entry.run_id in committed.stale:
                self._forget(lane, entry)
                continue
            entry.claimed = True
            if entry.phase is Phase.CLAIMING:
                entry.phase = Phase.EXECUTING
                started.append(entry)
        self._submit(lane, started)

    def _submit(self, lane: Lane, entries: list[Entry]) -> None:
        if not entries:
            return
        now = time.monotonic()
        attempts = []
        for entry in entries:
            state = lane.states.get(entry.key) if lane.pipeline.state and entry.key is not None else None
            attempts.append(entry.to_attempt(state, _limit(lane.pipeline.timeout, entry.deadline, now)))
            self._settlement.started(lane, entry)
        lane.executor.submit(attempts)

    async def load_states(self) -> None:
        """Read, in bursts, the state of keys that memory does not have. Runs for ever."""
        while True:
            await self._state_wanted.wait()
            self._state_wanted.clear()
            missing, self._missing = self._missing, []
            wanted = {(lane.pipeline.name, entry.key or "") for lane, entry in missing}
            found = await self._ledger.states(wanted)
            lanes = {}
            for lane, entry in missing:
                key = entry.key or ""
                lane.states.loaded(key, found.get((lane.pipeline.name, key)))
                if entry.phase is Phase.LOADING:
                    lane.make_ready(entry)
                lanes[lane.pipeline.name] = lane
            self._ended.set()
            for lane in lanes.values():
                self._pump(lane)

    # -- ending

    async def collect(self, executor: Executor) -> None:
        """Take what an executor returns. Runs for ever."""
        while True:
            results = await executor.results()
            lanes = {}
            for result in results:
                entry = self._entries.get(result.run_id)
                if entry is None or entry.attempt != result.number:
                    continue
                lane = self.lanes[entry.pipeline]
                lanes[entry.pipeline] = lane
                if isinstance(result, Released):
                    self._released(lane, entry)
                elif entry.phase is Phase.EXECUTING:
                    self._end(lane, entry, result)
            self._ended.set()
            for lane in lanes.values():
                self._pump(lane)

    def _end(self, lane: Lane, entry: Entry, result: AttemptResult) -> None:
        lane.queue(entry).executing -= 1
        entry.claimed = False
        entry.abandoned = result.abandoned
        time_left = None if entry.deadline is None else entry.deadline - time.monotonic()
        decision = decide(lane.pipeline.retry, result, retries=entry.retries, time_left=time_left, rng=self._rng)
        if decision.outcome is not None:
            self._finish(lane, entry, decision.outcome, result)
        else:
            self._retry(lane, entry, result, decision.delay)

    def _retry(self, lane: Lane, entry: Entry, result: AttemptResult, delay: float) -> None:
        entry.retries += 1
        entry.phase = Phase.WAITING
        due = time.monotonic() + delay
        if lane.pipeline.on_retry == "pass" and not entry.abandoned:
            lane.leave(entry)

        def durable(committed: Committed) -> None:
            if entry.run_id in committed.stale:
                self._forget(lane, entry)
            else:
                self._wait_until(lane, entry, due)

        self._settlement.retrying(lane, entry, result, delay, durable)

    def _wait_until(self, lane: Lane, entry: Entry, due: float) -> None:
        entry.phase = Phase.WAITING
        self._timers.at(due, partial(self._due, lane, entry))

    def _due(self, lane: Lane, entry: Entry) -> None:
        if entry.phase is not Phase.WAITING:
            return
        if entry.abandoned and entry.key is not None:
            # One at a time per key holds for the run itself too: its thread still runs.
            self._timers.at(time.monotonic() + 1.0, partial(self._due, lane, entry))
            return
        lane.due(entry)
        self._pump(lane)

    def _released(self, lane: Lane, entry: Entry) -> None:
        entry.abandoned = False
        if entry.phase is Phase.DONE:
            del self._entries[entry.run_id]
            lane.leave(entry)
        elif entry.phase is Phase.WAITING and lane.pipeline.on_retry == "pass":
            lane.leave(entry)

    def _deadline(self, entry: Entry) -> None:
        lane = self.lanes[entry.pipeline]
        if entry.phase in (Phase.BLOCKED, Phase.READY, Phase.LOADING, Phase.WAITING):
            if entry.phase is Phase.WAITING:
                self._finish(lane, entry, Outcome.TIMED_OUT, None)
            self._pump(lane)

    def fail(self, entry: Entry, failure: Failure) -> None:
        """End a held run as FAILED without another attempt."""
        result = AttemptResult(
            run_id=entry.run_id,
            number=entry.attempt,
            ended=Ended.CRASHED,
            started_at=datetime.now(UTC),
            duration=0.0,
            failure=failure,
        )
        self._finish(self.lanes[entry.pipeline], entry, Outcome.FAILED, result)

    def _finish(self, lane: Lane, entry: Entry, outcome: Outcome, result: AttemptResult | None) -> None:
        entry.phase = Phase.DONE
        if entry.orphaned:
            self._claim(lane, [entry])
        if entry.discard_state:
            state = None
        else:
            state = result.state if result is not None and outcome is Outcome.SUCCEEDED else None
        if state is not None and entry.key is not None:
            lane.states.computed(entry.key, state)
        if not entry.abandoned:
            lane.leave(entry)
        self._settlement.finish(
            lane, entry, outcome, result, state, partial(self._settled, lane, entry, outcome, result)
        )

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
        for call in self._waiters.pop(entry.run_id, ()):
            call(outcome, result)
        self._release_memory(entry)
        self._ended.set()

    def _forget(self, lane: Lane, entry: Entry) -> None:
        """The ledger says that the run is no longer ours."""
        if entry.phase in (Phase.CLAIMING, Phase.EXECUTING):
            lane.queue(entry).executing -= 1
        entry.phase = Phase.DONE
        lane.leave(entry)
        self._release_memory(entry)

    def _release_memory(self, entry: Entry) -> None:
        self._bytes -= entry.size
        if not entry.abandoned:
            self._entries.pop(entry.run_id, None)
        if len(self._entries) < PENDING_RUNS and self._bytes < PENDING_BYTES:
            self._room.set()


def _limit(timeout: float | None, deadline: float | None, now: float) -> float | None:
    """Seconds for an attempt: its timeout, or what is left until the deadline."""
    if deadline is None:
        return timeout
    left = max(0.0, deadline - now)
    return left if timeout is None else min(timeout, left)
