"""What a ledger in memory holds, and how a batch changes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from fp_events.domain.message import Message
from fp_events.domain.records import (
    Accept,
    Accepted,
    AttemptFacts,
    Batch,
    Claim,
    Committed,
    Finish,
    NewRun,
    StateWrite,
    StoredAttempt,
    StoredPublication,
    StoredRun,
    StoredState,
    Wait,
)
from fp_events.domain.run import RunState
from fp_events.domain.schedule import StoredSchedule

from .intake import Intake
from .rules import Counts, Facts, RedeliveryWindow, first_attempt, holds, may_claim, may_finish, may_reopen


@dataclass(slots=True)
class Row:
    """A run with what only the ledger knows of it."""

    run: StoredRun
    #: Owner of the last claim; 0 before the first.
    epoch: int
    #: 0 for a run that no message caused.
    message_id: int

    def facts(self) -> Facts:
        """What the rules decide by."""
        run = self.run
        return Facts(
            seq=run.seq,
            pipeline=run.pipeline,
            state=run.state,
            epoch=self.epoch,
            attempt=run.attempt,
            outcome=run.outcome,
            dead_letter=run.dead_letter,
        )


@dataclass(slots=True)
class MessageRow:
    """A message, once, with the number of runs that name it."""

    message: Message
    uses: int


@dataclass(slots=True)
class Tables:
    """All rows. Numbers of rows are never used twice."""

    runs: dict[str, Row] = field(default_factory=dict)
    messages: dict[int, MessageRow] = field(default_factory=dict)
    #: By event id, oldest first.
    outbox: dict[str, StoredPublication] = field(default_factory=dict)
    states: dict[tuple[str, str], StoredState] = field(default_factory=dict)
    #: Identities and when they came, oldest first.
    dedup: dict[str, datetime] = field(default_factory=dict)
    settings: dict[str, bytes] = field(default_factory=dict)
    schedules: dict[str, StoredSchedule] = field(default_factory=dict)
    counters: dict[tuple[str, str], int] = field(default_factory=dict)
    window: RedeliveryWindow = field(default_factory=RedeliveryWindow)
    confirmed: int = 0
    epoch: int = 0
    next_seq: int = 1
    next_message: int = 1
    next_outbox: int = 1

    def apply(self, batch: Batch) -> Committed:
        """One transaction. Raises ValueError, and changes nothing, where a run cannot be accepted."""
        accepted = self._accept(batch.accepts)
        stale = set()
        for claim in batch.claims:
            if not self._claim(claim):
                stale.add(claim.run_id)
        for wait in batch.waits:
            if not self._wait(wait):
                stale.add(wait.run_id)
        for finish in batch.finishes:
            if not self._finish(finish):
                stale.add(finish.run_id)
        stale.update(reopen.run_id for reopen in batch.reopened if not self._reopen(reopen.run_id))
        self._note(batch)
        return Committed(accepted=accepted, stale=frozenset(stale))

    def _note(self, batch: Batch) -> None:
        for event_id in batch.sent:
            self.outbox.pop(event_id, None)
        for refused in batch.refused:
            if refused.event_id in self.outbox:
                self.outbox[refused.event_id] = replace(self.outbox[refused.event_id], refused=refused.reason)
        for event_id in batch.resend:
            if event_id in self.outbox:
                self.outbox[event_id] = replace(self.outbox[event_id], refused="")
        for run_id in batch.no_longer_alone:
            if run_id in self.runs:
                row = self.runs[run_id]
                row.run = replace(row.run, alone=False)
        for write in batch.states:
            self._write_state(write, "", datetime.now(UTC))
        for name, value in batch.settings.items():
            if value is None:
                self.settings.pop(name, None)
            else:
                self.settings[name] = value
        self._schedule(batch)
        self.confirmed = max(self.confirmed, min(batch.confirmed_message_id or 0, self.next_message - 1))

    def _schedule(self, batch: Batch) -> None:
        for change in batch.schedules:
            if change.stored is None:
                self.schedules.pop(change.schedule_id, None)
            else:
                self.schedules[change.schedule_id] = change.stored
        for fired in batch.fired:
            if (stored := self.schedules.get(fired.schedule_id)) is not None:
                self.schedules[fired.schedule_id] = replace(
                    stored, last_fire_at=fired.last_fire_at, next_fire_at=fired.next_fire_at
                )

    def _accept(self, accepts: Sequence[Accept]) -> tuple[Accepted, ...]:
        keys = {run.dedup_key for accept in accepts for run in accept.runs if run.dedup_key is not None}
        intake = Intake(
            seen=keys & self.dedup.keys(),
            window=self.window,
            confirmed=self.confirmed,
            content=self._content,
            next_message=self.next_message,
        )
        answers = tuple(intake.answer(accept) for accept in accepts)
        self.next_message = intake.next_message
        try:
            self._check([run for run, _ in intake.runs])
        except ValueError:
            self.window.rollback()
            raise
        self.messages.update((row, MessageRow(message, uses)) for row, _, message, uses in intake.messages)
        for run, message_id in intake.runs:
            self._add_run(run, message_id, self.messages[message_id].message if message_id else None)
        self.dedup.update((str(run.dedup_key), run.created_at) for run in intake.identified)
        self.window.commit()
        return answers

    def _check(self, runs: Sequence[NewRun]) -> None:
        ids = [run.run_id for run in runs]
        if len(set(ids)) < len(ids) or not self.runs.keys().isdisjoint(ids):
            raise ValueError("a run is already stored")
        for run in runs:
            first_attempt(run)

    def _content(self, message_id: int) -> tuple[str, bytes] | None:
        row = self.messages.get(message_id)
        return None if row is None else (row.message.topic, row.message.payload)

    def _add_run(self, run: NewRun, message_id: int, message: Message | None) -> None:
        attempt = first_attempt(run)
        stored = StoredRun(
            seq=self.next_seq,
            run_id=run.run_id,
            pipeline=run.pipeline,
            cause=run.cause,
            state=run.state,
            outcome=None,
            trigger=run.trigger,
            trigger_topic=run.trigger_topic,
            key=run.key,
            captures=dict(run.captures),
            request=run.request,
            attempt=attempt,
            attempt_base=0,
            crashes=0,
            alone=False,
            version="",
            created_at=run.created_at,
            due_at=run.due_at,
            expires_at=run.expires_at,
            deadline_at=run.deadline_at,
            started_at=None,
            finished_at=None,
            duration=0.0,
            dead_letter=False,
            values=None,
            message=message,
            attempts=(),
        )
        self.next_seq += 1
        self.runs[run.run_id] = row = Row(stored, self.epoch if attempt else 0, message_id)
        counts = Counts()
        counts.enter(row.facts())
        self._count(counts)

    def _change(self, row: Row, **changes: object) -> None:
        counts = Counts()
        counts.leave(row.facts())
        row.run = replace(row.run, **changes)  # type: ignore[arg-type]  # names and types are those of StoredRun
        counts.enter(row.facts())
        self._count(counts)

    def _count(self, counts: Counts) -> None:
        for pipeline, name, number in counts:
            self.counters[pipeline, name] = self.counters.get((pipeline, name), 0) + number

    def _claim(self, claim: Claim) -> bool:
        row = self.runs.get(claim.run_id)
        if row is None or not may_claim(row.facts(), claim, self.epoch):
            return False
        row.epoch = self.epoch
        self._change(row, state=RunState.RUNNING, due_at=None, attempt=claim.attempt, alone=claim.alone)
        return True

    def _wait(self, wait: Wait) -> bool:
        row = self.runs.get(wait.run_id)
        if row is None or not holds(row.facts(), wait, self.epoch):
            return False
        self._change(row, state=RunState.WAITING, due_at=wait.due_at, version=wait.facts.version)
        self._add_attempt(row, wait.attempt, wait.facts)
        return True

    def _finish(self, finish: Finish) -> bool:
        row = self.runs.get(finish.run_id)
        if row is None or not may_finish(row.facts(), finish, self.epoch):
            return False
        self._change(
            row,
            state=RunState.FINISHED,
            alone=False,
            due_at=None,
            outcome=finish.outcome,
            dead_letter=finish.dead_letter,
            started_at=finish.started_at,
            finished_at=finish.finished_at,
            duration=finish.duration,
            version=finish.version,
            values=finish.values,
            nodes=finish.nodes,
        )
        if finish.facts is not None:
            self._add_attempt(row, finish.attempt, finish.facts)
        if finish.state is not None:
            self._write_state(finish.state, finish.run_id, finish.finished_at)
        self._publish(row, finish)
        return True

    def _publish(self, row: Row, finish: Finish) -> None:
        for publication in finish.publications:
            self.outbox.pop(publication.event_id, None)
            self.outbox[publication.event_id] = StoredPublication(
                seq=self.next_outbox,
                run_id=finish.run_id,
                pipeline=row.run.pipeline,
                publication=publication,
                created_at=finish.finished_at,
            )
            self.next_outbox += 1

    def _reopen(self, run_id: str) -> bool:
        row = self.runs.get(run_id)
        if row is None or not may_reopen(row.facts()):
            return False
        self._change(
            row,
            state=RunState.QUEUED,
            outcome=None,
            dead_letter=False,
            attempt_base=row.run.attempt,
            crashes=0,
            alone=False,
            due_at=None,
            expires_at=None,
            deadline_at=None,
            started_at=None,
            finished_at=None,
            duration=0.0,
            values=None,
            nodes=None,
        )
        return True

    def give_back(self) -> None:
        """An orderly end: what this owner was running is QUEUED again, and nothing of it is to blame."""
        for row in self.runs.values():
            if row.run.state is RunState.RUNNING and row.epoch == self.epoch:
                self._change(row, state=RunState.QUEUED, alone=False)

    def _add_attempt(self, row: Row, number: int, facts: AttemptFacts) -> None:
        others = [attempt for attempt in row.run.attempts if attempt.number != number]
        attempts = sorted([*others, StoredAttempt(number=number, facts=facts)], key=lambda attempt: attempt.number)
        row.run = replace(row.run, attempts=tuple(attempts))

    def _write_state(self, write: StateWrite, run_id: str, at: datetime) -> None:
        key = (write.pipeline, write.key)
        if write.value is None:
            self.states.pop(key, None)
        else:
            self.states[key] = StoredState(
                pipeline=write.pipeline, key=write.key, value=write.value, run_id=run_id, updated_at=at
            )

    def delete_runs(self, rows: Sequence[Row]) -> None:
        """Delete runs, and the messages that no other run uses."""
        counts = Counts()
        for row in rows:
            if row.run.dead_letter:
                counts.add(row.run.pipeline, "dead_letters", -1)
            del self.runs[row.run.run_id]
            if row.message_id:
                message = self.messages[row.message_id]
                message.uses -= 1
                if not message.uses:
                    self.delete_message(row.message_id)
        self._count(counts)

    def delete_message(self, message_id: int) -> None:
        """Delete it and lift the confirmed mark, so that no older one stands in for it when it is redelivered."""
        del self.messages[message_id]
        self.confirmed = max(self.confirmed, message_id)
