"""What commands do to a running daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from fp_events.domain.errors import CommandRefused, UsageError
from fp_events.domain.records import Accept, Batch, Committed, NewRun, StoredRun
from fp_events.domain.run import AttemptResult, Outcome
from fp_events.domain.schedule import Schedule

from .cancelling import stop
from .command import Stopped
from .committer import Committer
from .entry import entry_of_new
from .housekeeping import Housekeeping
from .options import ServiceOptions
from .pausing import pause_of
from .publisher import Publisher
from .recovery import obstacle, take_reopened
from .reloading import Reloader
from .runner import Runner
from .scheduler import Scheduler
from .status import StatusBoard


class LiveDaemon:
    """The command table's `Live`."""

    def __init__(
        self,
        options: ServiceOptions,
        *,
        committer: Committer,
        runner: Runner,
        publisher: Publisher,
        housekeeping: Housekeeping,
        board: StatusBoard,
        scheduler: Scheduler,
        reloader: Reloader,
    ) -> None:
        self.scheduler = scheduler
        self._reloader = reloader
        self._o = options
        self._committer = committer
        self._runner = runner
        self._publisher = publisher
        self._housekeeping = housekeeping
        self._board = board
        #: One at a time checks whether the id that a caller gave is free.
        self._naming = asyncio.Lock()

    @property
    def pipelines(self) -> Mapping[str, Mapping[str, bool]]:
        """Pipelines by name, with the inputs that each knows, and whether a command must give them."""
        return self._o.inputs

    def nodes(self, pipeline: str) -> frozenset[str]:
        """Names of a pipeline's nodes."""
        return self._o.nodes[pipeline]

    async def commit(self, batch: Batch) -> Committed:
        """Commit through the daemon's group commit."""
        return await self._committer.commit(batch)

    async def pause(self, pipeline: str, paused: bool, trigger: str | None = None) -> None:
        """Stop or let go on the starting of runs, of all or of one trigger; durable."""
        lane = self._runner.lanes[pipeline]
        change = pause_of(lane, trigger)
        await self.commit(Batch(settings={change.setting: b"1" if paused else None}))
        change.set(paused)
        self._o.log.info("paused" if paused else "resumed", pipeline=pipeline, trigger=trigger)
        self._runner.pump_all()
        self._housekeeping.publish_states()

    def obstacle(self, run: StoredRun) -> str:
        """Why a run cannot be taken up again; empty where it can."""
        return obstacle(run, self._runner)

    def deadline(self, pipeline: str) -> float | None:
        """Seconds that a run of the pipeline may take; None: no limit."""
        return self._runner.lanes[pipeline].pipeline.deadline

    def check_executor(self, pipeline: str, asked: Mapping[str, Any]) -> None:
        """Raise UsageError for an executor that a run cannot have."""
        if self._o.places is not None:
            self._o.places.check(pipeline, asked)

    def take_reopened(self, run: StoredRun) -> None:
        """Run what was reopened."""
        take_reopened(run, self._runner)

    def resend(self) -> None:
        """Publish what has become unsent again."""
        self._publisher.look()

    def reset_state(self, pipeline: str, key: str) -> None:
        """Forget the state of a key that is in memory."""
        if pipeline in self._runner.lanes:
            self._runner.reset_state(pipeline, key)

    async def submit(self, run: NewRun, *, may_be_known: bool) -> bool:
        """Accept a run, durably; False where its id is known already."""
        if self._board.draining:
            raise CommandRefused("the daemon is draining", where="run", mend="send it to the next one")
        if (self._runner.delayed if run.due_at else self._runner.pending).full:
            raise CommandRefused("the daemon holds as many runs as it may", where="run", mend="send it again later")
        if not may_be_known:
            await self._accept(run)
            return True
        async with self._naming:
            if await self._is_known(run.run_id):
                return False
            await self._accept(run)
        return True

    async def _is_known(self, run_id: str) -> bool:
        try:
            found = await self._o.ledger.run(run_id)
        except UsageError:
            return False  # several runs begin with it, and none is it
        return found is not None and found.run_id == run_id

    async def _accept(self, run: NewRun) -> None:
        lane = self._runner.lanes[run.pipeline]
        deadline_at = run.deadline_at
        if deadline_at is None and lane.pipeline.deadline is not None:
            deadline_at = (run.due_at or run.created_at) + timedelta(seconds=lane.pipeline.deadline)
        run = replace(run, key=lane.key_of(run.key), deadline_at=deadline_at)
        await self.commit(Batch(accepts=(Accept(message=None, runs=(run,)),)))
        if run.due_at is None:
            self._runner.take([entry_of_new(run)])
        else:
            self._runner.delayed.add(entry_of_new(run), run.due_at)

    async def cancel(self, run_id: str) -> Stopped | None:
        """End a run; None where it is not held."""
        entry = self._runner.pending.get(run_id) or self._runner.delayed.release(run_id)
        return None if entry is None else await stop(self._runner, entry)

    def when_ended(self, run_id: str, call: Callable[[Outcome, AttemptResult | None], None]) -> bool:
        """Have `call` called when the run has ended; False where it has already."""
        return self._runner.pending.when_ended(run_id, call) or self._runner.delayed.when_ended(run_id, call)

    async def configured_schedules(self) -> Sequence[Schedule]:
        """What the project's files say of schedules now; raises ConfigError."""
        read = self._o.read_schedules
        if read is None:
            return [schedule for pipeline in self._o.pipelines.values() for schedule in pipeline.schedules]
        return await asyncio.to_thread(read)

    async def reload(self) -> dict[str, Any]:
        """Take over what has changed in the project's files; raises CommandRefused where that cannot be."""
        return await self._reloader.reload()

    async def status(self) -> dict[str, Any]:
        """The whole of `status`."""
        return await self._board.whole()
