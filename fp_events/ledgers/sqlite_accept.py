"""Accepting messages and runs: which are duplicates, and the rows of the others."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from fp_events.domain.message import Message
from fp_events.domain.records import Accept, Accepted, NewRun
from fp_events.domain.run import RunState

from .rules import Counts, RedeliveryWindow, first_attempt
from .sqlite_rows import captures_text, micros, micros_or_none, properties_text
from .sqlite_statements import read_in, write_rows

_MESSAGES = "INSERT INTO messages (id, topic, qos, retain, received_at, session, packet_id, uses, properties, payload)"
_RUNS = (
    "INSERT INTO runs (seq, run_id, pipeline, cause, state, epoch, attempt, trigger_index, trigger_topic, key,"
    " captures, message_id, created_at, due_at, expires_at, deadline_at, request)"
)


class Acceptor:
    """Gives rows their numbers. Numbers of a transaction that failed are not used again."""

    def __init__(self, *, epoch: int, next_seq: int, next_message: int, window: RedeliveryWindow) -> None:
        self.epoch = epoch
        self.next_seq = next_seq
        self.next_message = next_message
        self._window = window

    def accept(
        self, db: sqlite3.Connection, accepts: Sequence[Accept], *, confirmed: int, counts: Counts
    ) -> tuple[Accepted, ...]:
        """Store what is not a duplicate; `confirmed` is the mark of messages that cannot come again."""
        intake = _Intake(self, db, accepts, confirmed)
        answers = tuple(intake.answer(accept) for accept in accepts)
        intake.write()
        for (pipeline, state), number in intake.counted.items():
            counts.add(pipeline, state.value, number)
        return answers

    def find(self, intake: _Intake, accept: Accept) -> int:
        """Row of the message that `accept` redelivers; 0 where it is new."""
        if not accept.redelivered or accept.transport_key is None or accept.message is None:
            return 0
        found = self._window.find(accept.transport_key)
        if found <= intake.confirmed:
            return 0
        return found if intake.content(found) == (accept.message.topic, accept.message.payload) else 0

    def number(self, accept: Accept) -> int:
        """The row of a new message."""
        row = self.next_message
        self.next_message += 1
        if accept.transport_key is not None:
            self._window.put(accept.transport_key, row)
        return row


class _Intake:
    """One burst on its way into the tables."""

    def __init__(self, acceptor: Acceptor, db: sqlite3.Connection, accepts: Sequence[Accept], confirmed: int) -> None:
        self._acceptor = acceptor
        self._db = db
        self.confirmed = confirmed
        self.counted: dict[tuple[str, RunState], int] = {}
        self._messages: list[object] = []
        self._runs: list[object] = []
        self._identities: list[object] = []
        self._content: dict[int, tuple[str, bytes]] = {}
        keys = [run.dedup_key for accept in accepts for run in accept.runs if run.dedup_key is not None]
        self._seen = set[object]()
        if keys:
            self._seen.update(read_in(db, "SELECT json_group_array(key) FROM dedup WHERE key", keys))

    def answer(self, accept: Accept) -> Accepted:
        found = self._acceptor.find(self, accept)
        if found:
            return Accepted(message_id=found, run_ids=(), duplicates=tuple(run.run_id for run in accept.runs))
        fresh, duplicates = self._split(accept.runs)
        message_id = 0
        if accept.message is not None and (fresh or not accept.runs):
            message_id = self._acceptor.number(accept)
            self._add_message(message_id, accept, accept.message, len(fresh))
        for run in fresh:
            self._add_run(run, message_id or None)
        return Accepted(message_id=message_id, run_ids=tuple(run.run_id for run in fresh), duplicates=duplicates)

    def content(self, message_id: int) -> tuple[str, bytes] | None:
        if message_id in self._content:
            return self._content[message_id]
        row = self._db.execute("SELECT topic, payload FROM messages WHERE id = ?", (message_id,)).fetchone()
        return None if row is None else (row[0], row[1])

    def _split(self, runs: tuple[NewRun, ...]) -> tuple[tuple[NewRun, ...], tuple[str, ...]]:
        if all(run.dedup_key is None for run in runs):
            return runs, ()
        fresh, duplicates = [], []
        for run in runs:
            if run.dedup_key is None:
                fresh.append(run)
            elif run.dedup_key in self._seen:
                duplicates.append(run.run_id)
            else:
                self._seen.add(run.dedup_key)
                self._identities += (run.dedup_key, micros(run.created_at))
                fresh.append(run)
        return tuple(fresh), tuple(duplicates)

    def _add_message(self, row: int, accept: Accept, message: Message, uses: int) -> None:
        key = accept.transport_key
        if key is not None:
            self._content[row] = (message.topic, message.payload)
        self._messages += (
            row,
            message.topic,
            message.qos,
            message.retain,
            micros(message.received_at),
            None if key is None else key.session,
            None if key is None else key.packet_id,
            uses,
            properties_text(message.properties),
            message.payload,
        )

    def _add_run(self, run: NewRun, message_id: int | None) -> None:
        attempt = first_attempt(run)
        seq = self._acceptor.next_seq
        self._acceptor.next_seq = seq + 1
        self._runs += (
            seq,
            run.run_id,
            run.pipeline,
            run.cause.value,
            run.state.value,
            self._acceptor.epoch if attempt else 0,
            attempt,
            run.trigger,
            run.trigger_topic,
            run.key,
            captures_text(run.captures),
            message_id,
            micros(run.created_at),
            micros_or_none(run.due_at),
            micros_or_none(run.expires_at),
            micros_or_none(run.deadline_at),
            run.request,
        )
        counted = (run.pipeline, run.state)
        self.counted[counted] = self.counted.get(counted, 0) + 1

    def write(self) -> None:
        write_rows(self._db, _MESSAGES, 10, self._messages)
        write_rows(self._db, _RUNS, 17, self._runs)
        write_rows(self._db, "INSERT INTO dedup (key, seen_at)", 2, self._identities)
