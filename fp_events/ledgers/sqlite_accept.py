"""The rows of messages and runs that are accepted."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from fp_events.domain.records import Accept, Accepted, NewRun
from fp_events.domain.run import Cause

from .intake import Intake
from .rules import Counts, Facts, RedeliveryWindow, first_attempt
from .sqlite_known import Known
from .sqlite_rows import captures_text, micros, micros_or_none, properties_text
from .sqlite_statements import insert, read_in, write_rows

_MESSAGES = insert("messages", "id topic qos retain received_at session packet_id uses properties payload")
_RUNS = insert(
    "accepted_runs",
    "seq run_id pipeline cause trigger_index trigger_topic key message_id created_at expires_at deadline_at captures"
    " request",
)
_LIVE = insert("live_runs", "seq state epoch attempt due_at")
# Each parameter costs 50 to 100 ns. Most bursts have only such messages and runs:
_PLAIN_MESSAGES = insert("messages", "id topic qos received_at session packet_id payload", retain="0", uses="1")
_PLAIN_RUNS = insert(
    "accepted_runs",
    "seq run_id pipeline trigger_index trigger_topic key message_id created_at captures",
    cause=f"'{Cause.MESSAGE.value}'",
)
_RUNNING = (
    "INSERT INTO live_runs (seq, state, epoch, attempt) SELECT seq, 'running', ?, 1 FROM accepted_runs WHERE seq >= ?"
)
_IDENTITIES = insert("dedup", "key seen_at")


class Acceptor:
    """Gives rows their numbers and writes them."""

    def __init__(self, *, epoch: int, next_seq: int, next_message: int, window: RedeliveryWindow, known: Known) -> None:
        self._epoch = epoch
        self._window = window
        self._known = known
        self.next_seq = next_seq
        self.next_message = next_message

    def accept(
        self, db: sqlite3.Connection, accepts: Sequence[Accept], *, confirmed: int, counts: Counts
    ) -> tuple[Accepted, ...]:
        """Store what is not a duplicate; `confirmed` is the mark of messages that cannot come again.

        Raises ValueError where a run's id is already stored.
        """
        if not accepts:
            return ()
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
            self._write_runs(db, intake.runs, counts)
        except sqlite3.IntegrityError as error:
            raise ValueError(f"a run is already stored ({error})") from error
        identities = [value for run in intake.identified for value in (run.dedup_key, micros(run.created_at))]
        write_rows(db, _IDENTITIES, 2, identities)
        return answers

    def _write_runs(self, db: sqlite3.Connection, runs: Sequence[tuple[NewRun, int]], counts: Counts) -> None:
        first = seq = self.next_seq
        self.next_seq += len(runs)
        remember = self._known.remember
        plain = running = True
        for run, message_id in runs:
            attempt = first_attempt(run)
            facts = Facts(seq, run.pipeline, run.state, self._epoch if attempt else 0, attempt)
            counts.enter(facts)
            remember(run.run_id, facts)
            seq += 1
            running = running and attempt == 1 and run.due_at is None
            plain = plain and message_id > 0 and run.cause is Cause.MESSAGE and _endless(run)
        if plain:
            write_rows(db, _PLAIN_RUNS, 9, _plain_runs(runs, first))
        else:
            write_rows(db, _RUNS, 13, _all_runs(runs, first))
        if running and runs:
            # The rows just written are the last ones of the table.
            db.execute(_RUNNING, (self._epoch, first))
        else:
            write_rows(db, _LIVE, 5, self._live(runs, first))

    def _live(self, runs: Sequence[tuple[NewRun, int]], first: int) -> list[object]:
        values: list[object] = []
        for seq, (run, _) in enumerate(runs, first):
            attempt = first_attempt(run)
            values += (seq, run.state.value, self._epoch if attempt else 0, attempt, micros_or_none(run.due_at))
        return values


def _endless(run: NewRun) -> bool:
    return run.expires_at is None and run.deadline_at is None and run.request is None


def _plain_runs(runs: Sequence[tuple[NewRun, int]], seq: int) -> list[object]:
    values: list[object] = []
    for run, message_id in runs:
        values += (
            seq,
            run.run_id,
            run.pipeline,
            run.trigger,
            run.trigger_topic,
            run.key,
            message_id,
            micros(run.created_at),
            captures_text(run.captures),
        )
        seq += 1
    return values


def _all_runs(runs: Sequence[tuple[NewRun, int]], first: int) -> list[object]:
    values: list[object] = []
    for seq, (run, message_id) in enumerate(runs, first):
        values += (
            seq,
            run.run_id,
            run.pipeline,
            run.cause.value,
            run.trigger,
            run.trigger_topic,
            run.key,
            message_id or None,
            micros(run.created_at),
            micros_or_none(run.expires_at),
            micros_or_none(run.deadline_at),
            captures_text(run.captures),
            run.request,
        )
    return values


def _write_messages(db: sqlite3.Connection, intake: Intake) -> None:
    plain: list[object] = []
    whole: list[object] = []
    for row, accept, message, uses in intake.messages:
        key = accept.transport_key
        session, packet_id = (None, None) if key is None else (key.session, key.packet_id)
        received_at = micros(message.received_at)
        properties = properties_text(message.properties)
        if properties is None and uses == 1 and not message.retain:
            plain += (row, message.topic, message.qos, received_at, session, packet_id, message.payload)
        else:
            whole += (row, message.topic, message.qos, message.retain, received_at, session, packet_id, uses)
            whole += (properties, message.payload)
    write_rows(db, _PLAIN_MESSAGES, 7, plain)
    write_rows(db, _MESSAGES, 10, whole)


def _content(db: sqlite3.Connection, message_id: int) -> tuple[str, bytes] | None:
    row = db.execute("SELECT topic, payload FROM messages WHERE id = ?", (message_id,)).fetchone()
    return None if row is None else (row[0], row[1])
