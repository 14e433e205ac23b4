"""Changing runs: claims, waits, finishes, reopened ones.

What each run is now is read once per batch; the rules decide in Python; the rows are written by number.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from fp_events.domain.message import Publication
from fp_events.domain.records import AttemptFacts, Batch, Claim, Finish, Reopen, StateWrite, Wait
from fp_events.domain.run import Outcome, RunState

from .rules import Counts, Facts, may_claim, may_finish, may_reopen
from .rules import holds as may_wait
from .sqlite_rows import failure_text, micros, micros_or_none, properties_text
from .sqlite_statements import read_in, write_in, write_rows

_FACTS = (
    "SELECT json_group_array(json_array(run_id, seq, pipeline, state, epoch, attempt, outcome, dead_letter))"
    " FROM runs WHERE run_id"
)
_CLAIMS = "UPDATE runs SET state='running', due_at=NULL, epoch=v.column2, attempt=v.column3, alone=v.column4 FROM ("
_WAITS = "UPDATE runs SET state='waiting', due_at=v.column2, version=v.column3 FROM ("
_FINISHES = (
    "UPDATE runs SET state='finished', outcome=v.column2, dead_letter=v.column3, started_at=v.column4,"
    " finished_at=v.column5, duration=v.column6, version=v.column7, outputs=v.column8,"
    " outbox_from=min(coalesce(outbox_from, v.column9), coalesce(v.column9, outbox_from)),"
    " outbox_to=max(coalesce(outbox_to, v.column10), coalesce(v.column10, outbox_to)) FROM ("
)
_BY_SEQ = ") AS v WHERE runs.seq = v.column1"
_REOPENED = (
    "UPDATE runs SET state='queued', outcome=NULL, dead_letter=0, attempt_base=attempt, crashes=0, alone=0,"
    " due_at=NULL, expires_at=NULL, deadline_at=NULL, started_at=NULL, finished_at=NULL, duration=0.0, outputs=NULL"
    " WHERE seq"
)
_ATTEMPTS = "INSERT OR REPLACE INTO attempts (run_seq, number, ended, version, started_at, duration, failure)"
_OUTBOX = "INSERT OR REPLACE INTO outbox (seq, event_id, run_seq, topic, qos, retain, created_at, properties, payload)"


def read_facts(db: sqlite3.Connection, batch: Batch) -> dict[str, Facts]:
    """What each run that the batch wants to change is now, by run id."""
    groups: tuple[tuple[Claim | Wait | Finish | Reopen, ...], ...]
    groups = (batch.claims, batch.waits, batch.finishes, batch.reopened)
    wanted = [change.run_id for group in groups for change in group]
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


class Changer:
    """The changes of one batch, decided one by one and written together."""

    def __init__(self, facts: Mapping[str, Facts], *, epoch: int, next_outbox: int, counts: Counts) -> None:
        self._facts = facts
        self._epoch = epoch
        self._counts = counts
        self.next_outbox = next_outbox
        self.stale: set[str] = set()
        #: (pipeline, key) -> value, run id, microseconds: the last write of a key counts.
        self.states: dict[tuple[str, str], tuple[bytes | None, str, int]] = {}
        self._claims: list[object] = []
        self._waits: list[object] = []
        self._finishes: list[object] = []
        self._reopened: list[object] = []
        self._attempts: list[object] = []
        self._outbox: list[object] = []

    def decide(self, batch: Batch) -> None:
        """Sort the batch's changes into rows and stale ones."""
        for claim in batch.claims:
            self._claim(claim)
        for wait in batch.waits:
            self._wait(wait)
        for finish in batch.finishes:
            self._finish(finish)
        for reopen in batch.reopened:
            self._reopen(reopen)

    def _claim(self, claim: Claim) -> None:
        facts = self._facts.get(claim.run_id)
        if facts is None or not may_claim(facts, claim, self._epoch):
            self.stale.add(claim.run_id)
            return
        self._counts.leave(facts)
        facts.state, facts.epoch, facts.attempt = RunState.RUNNING, self._epoch, claim.attempt
        self._counts.enter(facts)
        self._claims += (facts.seq, self._epoch, claim.attempt, claim.alone)

    def _wait(self, wait: Wait) -> None:
        facts = self._facts.get(wait.run_id)
        if facts is None or not may_wait(facts, wait, self._epoch):
            self.stale.add(wait.run_id)
            return
        self._counts.leave(facts)
        facts.state = RunState.WAITING
        self._counts.enter(facts)
        self._waits += (facts.seq, micros(wait.due_at), wait.facts.version)
        self._add_attempt(facts.seq, wait.attempt, wait.facts)

    def _finish(self, finish: Finish) -> None:
        facts = self._facts.get(finish.run_id)
        if facts is None or not may_finish(facts, finish, self._epoch):
            self.stale.add(finish.run_id)
            return
        self._counts.leave(facts)
        facts.state, facts.outcome, facts.dead_letter = RunState.FINISHED, finish.outcome, finish.dead_letter
        self._counts.enter(facts)
        finished_at = micros(finish.finished_at)
        first, last = self._add_publications(facts.seq, finish.publications, finished_at)
        self._finishes += (
            facts.seq,
            finish.outcome.value,
            finish.dead_letter,
            micros_or_none(finish.started_at),
            finished_at,
            finish.duration,
            finish.version,
            finish.values,
            first,
            last,
        )
        if finish.facts is not None:
            self._add_attempt(facts.seq, finish.attempt, finish.facts)
        if finish.state is not None:
            self.write_state(finish.state, finish.run_id, finished_at)

    def _reopen(self, reopen: Reopen) -> None:
        facts = self._facts.get(reopen.run_id)
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
        write_rows(db, _CLAIMS, 4, self._claims, _BY_SEQ)
        write_rows(db, _WAITS, 3, self._waits, _BY_SEQ)
        write_rows(db, _FINISHES, 10, self._finishes, _BY_SEQ)
        write_in(db, _REOPENED, self._reopened)
        write_rows(db, _ATTEMPTS, 7, self._attempts)
        write_rows(db, _OUTBOX, 9, self._outbox)
        self._write_states(db)

    def _write_states(self, db: sqlite3.Connection) -> None:
        kept: list[object] = []
        for (pipeline, key), (value, run_id, at) in self.states.items():
            if value is None:
                # One by one: SQLite reads the whole table for `(pipeline, key) IN (VALUES …)`.
                db.execute("DELETE FROM state WHERE pipeline = ? AND key = ?", (pipeline, key))
            else:
                kept += (pipeline, key, run_id, at, value)
        write_rows(db, "INSERT OR REPLACE INTO state (pipeline, key, run_id, updated_at, value)", 5, kept)
