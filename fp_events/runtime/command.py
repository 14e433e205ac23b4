"""What a command is made of: its row in the table, what it may ask of a daemon, and where it stands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fp_events.domain.errors import PipelineNotFound, RunNotFound
from fp_events.domain.ports import Ledger
from fp_events.domain.records import Batch, Committed, NewRun, StoredRun
from fp_events.domain.run import AttemptResult, Outcome
from fp_events.domain.schedule import Schedule

from .arguments import Arguments
from .destinations import Describe
from .scheduler import Scheduler

#: Rows of one reply.
MOST = 1000


class Live(Protocol):
    """What commands need of a running daemon."""

    @property
    def pipelines(self) -> Mapping[str, Mapping[str, bool]]:
        """Pipelines by name, with the inputs that each knows, and whether a command must give them."""

    def nodes(self, pipeline: str) -> frozenset[str]:
        """Names of a pipeline's nodes."""

    async def commit(self, batch: Batch) -> Committed:
        """Commit through the daemon's group commit."""

    def status(self) -> Awaitable[dict[str, Any]]:
        """The whole of `status`."""

    def pause(self, pipeline: str, paused: bool, trigger: str | None = None) -> Awaitable[None]:
        """Stop or let go on the starting of runs, of all or of one trigger; durable."""

    def obstacle(self, run: StoredRun) -> str:
        """Why a run cannot be taken up again; empty where it can."""

    def deadline(self, pipeline: str) -> float | None:
        """Seconds that a run of the pipeline may take; None: no limit."""

    def take_reopened(self, run: StoredRun) -> None:
        """Run what was reopened."""

    def resend(self) -> None:
        """Publish what has become unsent again."""

    def submit(self, run: NewRun, *, may_be_known: bool) -> Awaitable[bool]:
        """Accept a run, durably; False where its id is known already."""

    def when_ended(self, run_id: str, call: Callable[[Outcome, AttemptResult | None], None]) -> bool:
        """Have `call` called when the run has ended; False where it has already."""

    def reload(self) -> Awaitable[dict[str, Any]]:
        """Take over what has changed in the project's files; raises CommandRefused where that cannot be."""

    def cancel(self, run_id: str) -> Awaitable[Stopped | None]:
        """End a run, and wait a while until it has; None where the daemon does not hold it."""

    def check_executor(self, pipeline: str, asked: Mapping[str, Any]) -> None:
        """Raise UsageError for an executor that a run cannot have."""

    @property
    def scheduler(self) -> Scheduler:
        """What fires schedules."""

    def configured_schedules(self) -> Awaitable[Sequence[Schedule]]:
        """What the project's files say of schedules now; raises ConfigError."""

    def reset_state(self, pipeline: str, key: str) -> None:
        """Forget the state of a key that is in memory."""


class Desk:
    """Where a command is answered: the ledger, and the daemon where one runs."""

    def __init__(
        self,
        ledger: Ledger,
        live: Live | None,
        state_to_json: Callable[[bytes], Any],
        describe: Describe | None = None,
    ) -> None:
        self.ledger = ledger
        #: None where no daemon runs and the ledger alone is open.
        self.live_or_none = live
        self.state_to_json = state_to_json
        #: Where runs published to; None where the configuration is not known.
        self.describe = describe

    @property
    def live(self) -> Live:
        """The daemon; commands with `live=True` are only called where there is one."""
        assert self.live_or_none is not None
        return self.live_or_none

    def pipeline(self, name: str) -> str:
        """`name`, if the daemon has a pipeline of that name; raises PipelineNotFound."""
        live = self.live_or_none
        if live is not None and name not in live.pipelines:
            raise PipelineNotFound(name, tuple(live.pipelines))
        return name

    async def commit(self, batch: Batch) -> Committed:
        """Commit, through the daemon's group commit where there is one."""
        live = self.live_or_none
        return await (live.commit(batch) if live else self.ledger.commit(batch))

    async def run(self, run_id: str) -> StoredRun:
        """A run by its id or a unique beginning of it; raises RunNotFound."""
        run = await self.ledger.run(run_id)
        if run is None:
            raise RunNotFound(run_id)
        return run


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """What came of cancelling one run that was held."""

    pipeline: str
    #: `queued`, `waiting` or `running`.
    was: str
    #: None: it has not ended yet.
    outcome: Outcome | None
    #: Its thread, or a task that takes no notice, runs on; what it returns is thrown away.
    abandoned: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table."""

    name: str
    call: Callable[[Desk, Arguments], Awaitable[dict[str, Any]]]
    arguments: tuple[str, ...]
    #: Needs a running daemon.
    live: bool
    #: Changes something: refused by MQTT without a recent `sent_at`.
    changes: bool
