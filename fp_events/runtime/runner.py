"""Runs in memory: which may start, what follows when one ends.

    take -> [state] -> [claim] -> executor -> decide -> settlement
               ^                                 |
               +------------ due ----------------+ wait

All of it happens on the loop, in callbacks of the committer, the executors and the timers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from random import Random

from fp_events.domain.ports import Executor, Ledger
from fp_events.domain.records import Batch
from fp_events.domain.run import Failure

from .committer import Committer
from .delayed import Delayed
from .ending import Ender
from .entry import Entry, Phase
from .lane import Lane
from .limits import Limits
from .pending import Pending
from .settlement import Settlement
from .starting import Place, Starter
from .timers import Timers

_UNDER_WAY = frozenset({Phase.LOADING, Phase.READY, Phase.CLAIMING, Phase.EXECUTING})


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
        limits: Limits,
        rng: Random | None = None,
    ) -> None:
        self.lanes: dict[str, Lane] = {lane.pipeline.name: lane for lane in lanes}
        self._committer = committer
        self._alone_for = limits.alone_for
        #: Some run has ended, or can be started.
        self._moved = asyncio.Event()
        self.pending = Pending(limits)
        #: Runs whose time has not come.
        self.delayed = Delayed(self, limits)
        self._starter = Starter(
            self.lanes, ledger=ledger, committer=committer, settlement=settlement, moved=self._moved
        )
        self._ender = Ender(
            self.lanes,
            pending=self.pending,
            starter=self._starter,
            settlement=settlement,
            timers=timers,
            moved=self._moved,
            rng=rng or Random(),  # noqa: S311 - jitter, not cryptography
        )
        self._starter.connect(self._ender)

    def place_by(self, place: Place) -> None:
        """Where attempts go that ask for another executor."""
        self._starter.place_by(place)

    # -- taking runs in

    @property
    def is_open(self) -> bool:
        """Whether new runs may be accepted RUNNING, as far as their lanes have room."""
        return self._starter.open and not self._starter.held_back

    def take(self, entries: Iterable[Entry]) -> None:
        """Run what the ledger has just accepted, in this order."""
        lanes = {}
        for entry in entries:
            lane = self.lanes[entry.pipeline]
            lanes[entry.pipeline] = lane
            self._hold(lane, entry)
            lane.add(entry)
        for lane in lanes.values():
            self._starter.pump(lane)

    def take_waiting(self, entry: Entry, due: float) -> None:
        """Hold a run that is due at monotonic `due`; it keeps its key unless the pipeline lets others pass."""
        lane = self.lanes[entry.pipeline]
        self._hold(lane, entry)
        if entry.key is not None and lane.pipeline.on_retry == "hold":
            lane.add(entry)
            lane.queue(entry).discard(entry)
        entry.phase = Phase.WAITING
        self._ender.wait_until(lane, entry, due)

    def _hold(self, lane: Lane, entry: Entry) -> None:
        self.pending.add(entry)
        self._ender.limit(lane, entry)

    # -- steering

    def open(self) -> None:
        """Let runs start."""
        if not self._starter.draining:
            self._starter.open = True
            self.pump_all()

    def hold_back(self, behind: bool) -> None:
        """Start no runs while their results would only wait to be published."""
        self._starter.held_back = behind
        if not behind:
            self.pump_all()

    def pump_all(self) -> None:
        """Start whatever may start."""
        for lane in self.lanes.values():
            self._starter.pump(lane)

    def fail(self, entry: Entry, failure: Failure) -> None:
        """End a held run as FAILED without another attempt."""
        self._ender.fail(self.lanes[entry.pipeline], entry, failure)

    def cancel(self, entry: Entry) -> None:
        """End a held run as CANCELLED."""
        self._ender.cancel(self.lanes[entry.pipeline], entry)

    async def recover(self, suspects: Iterable[Entry]) -> None:
        """Run those that were RUNNING when the last process died, each alone, before any other.

        One that makes the process die again is found by this: only it is RUNNING then. One that takes long
        is let go on beside the others, and is not blamed for what happens then.
        """
        for entry in suspects:
            lane = self.lanes[entry.pipeline]
            if entry.phase is not Phase.READY or lane.paused or lane.queue(entry).paused:
                continue  # behind a run of its key that waits: it runs in its turn
            entry.mark(alone=True)
            await self._run_alone(lane, entry)
            entry.mark(alone=False)
            if self._starter.draining:
                return

    async def _run_alone(self, lane: Lane, entry: Entry) -> None:
        stop = time.monotonic() + self._alone_for
        while entry.phase in _UNDER_WAY and not self._starter.draining:
            if entry.phase is Phase.READY:
                self._starter.start(lane, entry)
            self._moved.clear()
            try:
                async with asyncio.timeout(max(0.0, stop - time.monotonic())):
                    await self._moved.wait()
            except TimeoutError:
                await self._committer.commit(Batch(no_longer_alone=(entry.run_id,)))
                return

    @property
    def executing(self) -> int:
        """Attempts under way."""
        return sum(queue.executing for lane in self.lanes.values() for queue in lane.queues)

    async def drain(self, grace: float) -> bool:
        """Start nothing more and wait at most `grace` seconds for what runs; True if all of it ended."""
        self._starter.open = False
        self._starter.draining = True
        self._moved.set()
        try:
            async with asyncio.timeout(grace):
                while self.executing:
                    self._moved.clear()
                    await self._moved.wait()
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
                entry.mark(discard_state=True)

    # -- roles

    async def collect(self, executor: Executor) -> None:
        """Take what an executor returns. Runs for ever."""
        await self._ender.collect(executor)

    async def load_states(self) -> None:
        """Read the state of keys that memory does not have. Runs for ever."""
        await self._starter.load_states()
