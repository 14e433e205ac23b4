"""The rows of messages and runs that are accepted."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from fp_events.domain.records import Accept, Accepted, NewRun
from fp_events.domain.run import Cause, RunState

from .intake import Intake
from .rules import Counts, Facts, RedeliveryWindow, first_attempt
from .sqlite_known import MOST, Known
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
        first = self.next_seq
        self.next_seq += len(runs)
        if self._remember(runs, first, counts):
            # The rows just written are the last ones of the table.
            _write_facts(db, runs, first)
            db.execute(_RUNNING, (self._epoch, first))
        else:
            _write_facts(db, runs, first)
            write_rows(db, _LIVE, 5, self._live(runs, first))

    def _remember(self, runs: Sequence[tuple[NewRun, int]], first: int, counts: Counts) -> bool:
        """Count the runs and remember them; whether all are RUNNING, and there is one."""
        known, running = self._known, self._known.running
        started: dict[str, int] = {}
        number = 0
        for seq, (run, _) in enumerate(runs, first):
            pipeline = run.pipeline
            if run.state is RunState.RUNNING and run.due_at is None:
                started[pipeline] = started.get(pipeline, 0) + 1
                number += 1
                if len(running) < MOST:
                    running[run.run_id] = (seq, pipeline)
            else:
                attempt = first_attempt(run)
                facts = Facts(seq, pipeline, run.state, self._epoch if attempt else 0, attempt)
                counts.enter(facts)
                known.remember(run.run_id, facts)
        for pipeline, more in started.items():
            counts.add(pipeline, RunState.RUNNING.value, more)
        return 0 < number == len(runs)

    def _live(self, runs: Sequence[tuple[NewRun, int]], first: int) -> list[object]:
        values: list[object] = []
        for seq, (run, _) in enumerate(runs, first):
            attempt = first_attempt(run)
            values += (seq, run.state.value, self._epoch if attempt else 0, attempt, micros_or_none(run.due_at))
        return values


def _write_facts(db: sqlite3.Connection, runs: Sequence[tuple[NewRun, int]], first: int) -> None:
    plain: list[object] = []
    whole: list[object] = []
    message = Cause.MESSAGE
    for seq, (run, message_id) in enumerate(runs, first):
        created_at = micros(run.created_at)
        captures = captures_text(run.captures) if run.captures else None
        if (
            message_id
            and run.cause is message
            and run.expires_at is None
            and run.deadline_at is None
            and run.request is None
        ):
            plain += (seq, run.run_id, run.pipeline, run.trigger, run.trigger_topic, run.key, message_id)
            plain += (created_at, captures)
        else:
            whole += (seq, run.run_id, run.pipeline, run.cause.value, run.trigger, run.trigger_topic, run.key)
            whole += (message_id or None, created_at, micros_or_none(run.expires_at), micros_or_none(run.deadline_at))
            whole += (captures, run.request)
    write_rows(db, _PLAIN_RUNS, 9, plain)
    write_rows(db, _RUNS, 13, whole)


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
