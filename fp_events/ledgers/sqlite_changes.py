"""Changing runs: claims, waits, finishes, reopened ones.

What each run is now is remembered, or read once per batch; the rules decide in Python; the rows are written by
number.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from fp_events.domain.message import Publication
from fp_events.domain.records import AttemptFacts, Batch, Claim, Finish, Reopen, StateWrite, Wait
from fp_events.domain.run import Outcome, RunState

from .rules import Counts, Facts, may_claim, may_finish, may_reopen
from .rules import holds as may_wait
from .sqlite_known import Known
from .sqlite_rows import failure_text, micros, micros_or_none, properties_text
from .sqlite_schema import ALL_RUNS
from .sqlite_statements import insert, read_in, write_in, write_rows

_ROW = (
    "json_group_array(json_array(a.run_id, a.seq, a.pipeline, coalesce(l.state, 'finished'),"
    " coalesce(l.epoch, e.epoch), coalesce(l.attempt, e.attempt), e.outcome, coalesce(e.dead_letter, 0)))"
)
_FACTS = f"SELECT {_ROW} FROM {ALL_RUNS} WHERE a.run_id"  # noqa: S608  # constants
_CLAIMS = "UPDATE live_runs SET state='running', due_at=NULL, epoch=v.column2, attempt=v.column3, alone=v.column4 FROM"
_WAITS = "UPDATE live_runs SET state='waiting', due_at=v.column2, version=v.column3 FROM"
_BY_SEQ = "AS v WHERE live_runs.seq = v.column1"
_NOT_LIVE = "DELETE FROM live_runs WHERE seq"
_ENDS = insert(
    "ended_runs",
    "seq outcome dead_letter epoch attempt started_at finished_at duration version outbox_from outbox_to outputs",
)
# Each parameter costs 50 to 100 ns. Most bursts have only such ends:
_SUCCESSES = insert(
    "ended_runs",
    "seq epoch attempt started_at finished_at duration version outbox_from outbox_to outputs",
    outcome=f"'{Outcome.SUCCEEDED.value}'",
    dead_letter="0",
)
# Executed in this order. Unsent publications of the end that is undone still hold the run.
_REOPENED = (
    (
        "INSERT INTO live_runs (seq, state, epoch, attempt, version)"
        " SELECT seq, 'queued', epoch, attempt, version FROM ended_runs WHERE seq"
    ),
    (
        "UPDATE accepted_runs SET attempt_base = e.attempt, crashes = 0, expires_at = NULL, deadline_at = NULL,"
        " outbox_from = min(coalesce(accepted_runs.outbox_from, e.outbox_from),"
        " coalesce(e.outbox_from, accepted_runs.outbox_from)),"
        " outbox_to = max(coalesce(accepted_runs.outbox_to, e.outbox_to),"
        " coalesce(e.outbox_to, accepted_runs.outbox_to))"
        " FROM ended_runs AS e WHERE e.seq = accepted_runs.seq AND accepted_runs.seq"
    ),
    "DELETE FROM ended_runs WHERE seq",
)
_ATTEMPTS = insert("attempts", "run_seq number ended version started_at duration failure", "INSERT OR REPLACE")
_TRACES = insert("traces", "run_seq number nodes", "INSERT OR REPLACE")
_PUBLICATION = "seq event_id run_seq topic qos retain created_at properties payload"
_OUTBOX = insert("outbox", _PUBLICATION)
_OUTBOX_AGAIN = insert("outbox", _PUBLICATION, "INSERT OR REPLACE")
_STATES = insert("state", "pipeline key run_id updated_at value", "INSERT OR REPLACE")


def read_facts(db: sqlite3.Connection, batch: Batch, known: Known) -> dict[str, Facts]:
    """What each run that the batch wants to change is now, by run id, as far as that is not known."""
    groups: tuple[tuple[Claim | Wait | Finish | Reopen, ...], ...]
    groups = (batch.claims, batch.waits, batch.finishes, batch.reopened)
    wanted = [change.run_id for group in groups for change in group if change.run_id not in known]
    found: dict[str, Facts] = {}
    rows = read_in(db, _FACTS, wanted) if wanted else ()
    for run_id, seq, pipeline, state, epoch, attempt, outcome, dead_letter in rows:
        found[str(run_id)] = Facts(
            seq=seq,  # type: ignore[arg-type]  # JSON of integer columns
            pipeline=str(pipeline),
            state=RunState(state),
            epoch=epoch,  # type: ignore[arg-type]  # as above
            attempt=attempt,  # type: ignore[arg-type]  # as above
            outcome=None if outcome is None else Outcome(outcome),
            dead_letter=bool(dead_letter),
        )
    return found


def _plain(finish: Finish) -> bool:
    return (
        finish.outcome is Outcome.SUCCEEDED
        and not finish.dead_letter
        and finish.facts is None
        and finish.state is None
        and finish.nodes is None
    )


class Changer:
    """The changes of one batch, decided one by one and written together."""

    def __init__(self, facts: dict[str, Facts], *, known: Known, epoch: int, next_outbox: int, counts: Counts) -> None:
        self._facts = facts
        self._known = known
        self._epoch = epoch
        self._counts = counts
        self.next_outbox = next_outbox
        self.stale: set[str] = set()
        #: (pipeline, key) -> value, run id, microseconds: the last write of a key counts.
        self.states: dict[tuple[str, str], tuple[bytes | None, str, int]] = {}
        self._claims: dict[int, tuple[object, ...]] = {}
        self._waits: list[object] = []
        self._ended: list[int] = []
        self._successes: list[object] = []
        #: By pipeline, as far as they were RUNNING and are not counted yet.
        self._succeeded: dict[str, int] = {}
        self._ends: list[object] = []
        self._reopened: list[object] = []
        self._attempts: list[object] = []
        self._traces: list[object] = []
        self._outbox: list[object] = []

    def decide(self, batch: Batch) -> None:
        """Sort the batch's changes into rows and stale ones."""
        for claim in batch.claims:
            self._claim(claim)
        for wait in batch.waits:
            self._wait(wait)
        self._finish_all(batch.finishes)
        for reopen in batch.reopened:
            self._reopen(reopen)

    def _find(self, run_id: str) -> Facts | None:
        return self._known.find(run_id) or self._facts.get(run_id)

    def _claim(self, claim: Claim) -> None:
        facts = self._find(claim.run_id)
        if facts is None or not may_claim(facts, claim, self._epoch):
            self.stale.add(claim.run_id)
            return
        self._counts.leave(facts)
        facts.state, facts.epoch, facts.attempt = RunState.RUNNING, self._epoch, claim.attempt
        self._counts.enter(facts)
        self._claims[facts.seq] = (facts.seq, self._epoch, claim.attempt, claim.alone)
        self._known.remember(claim.run_id, facts)

    def _wait(self, wait: Wait) -> None:
        facts = self._find(wait.run_id)
        if facts is None or not may_wait(facts, wait, self._epoch):
            self.stale.add(wait.run_id)
            return
        self._counts.leave(facts)
        facts.state = RunState.WAITING
        self._counts.enter(facts)
        self._waits += (facts.seq, micros(wait.due_at), wait.facts.version)
        self._add_attempt(facts.seq, wait.attempt, wait.facts)

    def _finish_all(self, finishes: Sequence[Finish]) -> None:
        """As `_finish` for each; without its detours where a run succeeds at its first attempt."""
        running, succeeded = self._known.running, self._succeeded
        ended, successes = self._ended, self._successes
        for finish in finishes:
            accepted = running.get(finish.run_id)
            if accepted is None or finish.attempt != 1 or not _plain(finish):
                self._finish(finish)
                continue
            del running[finish.run_id]
            seq, pipeline = accepted
            succeeded[pipeline] = succeeded.get(pipeline, 0) + 1
            finished_at = micros(finish.finished_at)
            first, last = self._add_publications(seq, finish.publications, finished_at)
            ended.append(seq)
            successes += (seq, self._epoch, 1, micros_or_none(finish.started_at), finished_at, finish.duration)
            successes += (finish.version, first, last, finish.values)

    def _finish(self, finish: Finish) -> None:
        facts = self._find(finish.run_id)
        if facts is None or not may_finish(facts, finish, self._epoch):
            self.stale.add(finish.run_id)
            return
        self._counts.leave(facts)
        facts.state, facts.outcome, facts.dead_letter = RunState.FINISHED, finish.outcome, finish.dead_letter
        self._counts.enter(facts)
        # The same batch may open it again.
        self._known.forget(finish.run_id)
        self._facts[finish.run_id] = facts
        finished_at = micros(finish.finished_at)
        first, last = self._add_publications(facts.seq, finish.publications, finished_at)
        started_at = micros_or_none(finish.started_at)
        self._ended.append(facts.seq)
        if finish.outcome is Outcome.SUCCEEDED and not finish.dead_letter:
            ends = self._successes
            ends += (facts.seq, facts.epoch, facts.attempt, started_at, finished_at, finish.duration)
        else:
            ends = self._ends
            ends += (facts.seq, finish.outcome.value, finish.dead_letter)
            ends += (facts.epoch, facts.attempt, started_at, finished_at, finish.duration)
        ends += (finish.version, first, last, finish.values)
        if finish.facts is not None:
            self._add_attempt(facts.seq, finish.attempt, finish.facts)
        if finish.nodes is not None:
            self._traces += (facts.seq, finish.attempt, finish.nodes)
        if finish.state is not None:
            self.write_state(finish.state, finish.run_id, finished_at)

    def _reopen(self, reopen: Reopen) -> None:
        facts = self._find(reopen.run_id)
        if facts is None or not may_reopen(facts):
            self.stale.add(reopen.run_id)
            return
        self._counts.leave(facts)
        facts.state, facts.outcome, facts.dead_letter = RunState.QUEUED, None, False
        self._counts.enter(facts)
        self._reopened.append(facts.seq)

    def write_state(self, write: StateWrite, run_id: str, at: int) -> None:
        """Remember a key's new value."""
        self.states[write.pipeline, write.key] = (write.value, run_id, at)

    def _add_attempt(self, seq: int, number: int, facts: AttemptFacts) -> None:
        started_at = micros(facts.started_at)
        failure = failure_text(facts.failure)
        self._attempts += (seq, number, facts.ended, facts.version, started_at, facts.duration, failure)
        if facts.nodes is not None:
            self._traces += (seq, number, facts.nodes)

    def _add_publications(
        self, seq: int, publications: tuple[Publication, ...], created_at: int
    ) -> tuple[int | None, int | None]:
        if not publications:
            return None, None
        first = row = self.next_outbox
        for item in publications:
            self._outbox += (row, item.event_id, seq, item.topic, item.qos, item.retain, created_at)
            self._outbox += (properties_text(item.properties), item.payload)
            row += 1
        self.next_outbox = row
        return first, row - 1

    def write(self, db: sqlite3.Connection) -> None:
        """Write the rows of what was not stale."""
        for pipeline, number in self._succeeded.items():
            self._counts.add(pipeline, RunState.RUNNING.value, -number)
            self._counts.add(pipeline, Outcome.SUCCEEDED.value, number)
        claims = [value for row in self._claims.values() for value in row]
        write_rows(db, _CLAIMS, 4, claims, _BY_SEQ)
        write_rows(db, _WAITS, 3, self._waits, _BY_SEQ)
        write_in(db, _NOT_LIVE, self._ended)
        write_rows(db, _SUCCESSES, 10, self._successes)
        write_rows(db, _ENDS, 12, self._ends)
        for statement in _REOPENED:
            write_in(db, statement, self._reopened)
        write_rows(db, _ATTEMPTS, 7, self._attempts)
        write_rows(db, _TRACES, 3, self._traces)
        self._write_outbox(db)
        self._write_states(db)

    def _write_outbox(self, db: sqlite3.Connection) -> None:
        try:
            write_rows(db, _OUTBOX, 9, self._outbox)
        except sqlite3.IntegrityError:
            # An id that is there already: what was written first gives way.
            write_rows(db, _OUTBOX_AGAIN, 9, self._outbox)

    def _write_states(self, db: sqlite3.Connection) -> None:
        kept: list[object] = []
        for (pipeline, key), (value, run_id, at) in self.states.items():
            if value is None:
                # One by one: SQLite reads the whole table for `(pipeline, key) IN (VALUES …)`.
                db.execute("DELETE FROM state WHERE pipeline = ? AND key = ?", (pipeline, key))
            else:
                kept += (pipeline, key, run_id, at, value)
        write_rows(db, _STATES, 5, kept)
