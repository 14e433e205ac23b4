"""The role that makes runs when their time has come.

An instant, its run and the step to the next instant are one transaction: whatever dies when, each instant makes one
run. The wall clock decides; it may be set while the daemon runs, so no sleep is longer than `LOOK`.
"""

from __future__ import annotations

import asyncio
import heapq
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from uuid_utils import uuid7

from fp_events.domain.pipeline import Pipeline
from fp_events.domain.ports import Ledger
from fp_events.domain.records import Accept, Batch, NewRun
from fp_events.domain.run import Cause
from fp_events.domain.schedule import Schedule, ScheduleFired, StoredSchedule, identity
from fp_events.schedules.planning import delay, due, wakes_at
from fp_events.schedules.syncing import Synced, resumed, sync

from .committer import Committer
from .entry import entry_of_new
from .options import Log
from .runner import Runner
from .schedule_book import Rows, ScheduleBook

#: Seconds between two looks at the clock, at the most.
LOOK = 1.0
#: Runs of one transaction, but for the last schedule's, which all are: `max_missed` bounds them.
PART = 250
#: Seconds by which a fire may be late before the log says so.
LATE = 10.0


class Scheduler:
    """Fires the schedules of pipelines that the daemon has."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        pipelines: Mapping[str, Pipeline],
        committer: Committer,
        runner: Runner,
        log: Log,
        clock: Callable[[], datetime],
    ) -> None:
        self.book = ScheduleBook(committer.commit, self._changed)
        self._ledger = ledger
        self._pipelines = pipelines
        self._committer = committer
        self._runner = runner
        self._log = log
        self.clock = clock
        self._heap: list[tuple[datetime, str]] = []
        self._wake = asyncio.Event()
        self._stopped = False
        #: Since the start of the daemon: instants that made a run, and those that had made one before.
        self.fired = 0
        self.duplicates = 0

    def fires(self, stored: StoredSchedule) -> bool:
        """Whether the pipeline is there to be run."""
        pipeline = self._pipelines.get(stored.schedule.pipeline)
        return pipeline is not None and pipeline.enabled

    def shown(self) -> dict[str, Any]:
        """What `status` shows."""
        next_at = self._heap[0][0].isoformat() if self._heap else None
        return {
            "count": len(self.book.rows),
            "next_fire_at": next_at,
            "fired": self.fired,
            "duplicates": self.duplicates,
        }

    async def load(self) -> None:
        """Take over what the ledger has, and what the project's files say."""
        self.book.fill(await self._ledger.schedules())
        await self.sync(schedule for pipeline in self._pipelines.values() for schedule in pipeline.schedules)

    async def sync(self, configured: Iterable[Schedule], *, overwrite: bool = False) -> Synced:
        """Make the project's schedules what its files say; see `syncing.sync`."""
        found: list[Synced] = []
        wanted = list(configured)

        def decide(rows: Rows) -> Mapping[str, StoredSchedule | None]:
            found.append(sync(rows, wanted, self.clock(), overwrite=overwrite))
            return {**found[0].changes, **self._dormant({**rows, **found[0].changes})}

        await self.book.change(decide)
        self._changed()
        for schedule in found[0].conflicts:
            self._log.warning(
                "schedule_not_used",
                schedule=schedule.schedule_id,
                where=schedule.where,
                reason="a schedule of this id was added by a command",
                mend="`fp-events schedules sync --overwrite`, or give it another id",
            )
        return found[0]

    def _dormant(self, rows: Mapping[str, StoredSchedule | None]) -> dict[str, StoredSchedule]:
        """Schedules whose pipeline went away stand still; when it is back they begin anew, without what was missed."""
        changes = {}
        for name, row in rows.items():
            if row is None or row.paused or not row.schedule.enabled:
                continue
            if not self.fires(row) and row.next_fire_at is not None:
                changes[name] = replace(row, next_fire_at=None)
            elif self.fires(row) and row.next_fire_at is None:
                # Over, or dormant until now. A clock that went back must not bring an instant again.
                following = resumed(row, max(self.clock(), row.last_fire_at or row.anchor_at))
                if following.next_fire_at is not None:
                    changes[name] = following
        return changes

    def stop(self) -> None:
        """Fire nothing more: the daemon drains."""
        self._stopped = True
        self._wake.set()

    def _changed(self) -> None:
        self._heap = [
            (at, name) for name, row in self.book.rows.items() if self.fires(row) and (at := wakes_at(row)) is not None
        ]
        heapq.heapify(self._heap)
        self._wake.set()

    async def run(self) -> None:
        """Fire until `stop`."""
        while not self._stopped:
            self._wake.clear()
            if self._wait() > 0:
                try:
                    async with asyncio.timeout(self._wait()):
                        await self._wake.wait()
                except TimeoutError:
                    pass
                continue
            await self._runner.pending.room()
            if not self._stopped:
                await self._fire()

    def _wait(self) -> float:
        if not self._heap:
            return LOOK
        return min(LOOK, (self._heap[0][0] - self.clock()).total_seconds())

    async def _fire(self) -> None:
        async with self.book.lock:
            now = self.clock()
            runs: list[NewRun] = []
            moves: list[ScheduleFired] = []
            while self._heap and self._heap[0][0] <= now and len(runs) < PART:
                _, name = heapq.heappop(self._heap)
                stored = self.book.rows[name]
                found = due(stored, now)
                if found is None:
                    continue
                runs += (self._run(stored.schedule, instant, now) for instant in found.instants)
                moves.append(ScheduleFired(schedule_id=name, last_fire_at=found.last, next_fire_at=found.next_fire_at))
                self._tell(stored, found.instants, now)
            if not moves:
                return
            accepts = tuple(Accept(message=None, runs=(run,)) for run in runs)
            committed = await self._committer.commit(Batch(accepts=accepts, fired=tuple(moves)))
            self.book.fired(moves)
            for move in moves:
                at = wakes_at(self.book.rows[move.schedule_id])
                if at is not None:
                    heapq.heappush(self._heap, (at, move.schedule_id))
        stored_ids = {run_id for answer in committed.accepted for run_id in answer.run_ids}
        self.fired += len(stored_ids)
        self.duplicates += len(runs) - len(stored_ids)
        self._runner.take([entry_of_new(run) for run in runs if run.run_id in stored_ids])

    def _run(self, schedule: Schedule, instant: datetime, now: datetime) -> NewRun:
        lane = self._runner.lanes[schedule.pipeline]
        spec, deadline = schedule.spec, lane.pipeline.deadline
        due_at = instant + delay(schedule.schedule_id, instant, spec.jitter)
        grace = spec.misfire_grace
        about = {"id": schedule.schedule_id, "scheduled_at": instant.isoformat()}
        return NewRun(
            run_id=str(uuid7()),
            pipeline=schedule.pipeline,
            cause=Cause.SCHEDULE,
            key=lane.key_of(schedule.key),
            request=json.dumps({**schedule.request, "schedule": about}).encode(),
            created_at=now,
            expires_at=None if grace is None else due_at + timedelta(seconds=grace),
            deadline_at=None if deadline is None else now + timedelta(seconds=deadline),
            dedup_key=identity(schedule.schedule_id, instant),
        )

    def _tell(self, stored: StoredSchedule, instants: tuple[datetime, ...], now: datetime) -> None:
        wanted = wakes_at(stored)
        late = 0.0 if wanted is None else (now - wanted).total_seconds()
        if late > LATE:
            name = stored.schedule.schedule_id
            self._log.info("schedule_was_late", schedule=name, late_s=round(late, 1), runs=len(instants))
