"""The command table: what can be asked of a daemon, by whichever door.

Commands that need the ledger alone (`live=False`) are answered without a daemon too.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, Protocol

from uuid_utils import uuid7

from fp_events.domain.errors import CommandRefused, FpEventsError, PipelineNotFound, RunNotFound
from fp_events.domain.ports import Ledger
from fp_events.domain.records import Batch, Committed, NewRun, Reopen, RunQuery, StateWrite, StoredRun
from fp_events.domain.run import AttemptResult, Cause, Outcome, RunState

from .arguments import Arguments
from .views import one_line, publication_row, run_row, run_whole, state_row

#: Ids that callers may give to runs; a colon would make one look like a publication's.
RUN_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")
#: Rows of one reply.
MOST = 1000


class Broken(CommandRefused):
    """Answering a command raised what it should not: a defect of this program, which goes on."""

    exit_code = 70

    def __init__(self, command: str, error: Exception) -> None:
        super().__init__(
            f"a defect of fp-events: {type(error).__name__}: {error}", where=command, mend="the daemon goes on"
        )


class Live(Protocol):
    """What commands need of a running daemon."""

    @property
    def pipelines(self) -> Mapping[str, frozenset[str]]:
        """Pipelines by name, with the inputs that each knows."""

    async def commit(self, batch: Batch) -> Committed:
        """Commit through the daemon's group commit."""

    def status(self) -> Awaitable[dict[str, Any]]:
        """The whole of `status`."""

    def pause(self, pipeline: str, paused: bool) -> Awaitable[None]:
        """Stop or let go on the starting of runs; durable."""

    def obstacle(self, run: StoredRun) -> str:
        """Why a run cannot be taken up again; empty where it can."""

    def take_reopened(self, run: StoredRun) -> None:
        """Run what was reopened."""

    def resend(self) -> None:
        """Publish what has become unsent again."""

    def submit(self, run: NewRun, *, may_be_known: bool) -> Awaitable[bool]:
        """Accept a run, durably; False where its id is known already."""

    def when_ended(self, run_id: str, call: Callable[[Outcome, AttemptResult | None], None]) -> bool:
        """Have `call` called when the run has ended; False where it has already."""

    def reset_state(self, pipeline: str, key: str) -> None:
        """Forget the state of a key that is in memory."""


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table."""

    name: str
    call: Callable[[CommandTable, Arguments], Awaitable[dict[str, Any]]]
    arguments: tuple[str, ...]
    #: Needs a running daemon.
    live: bool
    #: Changes something: refused by MQTT without a recent `sent_at`.
    changes: bool


class CommandTable:
    """Answers commands; `live` is None where no daemon runs and the ledger alone is open."""

    def __init__(self, ledger: Ledger, live: Live | None, state_to_json: Callable[[bytes], Any]) -> None:
        self._ledger = ledger
        self._live = live
        self._state_to_json = state_to_json

    async def call(self, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one command; raises CommandRefused, UsageError or StorageError."""
        command = COMMANDS.get(name)
        if command is None:
            raise CommandRefused(f"unknown command '{name}'", mend=f"known are {', '.join(COMMANDS)}")
        try:
            return await command.call(self, Arguments(name, given, command.arguments))
        except (FpEventsError, asyncio.CancelledError):
            raise
        except Exception as error:
            # Whoever asks must not be able to end the daemon.
            raise Broken(name, error) from error

    @property
    def live(self) -> Live:
        """The daemon; commands with `live=True` are only called where there is one."""
        assert self._live is not None
        return self._live

    def _pipeline(self, name: str) -> str:
        if self._live is not None and name not in self._live.pipelines:
            raise PipelineNotFound(name, tuple(self._live.pipelines))
        return name

    async def _commit(self, batch: Batch) -> Committed:
        return await (self._live.commit(batch) if self._live else self._ledger.commit(batch))

    async def _run(self, run_id: str) -> StoredRun:
        run = await self._ledger.run(run_id)
        if run is None:
            raise RunNotFound(run_id)
        return run

    # -- the commands

    async def status(self, _: Arguments) -> dict[str, Any]:
        """What the daemon knows of itself."""
        return await self.live.status()

    async def run(self, arguments: Arguments) -> dict[str, Any]:
        """Start a run; durable before it is confirmed. With `wait`: until it has ended."""
        name = self._pipeline(arguments.needed("pipeline"))
        request = {
            "inputs": arguments.mapping("inputs") or {},
            "final_vars": arguments.texts("final_vars"),
            "config": arguments.mapping("config"),
        }
        known = self.live.pipelines[name]
        for given in request["inputs"] or ():
            if given not in known:
                near = get_close_matches(given, known, n=1)
                mend = f"did you mean '{near[0]}'?" if near else f"it knows {', '.join(sorted(known)) or 'none'}"
                raise CommandRefused(f"pipeline '{name}' has no input '{given}'", where="run", mend=mend)
        run_id = arguments.text("run_id")
        if run_id is not None and not RUN_ID.fullmatch(run_id):
            raise CommandRefused("'run_id' must be 1 to 100 letters, digits, dots, dashes or underscores", where="run")
        run = NewRun(
            run_id=run_id or str(uuid7()),
            pipeline=name,
            cause=Cause.COMMAND,
            key=arguments.text("key"),
            request=json.dumps({k: v for k, v in request.items() if v}).encode(),
            created_at=datetime.now(UTC),
        )
        ended: asyncio.Future[tuple[Outcome, AttemptResult | None]] = asyncio.get_running_loop().create_future()

        def then(outcome: Outcome, result: AttemptResult | None) -> None:
            if not ended.done():
                ended.set_result((outcome, result))

        wait = arguments.flag("wait")
        timeout = arguments.number("timeout_s")
        new = await self.live.submit(run, may_be_known=run_id is not None)
        if wait:
            wait = self.live.when_ended(run.run_id, then)
        if not wait:
            return await self._as_it_is(run.run_id, known=not new)
        try:
            async with asyncio.timeout(timeout):
                outcome, result = await ended
        except TimeoutError:
            return {"run_id": run.run_id, "pipeline": name, "state": RunState.RUNNING.value, "outcome": None}
        return {
            "run_id": run.run_id,
            "pipeline": name,
            "state": RunState.FINISHED.value,
            "outcome": outcome.value,
            "values": json.loads(result.values) if result and result.values else None,
            "error": one_line(result.failure) if result else None,
            "node": result.failure.node if result and result.failure else None,
        }

    async def _as_it_is(self, run_id: str, *, known: bool) -> dict[str, Any]:
        run = await self._run(run_id)
        return {"run_id": run_id, "pipeline": run.pipeline, "state": run.state.value, "known": known,
                "outcome": run.outcome.value if run.outcome else None}  # fmt: skip

    async def pause(self, arguments: Arguments) -> dict[str, Any]:
        """Start no more runs of a pipeline; its messages are accepted and wait in the ledger."""
        name = self._pipeline(arguments.needed("pipeline"))
        await self.live.pause(name, True)
        return {"pipeline": name, "paused": True}

    async def resume(self, arguments: Arguments) -> dict[str, Any]:
        """Undo `pause`."""
        name = self._pipeline(arguments.needed("pipeline"))
        await self.live.pause(name, False)
        return {"pipeline": name, "paused": False}

    async def runs_list(self, arguments: Arguments) -> dict[str, Any]:
        """Runs, newest first."""
        runs = await self._ledger.runs(_query(arguments, dead_letters=False))
        return {"runs": [run_row(run) for run in runs], "next": _next(runs, arguments)}

    async def runs_show(self, arguments: Arguments) -> dict[str, Any]:
        """One run, whole."""
        return run_whole(await self._run(arguments.needed("run_id")))

    async def dlq_list(self, arguments: Arguments) -> dict[str, Any]:
        """Dead letters, newest first, and the publications that the broker refused."""
        query = _query(arguments, dead_letters=True)
        runs = await self._ledger.runs(query)
        refused = await self._ledger.refused(limit=query.limit) if query.before_seq is None else ()
        wanted = [row for row in refused if query.pipeline in (None, row.pipeline)]
        return {
            "dead_letters": [run_row(run) for run in runs],
            "refused": [publication_row(row) for row in wanted],
            "next": _next(runs, arguments),
        }

    async def dlq_retry(self, arguments: Arguments) -> dict[str, Any]:
        """Run dead letters again, with their identity and history; send again what the broker refused (event ids)."""
        retried: list[str] = []
        refused: list[dict[str, str]] = []
        event_ids = []
        for name in await self._chosen(arguments):
            if ":" in name:
                event_ids.append(name)
                continue
            run = await self._ledger.run(name)
            reason = "there is no such run" if run is None else await self._reopen(run)
            if reason:
                refused.append({"run_id": run.run_id if run else name, "reason": reason})
            elif run:
                retried.append(run.run_id)
        resent = await self._resend(event_ids, arguments) if event_ids or arguments.flag("all") else []
        refused += [
            {"run_id": name, "reason": "the broker has not refused it"} for name in event_ids if name not in resent
        ]
        return {"retried": retried, "resent": resent, "refused": refused}

    async def _reopen(self, run: StoredRun) -> str:
        """Have a dead letter run again; why not, or empty."""
        if not run.dead_letter:
            return "it is not a dead letter"
        if self._live is not None and (obstacle := self._live.obstacle(run)):
            return obstacle
        committed = await self._commit(Batch(reopened=(Reopen(run_id=run.run_id),)))
        if run.run_id in committed.stale:
            return "it is being retried already"
        if self._live is not None:
            self._live.take_reopened(await self._run(run.run_id))
        return ""

    async def _resend(self, event_ids: list[str], arguments: Arguments) -> list[str]:
        """Have refused publications sent again: those named, or all (of a pipeline)."""
        pipeline = arguments.text("pipeline")
        rows = await self._ledger.refused(limit=MOST)
        resent = [
            row.publication.event_id
            for row in rows
            if row.publication.event_id in event_ids or (arguments.flag("all") and pipeline in (None, row.pipeline))
        ]
        if resent:
            await self._commit(Batch(resend=tuple(resent)))
            if self._live is not None:
                self._live.resend()
        return resent

    async def dlq_purge(self, arguments: Arguments) -> dict[str, Any]:
        """Delete dead letters with everything that belongs to them."""
        chosen = await self._chosen(arguments)
        dead = [run.run_id for run in [await self._run(run_id) for run_id in chosen] if run.dead_letter]
        return {"purged": await self._ledger.purge(dead)}

    async def state_list(self, arguments: Arguments) -> dict[str, Any]:
        """Keyed state."""
        limit = arguments.count("limit", 50, MOST)
        rows = await self._ledger.list_states(
            arguments.text("pipeline"), limit=limit, after=arguments.text("after") or ""
        )
        return {"states": [state_row(row, self._state_to_json) for row in rows]}

    async def state_show(self, arguments: Arguments) -> dict[str, Any]:
        """The state of one key."""
        pipeline, key = arguments.needed("pipeline"), arguments.text("key") or ""
        found = await self._ledger.states([(pipeline, key)])
        if not found:
            raise CommandRefused(
                f"pipeline '{pipeline}' keeps no state for key '{key}'", mend="see `fp-events state list`"
            )
        return {"pipeline": pipeline, "key": key, "value": self._state_to_json(found[pipeline, key])}

    async def state_reset(self, arguments: Arguments) -> dict[str, Any]:
        """Forget the state of one key, or of all keys of a pipeline."""
        pipeline = arguments.needed("pipeline")
        key = arguments.text("key")
        if (key is None) != arguments.flag("all"):
            raise CommandRefused("name one key, or all", where="state.reset")
        keys = [key] if key is not None else await self._keys(pipeline)
        for start in range(0, len(keys), MOST):
            part = keys[start : start + MOST]
            for name in part:
                if self._live is not None:
                    self._live.reset_state(pipeline, name)
            writes = tuple(StateWrite(pipeline=pipeline, key=name, value=None) for name in part)
            await self._commit(Batch(states=writes))
        return {"pipeline": pipeline, "reset": len(keys)}

    async def _keys(self, pipeline: str) -> list[str]:
        keys: list[str] = []
        while True:
            rows = await self._ledger.list_states(pipeline, limit=MOST, after=keys[-1] if keys else "")
            keys.extend(row.key for row in rows)
            if len(rows) < MOST:
                return keys

    async def _chosen(self, arguments: Arguments) -> list[str]:
        """The dead letters that a command names: by id, or all (of a pipeline), oldest first."""
        run_ids = arguments.texts("run_ids")
        if (run_ids is None) != arguments.flag("all"):
            raise CommandRefused("name run ids, or all", where="dlq")
        if run_ids is not None:
            return run_ids
        chosen: list[str] = []
        before: int | None = None
        while True:
            query = RunQuery(pipeline=arguments.text("pipeline"), dead_letters=True, limit=MOST, before_seq=before)
            runs = await self._ledger.runs(query)
            chosen.extend(run.run_id for run in runs)
            if len(runs) < MOST:
                # Oldest first: a key's runs keep their order.
                return chosen[::-1]
            before = runs[-1].seq


