"""From a run that may go on to an attempt at its executor.

ready -> [state] -> [claim] -> executor
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from fp_events.domain.ports import Ledger
from fp_events.domain.records import Batch, Claim, Committed
from fp_events.domain.run import Attempt, Outcome

from .committer import Committer
from .entry import Entry, Phase
from .lane import Lane
from .patience import patiently
from .settlement import Settlement
from .trigger_queue import TriggerQueue


class Ending(Protocol):
    """What starting needs of the other half."""

    def finish(self, lane: Lane, entry: Entry, outcome: Outcome) -> None:
        """End a run that waited too long."""

    def forget(self, lane: Lane, entry: Entry) -> None:
        """The ledger says that the run is no longer ours."""


#: Executes an attempt elsewhere than the pipeline's do, as its request asks.
Place = Callable[[Lane, str, Attempt], None]


class Starter:
    """Starts what may start. Everything happens on the loop, in callbacks."""

    def __init__(
        self,
        lanes: Mapping[str, Lane],
        *,
        ledger: Ledger,
        committer: Committer,
        settlement: Settlement,
        moved: asyncio.Event,
    ) -> None:
        self._lanes = lanes
        self._ledger = ledger
        self._committer = committer
        self._settlement = settlement
        self._moved = moved
        self._missing: list[tuple[Lane, Entry]] = []
        self._state_wanted = asyncio.Event()
        self._place: Place | None = None
        #: Closed while suspects run alone, and for good at a drain.
        self.open = False
        self.draining = False
        #: Closed while results are made faster than they are published.
        self.held_back = False

    def connect(self, ending: Ending) -> None:
        """Where runs go that end without being started."""
        self._ending = ending

    def place_by(self, place: Place) -> None:
        """Where attempts go that ask for another executor."""
        self._place = place

    def pump(self, lane: Lane) -> None:
        """Start whatever may start."""
        if not self.open or self.held_back or lane.paused:
            return
        started: list[Entry] = []
        claims: list[Entry] = []
        dropped = False
        for queue in lane.filled():
            most = lane.may_hand_over(queue)
            while queue.waiting and queue.executing < most and not queue.paused:
                dropped |= not self._prepare(lane, queue, queue.pop(), started, claims)
        self.claim(lane, claims)
        self._submit(lane, started)
        if dropped:
            # Behind it another run of its key may have become ready, of another trigger.
            asyncio.get_running_loop().call_soon(self.pump, lane)

    def start(self, lane: Lane, entry: Entry) -> None:
        """Start one ready run, whether or not the others may."""
        queue = lane.queue(entry)
        queue.discard(entry)
        started: list[Entry] = []
        claims: list[Entry] = []
        self._prepare(lane, queue, entry, started, claims)
        self.claim(lane, claims)
        self._submit(lane, started)

    def _prepare(
        self, lane: Lane, queue: TriggerQueue, entry: Entry, started: list[Entry], claims: list[Entry]
    ) -> bool:
        """Decide what a ready run needs next: to be dropped (then False), its state, a claim, or to be executed."""
        overdue = None
        if entry.expires is not None or entry.deadline is not None:
            overdue = entry.overdue(time.monotonic())
        if overdue is not None:
            self._ending.finish(lane, entry, overdue)
            return False
        if lane.pipeline.state and entry.key is not None and not lane.states.knows(entry.key):
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
                if not entry.odd.alone:
                    claims.extend(lane.followers(entry))
        return True

    def claim(self, lane: Lane, entries: list[Entry]) -> None:
        """Have the ledger make runs RUNNING."""
        if not entries:
            return
        for entry in entries:
            entry.attempt += 1
            entry.claiming = True
            if entry.odd.orphaned:
                entry.mark(orphaned=False)
        saved = [entry for entry in entries if entry.saved]
        if len(saved) < len(entries):
            unsaved = [entry for entry in entries if not entry.saved]
            asyncio.get_running_loop().call_soon(self._claimed, lane, unsaved, Committed())
        if saved:
            claims = tuple(Claim(run_id=e.run_id, attempt=e.attempt, alone=e.odd.alone) for e in saved)
            self._committer.post(Batch(claims=claims), partial(self._durable, lane, saved, time.monotonic()))

    def _durable(self, lane: Lane, entries: list[Entry], asked_at: float, committed: Committed) -> None:
        lane.claimed(time.monotonic() - asked_at)
        self._claimed(lane, entries, committed)

    def _claimed(self, lane: Lane, entries: list[Entry], committed: Committed) -> None:
        started = []
        for entry in entries:
            entry.claiming = False
            if entry.run_id in committed.stale:
                self._ending.forget(lane, entry)
                continue
            entry.claimed = True
            if entry.phase is not Phase.CLAIMING:
                continue  # a follower, or one that has ended meanwhile
            overdue = entry.overdue(time.monotonic())
            if overdue is None and not self.draining:
                entry.phase = Phase.EXECUTING
                started.append(entry)
                continue
            lane.queue(entry).executing -= 1
            self._moved.set()
            if overdue is not None:
                self._ending.finish(lane, entry, overdue)
            else:
                # Not started any more: the ledger gives it back when it is closed.
                entry.phase = Phase.READY
        self._submit(lane, started)
        if len(started) < len(entries):
            self.pump(lane)

    def _submit(self, lane: Lane, entries: list[Entry]) -> None:
        if not entries:
            return
        now = time.monotonic()
        attempts, elsewhere = [], []
        pipeline = lane.pipeline
        for entry in entries:
            state = lane.states.get(entry.key) if pipeline.state and entry.key is not None else None
            timeout = pipeline.timeout
            overrides = entry.odd.overrides
            if overrides is not None and overrides.timeout is not None:
                timeout = overrides.timeout
            if entry.deadline is not None:
                timeout = _limit(timeout, entry.deadline, now)
            attempt = entry.to_attempt(lane.plan, state, timeout)
            if overrides is None or overrides.executor is None or self._place is None:
                attempts.append(attempt)
            else:
                elsewhere.append((overrides.executor, attempt))
            # Begun in time: a later attempt of it is not too old.
            entry.expires = None
        self._settlement.started(lane, entries)
        if attempts:
            lane.executor.submit(attempts)
        for asked, attempt in elsewhere:
            assert self._place is not None
            self._place(lane, asked, attempt)

    async def load_states(self) -> None:
        """Read, in bursts, the state of keys that memory does not have. Runs for ever."""
        while True:
            await self._state_wanted.wait()
            self._state_wanted.clear()
            missing, self._missing = self._missing, []
            wanted = {(lane.pipeline.name, entry.key or "") for lane, entry in missing}
            found = await patiently(partial(self._ledger.states, wanted))
            lanes = {}
            for lane, entry in missing:
                key = entry.key or ""
                if entry.phase is Phase.LOADING:
                    lane.states.loaded(key, found.get((lane.pipeline.name, key)))
                    lane.make_ready(entry)
                    lanes[lane.pipeline.name] = lane
            self._moved.set()
            for lane in lanes.values():
                self.pump(lane)


def _limit(timeout: float | None, deadline: float, now: float) -> float:
    """Seconds for an attempt: its timeout, or what is left until the deadline."""
    left = max(0.0, deadline - now)
    return left if timeout is None else min(timeout, left)
