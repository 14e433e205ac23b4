"""The rows of messages and runs that are accepted."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from fp_events.domain.records import Accept, Accepted

from .intake import Intake
from .rules import Counts, RedeliveryWindow, first_attempt
from .sqlite_rows import captures_text, micros, micros_or_none, properties_text
from .sqlite_statements import read_in, write_rows

_MESSAGES = "INSERT INTO messages (id, topic, qos, retain, received_at, session, packet_id, uses, properties, payload)"
_RUNS = (
    "INSERT INTO runs (seq, run_id, pipeline, cause, state, epoch, attempt, trigger_index, trigger_topic, key,"
    " captures, message_id, created_at, due_at, expires_at, deadline_at, request)"
)


class Acceptor:
    """Gives rows their numbers and writes them."""

    def __init__(self, *, epoch: int, next_seq: int, next_message: int, window: RedeliveryWindow) -> None:
        self._epoch = epoch
        self._window = window
        self.next_seq = next_seq
        self.next_message = next_message

    def accept(
        self, db: sqlite3.Connection, accepts: Sequence[Accept], *, confirmed: int, counts: Counts
    ) -> tuple[Accepted, ...]:
        """Store what is not a duplicate; `confirmed` is the mark of messages that cannot come again.

        Raises ValueError where a run's id is already stored.
        """
        keys = [run.dedup_key for accept in accepts for run in accept.runs if run.dedup_key is not None]
        seen = read_in(db, "SELECT json_group_array(key) FROM dedup WHERE key", keys) if keys else ()
        intake = Intake(
            seen={str(key) for key in seen},
            window=self._window,
            confirmed=confirmed,
            content=lambda row: _content(db, row),
            next_message=self.next_message,
        )
        answers = tuple([intake.answer(accept) for accept in accepts])
        self.next_message = intake.next_message
        _write_messages(db, intake)
        try:
            self._write_runs(db, intake, counts)
        except sqlite3.IntegrityError as error:
            raise ValueError(f"a run is already stored ({error})") from error
        identities = [value for run in intake.identified for value in (run.dedup_key, micros(run.created_at))]
        write_rows(db, "INSERT INTO dedup (key, seen_at)", 2, identities)
        return answers

    def _write_runs(self, db: sqlite3.Connection, intake: Intake, counts: Counts) -> None:
        values: list[object] = []
        seq = self.next_seq
        self.next_seq += len(intake.runs)
        for run, message_id in intake.runs:
            attempt = first_attempt(run)
            state = run.state.value
            counts.add(run.pipeline, state)
            values += (
                seq,
                run.run_id,
                run.pipeline,
                run.cause.value,
                state,
                self._epoch if attempt else 0,
                attempt,
                run.trigger,
                run.trigger_topic,
                run.key,
                captures_text(run.captures),
                message_id or None,
                micros(run.created_at),
                micros_or_none(run.due_at),
                micros_or_none(run.expires_at),
                micros_or_none(run.deadline_at),
                run.request,
            )
            seq += 1
        write_rows(db, _RUNS, 17, values)


def _write_messages(db: sqlite3.Connection, intake: Intake) -> None:
    values: list[object] = []
    for row, accept, message, uses in intake.messages:
        key = accept.transport_key
        values += (
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
    write_rows(db, _MESSAGES, 10, values)


def _content(db: sqlite3.Connection, message_id: int) -> tuple[str, bytes] | None:
    row = db.execute("SELECT topic, payload FROM messages WHERE id = ?", (message_id,)).fetchone()
    return None if row is None else (row[0], row[1])