def _query(arguments: Arguments, *, dead_letters: bool) -> RunQuery:
    before = arguments.number("before")
    return RunQuery(
        pipeline=arguments.text("pipeline"),
        states=frozenset() if dead_letters else arguments.choices("state", RunState),
        outcomes=frozenset() if dead_letters else arguments.choices("outcome", Outcome),
        key=arguments.text("key"),
        dead_letters=dead_letters,
        limit=arguments.count("limit", 50, MOST),
        before_seq=None if before is None else int(before),
    )


def _next(runs: Any, arguments: Arguments) -> int | None:
    """Where the next page starts; None on the last one."""
    return runs[-1].seq if len(runs) == arguments.count("limit", 50, MOST) else None


_FILTERS = ("pipeline", "state", "outcome", "key", "limit", "before")

COMMANDS: Mapping[str, Command] = {
    command.name: command
    for command in (
        Command("status", CommandTable.status, (), live=True, changes=False),
        Command(
            "run",
            CommandTable.run,
            ("pipeline", "inputs", "final_vars", "config", "key", "run_id", "wait", "timeout_s"),
            live=True,
            changes=True,
        ),
        Command("pause", CommandTable.pause, ("pipeline",), live=True, changes=True),
        Command("resume", CommandTable.resume, ("pipeline",), live=True, changes=True),
        Command("runs.list", CommandTable.runs_list, _FILTERS, live=False, changes=False),
        Command("runs.show", CommandTable.runs_show, ("run_id",), live=False, changes=False),
        Command("dlq.list", CommandTable.dlq_list, ("pipeline", "key", "limit", "before"), live=False, changes=False),
        Command("dlq.show", CommandTable.runs_show, ("run_id",), live=False, changes=False),
        Command("dlq.retry", CommandTable.dlq_retry, ("run_ids", "all", "pipeline"), live=False, changes=True),
        Command("dlq.purge", CommandTable.dlq_purge, ("run_ids", "all", "pipeline"), live=False, changes=True),
        Command("state.list", CommandTable.state_list, ("pipeline", "limit", "after"), live=False, changes=False),
        Command("state.show", CommandTable.state_show, ("pipeline", "key"), live=False, changes=False),
        Command("state.reset", CommandTable.state_reset, ("pipeline", "key", "all"), live=False, changes=True),
    )
}
