"""The ledger in memory: durable for as long as the process lives.

For tests of everything above a ledger; it answers as the one in SQLite does, and passes the same tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from fp_events.domain.errors import LedgerHeld, StorageError, UsageError
from fp_events.domain.records import (
    Batch,
    Committed,
    Opened,
    RetentionPolicy,
    RunQuery,
    StoredAttempt,
    StoredPublication,
    StoredRun,
    StoredState,
)
from fp_events.domain.run import RunState
from fp_events.domain.schedule import StoredSchedule

from .memory_tables import Row, Tables
from .rules import within

#: Bytes a run is taken to need beside its payload, as the SQLite ledger does.
_RUN_BYTES = 500


class MemoryLedger:
    """`Ledger` without a file. May be closed and opened again; what was committed is still there."""

    def __init__(self) -> None:
        self._tables = Tables()
        self._is_open = False
        self.problem = ""

    def after_crash(self) -> MemoryLedger:
        """A ledger that finds what this one has stored, as after the death of its process. This one is done."""
        other = MemoryLedger()
        other._tables, self._tables = self._tables, Tables()
        self._is_open = False
        return other

    async def open(self) -> Opened:
        """As Ledger.open."""
        if self._is_open:
            raise LedgerHeld("memory", None)
        self._is_open = True
        tables = self._tables
        tables.epoch += 1
        for row in tables.runs.values():
            if row.run.alone and row.run.state is RunState.RUNNING:
                row.run = replace(row.run, crashes=row.run.crashes + 1, alone=False)
        unfinished: dict[RunState, int] = {}
        for row in tables.runs.values():
            if row.run.state is not RunState.FINISHED:
                unfinished[row.run.state] = unfinished.get(row.run.state, 0) + 1
        return Opened(
            epoch=tables.epoch,
            settings=dict(tables.settings),
            unfinished=unfinished,
            unsent=sum(not row.refused for row in tables.outbox.values()),
        )

    async def commit(self, batch: Batch) -> Committed:
        """As Ledger.commit. Raises ValueError where a run cannot be accepted."""
        return self._now.apply(batch)

    async def unfinished(self, *, after_seq: int, limit: int, max_bytes: int | None = None) -> Sequence[StoredRun]:
        """As Ledger.unfinished."""
        rows = (row.run for row in self._now.runs.values())
        found = [run for run in rows if run.state is not RunState.FINISHED and run.seq > after_seq][:limit]
        return within(found, max_bytes, lambda run: len(run.message.payload) if run.message else 0)

    async def unsent(self, *, after_seq: int, limit: int, max_bytes: int | None = None) -> Sequence[StoredPublication]:
        """As Ledger.unsent."""
        rows = sorted(self._now.outbox.values(), key=lambda row: row.seq)
        found = [row for row in rows if not row.refused and row.seq > after_seq][:limit]
        return within(found, max_bytes, lambda row: len(row.publication.payload))

    async def publications(self, run_id: str) -> Sequence[StoredPublication]:
        """As Ledger.publications."""
        return [row for row in self._now.outbox.values() if row.run_id == run_id]

    async def refused(self, *, limit: int) -> Sequence[StoredPublication]:
        """As Ledger.refused."""
        return [row for row in reversed(self._now.outbox.values()) if row.refused][:limit]

    async def states(self, keys: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], bytes]:
        """As Ledger.states."""
        states = self._now.states
        return {key: states[key].value for key in keys if key in states}

    async def list_states(self, pipeline: str | None, *, limit: int, after: str = "") -> Sequence[StoredState]:
        """As Ledger.list_states."""
        rows = (row for _, row in sorted(self._now.states.items()))
        return [row for row in rows if row.key > after and pipeline in (None, row.pipeline)][:limit]

    async def schedules(self) -> Sequence[StoredSchedule]:
        """As Ledger.schedules."""
        return [stored for _, stored in sorted(self._now.schedules.items())]

    async def runs(self, query: RunQuery) -> Sequence[StoredRun]:
        """As Ledger.runs."""
        found = (row.run for row in reversed(self._now.runs.values()) if _matches(row.run, query))
        return [
            replace(run, message=None, nodes=None, attempts=tuple(map(_without_nodes, run.attempts[-1:])))
            for run in found
        ][: query.limit]

    async def run(self, run_id: str) -> StoredRun | None:
        """As Ledger.run. Raises UsageError where several ids begin with `run_id`."""
        runs = self._now.runs
        if run_id in runs:
            return runs[run_id].run
        found = [row.run for known, row in runs.items() if known.startswith(run_id)]
        if len(found) > 1:
            raise UsageError(f"several runs have an id that begins with '{run_id}'", mend="give more of it")
        return found[0] if found else None

    async def counts(self) -> Mapping[str, Mapping[str, int]]:
        """As Ledger.counts."""
        found: dict[str, dict[str, int]] = {}
        for (pipeline, name), value in self._now.counters.items():
            if value:
                found.setdefault(pipeline, {})[name] = value
        return dict(found)

    async def purge(self, run_ids: Sequence[str]) -> int:
        """As Ledger.purge."""
        tables = self._now
        named = (tables.runs[run_id] for run_id in dict.fromkeys(run_ids) if run_id in tables.runs)
        gone = [row for row in named if row.run.state is RunState.FINISHED]
        tables.delete_runs(gone)
        dead = {row.run.run_id for row in gone}
        for event_id in [event_id for event_id, row in tables.outbox.items() if row.run_id in dead]:
            del tables.outbox[event_id]
        return len(gone)

    async def prune(self, policy: RetentionPolicy, now: datetime) -> int:
        """As Ledger.prune; the size is estimated by the payloads."""

        def before(age: float) -> datetime:
            return now - timedelta(microseconds=int(age * 1_000_000))

        old, dead = before(policy.runs_age), before(policy.dead_letters_age)
        gone = self._delete(lambda run: not run.dead_letter and _finished_before(run, old))
        gone += self._delete(lambda run: run.dead_letter and _finished_before(run, dead))
        for dead_letters in (False, True):
            gone += self._shrink(policy.max_bytes, dead_letters=dead_letters)
        self._forget(policy, now, old, dead)
        return gone

    def _finished(self) -> list[Row]:
        """Finished runs without rows in the outbox, oldest first."""
        tables = self._now
        held = {row.run_id for row in tables.outbox.values()}
        found = [row for row in tables.runs.values() if row.run.finished_at and row.run.run_id not in held]
        return sorted(found, key=lambda row: (row.run.finished_at, row.run.seq))

    def _delete(self, condition: Callable[[StoredRun], bool]) -> int:
        gone = [row for row in self._finished() if condition(row.run)]
        self._now.delete_runs(gone)
        return len(gone)

    def _shrink(self, most_bytes: int, *, dead_letters: bool) -> int:
        tables = self._now
        size = sum(len(row.message.payload) for row in tables.messages.values()) + _RUN_BYTES * len(tables.runs)
        gone = []
        for row in self._finished():
            if size <= most_bytes:
                break
            if row.run.dead_letter is dead_letters:
                size -= _RUN_BYTES + (len(row.run.message.payload) if row.run.message else 0)
                gone.append(row)
        tables.delete_runs(gone)
        return len(gone)

    def _forget(self, policy: RetentionPolicy, now: datetime, old: datetime, dead: datetime) -> None:
        tables = self._now
        for row, message in list(tables.messages.items()):
            if not message.uses and message.message.received_at < old:
                tables.delete_message(row)
        for event_id, publication in list(tables.outbox.items()):
            if publication.refused and publication.created_at < dead:
                del tables.outbox[event_id]
        young = now - timedelta(microseconds=int(policy.dedup_age * 1_000_000))
        for key, seen_at in list(tables.dedup.items()):
            if seen_at >= young and len(tables.dedup) <= policy.dedup_count:
                break
            del tables.dedup[key]

    async def close(self) -> None:
        """As Ledger.close."""
        if self._is_open:
            self._tables.give_back()
            self._is_open = False

    @property
    def _now(self) -> Tables:
        if not self._is_open:
            raise StorageError("the ledger is not open")
        return self._tables


def _finished_before(run: StoredRun, moment: datetime) -> bool:
    return run.finished_at is not None and run.finished_at < moment


def _without_nodes(attempt: StoredAttempt) -> StoredAttempt:
    return replace(attempt, facts=replace(attempt.facts, nodes=None))


def _matches(run: StoredRun, query: RunQuery) -> bool:
    return (
        query.pipeline in (None, run.pipeline)
        and (not query.states or run.state in query.states)
        and (not query.outcomes or run.outcome in query.outcomes)
        and query.key in (None, run.key)
        and (run.dead_letter or not query.dead_letters)
        and (query.created_after is None or run.created_at > query.created_after)
        and (query.created_before is None or run.created_at < query.created_before)
        and (query.before_seq is None or run.seq < query.before_seq)
    )
