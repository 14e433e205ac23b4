"""A batch as one transaction's statements."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime

from fp_events.domain.records import Batch, Committed, TransportKey

from .rules import Counts, RedeliveryWindow
from .sqlite_accept import Acceptor
from .sqlite_changes import Changer, read_facts
from .sqlite_known import Known
from .sqlite_rows import micros
from .sqlite_schedules import write_schedules
from .sqlite_statements import insert, write_in, write_rows

_REFUSED = "UPDATE outbox SET refused = v.column2 FROM"
_NOT_ALONE = "UPDATE live_runs SET alone = 0 WHERE seq IN (SELECT seq FROM accepted_runs WHERE run_id"
#: Of (name, value): a mark never goes back.
RAISE_MARK = (
    "INSERT INTO marks (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)"
)
_SETTINGS = insert("settings", "name value", "INSERT OR REPLACE")
_COUNTERS = insert("counters", "pipeline name value")
_ADD = "WHERE column1 IS NOT NULL ON CONFLICT (pipeline, name) DO UPDATE SET value = value + excluded.value"

#: Newest messages looked through for redeliveries at an open: as many as there are packet ids.
_WINDOW = 65536


class BatchWriter:
    """Applies batches within transactions that its caller begins and ends."""

    def __init__(self, db: sqlite3.Connection, epoch: int) -> None:
        self._db = db
        self.epoch = epoch
        self._window = RedeliveryWindow()
        self._known = Known(epoch)
        marks = dict(db.execute("SELECT name, value FROM marks"))
        self._confirmed: int = marks.get("confirmed", 0)
        self._mark = self._confirmed
        self._acceptor = Acceptor(
            epoch=epoch,
            next_seq=_next(db, "SELECT max(seq) FROM accepted_runs", marks.get("seq", 0)),
            next_message=_next(db, "SELECT max(id) FROM messages", max(marks.get("message", 0), self._confirmed)),
            window=self._window,
            known=self._known,
        )
        # Numbers of publications that were sent may be used again by the next owner.
        self._next_outbox = _next(db, "SELECT max(seq) FROM outbox", 0)
        self._load_window()

    def _load_window(self) -> None:
        """Messages that the broker may still deliver again, oldest first."""
        newest = "SELECT id, session, packet_id FROM messages WHERE id > ? ORDER BY id DESC LIMIT ?"
        rows = self._db.execute(newest, (self._confirmed, _WINDOW)).fetchall()
        for row, session, packet_id in reversed(rows):
            if packet_id is not None:
                self._window.put(TransportKey(session, packet_id), row)
        self._window.commit()

    def apply(self, batch: Batch) -> Committed:
        """Execute the statements of `batch`; what they did lasts once `committed` is called."""
        db = self._db
        self._known.check(db)
        counts = Counts()
        accepted = self._acceptor.accept(db, batch.accepts, confirmed=self._mark, counts=counts)
        changer = Changer(
            read_facts(db, batch, self._known),
            known=self._known,
            epoch=self.epoch,
            next_outbox=self._next_outbox,
            counts=counts,
        )
        changer.decide(batch)
        self._next_outbox = changer.next_outbox
        now = micros(datetime.now(UTC))
        for write in batch.states:
            changer.write_state(write, "", now)
        changer.write(db)
        if batch.sent:
            write_in(db, "DELETE FROM outbox WHERE event_id", batch.sent)
        if batch.refused:
            refused = [value for item in batch.refused for value in (item.event_id, item.reason)]
            write_rows(db, _REFUSED, 2, refused, "AS v WHERE outbox.event_id = v.column1")
        if batch.resend:
            write_in(db, "UPDATE outbox SET refused = NULL WHERE event_id", batch.resend)
        if batch.no_longer_alone:
            write_in(db, _NOT_ALONE, batch.no_longer_alone, ")")
        if batch.settings:
            _write_settings(db, batch.settings)
        if batch.schedules or batch.fired:
            write_schedules(db, batch.schedules, batch.fired)
        # A mark above the last row would hide redeliveries of messages to come.
        mark = min(batch.confirmed_message_id or 0, self._acceptor.next_message - 1)
        if mark > self._mark:
            self._mark = mark
            db.execute(RAISE_MARK, ("confirmed", mark))
        write_counts(db, counts)
        return Committed(accepted=accepted, stale=frozenset(changer.stale))

    def keep_numbers(self) -> None:
        """Write down which numbers of runs and messages were used, before rows that show it are deleted."""
        for name, following in (("seq", self._acceptor.next_seq), ("message", self._acceptor.next_message)):
            self._db.execute(RAISE_MARK, (name, following - 1))

    def read_mark(self) -> None:
        """The confirmed mark was lifted by this transaction."""
        found = self._db.execute("SELECT value FROM marks WHERE name = 'confirmed'").fetchone()
        self._mark = found[0] if found else 0

    def committed(self) -> None:
        """The transaction is durable."""
        self._window.commit()
        self._confirmed = self._mark

    def rolled_back(self) -> None:
        """The transaction left nothing."""
        self._window.rollback()
        self._known.clear()
        self._mark = self._confirmed


def write_counts(db: sqlite3.Connection, counts: Counts) -> None:
    """Add the differences to the counters."""
    changes: list[object] = []
    for change in counts:
        changes += change
    write_rows(db, _COUNTERS, 3, changes, _ADD)


def _write_settings(db: sqlite3.Connection, settings: Mapping[str, bytes | None]) -> None:
    gone = [name for name, value in settings.items() if value is None]
    if gone:
        write_in(db, "DELETE FROM settings WHERE name", gone)
    values = [item for name, value in settings.items() if value is not None for item in (name, value)]
    write_rows(db, _SETTINGS, 2, values)


def _next(db: sqlite3.Connection, query: str, used: int) -> int:
    (highest,) = db.execute(query).fetchone()
    return max(highest or 0, used) + 1
