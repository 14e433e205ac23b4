"""Deleting what is no longer kept, in transactions of a few milliseconds, so that commits go on in between."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .rules import Counts
from .sqlite_statements import read_in, write_in, write_rows
from .sqlite_write import RAISE_MARK, write_counts

# Free pages (4 KiB) that are left for new rows, as a number and as a part of what is used, since giving a page back
# and growing by it again costs more than keeping it; and how many go back to the file system at a time.
_SPARE_PAGES = 2048
_SPARE_PART = 16
_VACUUM_PAGES = 128


class Pace:
    """How much to delete in one transaction: what takes a few milliseconds on this machine, at this time."""

    __slots__ = ("rows",)

    #: Seconds of a transaction below which the next one is larger, and above which it is smaller.
    SHORT = 0.004
    LONG = 0.010
    FEWEST = 50
    MOST = 4000

    def __init__(self) -> None:
        #: Runs, messages, publications or identities.
        self.rows = 250

    def took(self, seconds: float) -> None:
        """The last transaction took so long."""
        if seconds > self.LONG:
            self.rows = max(self.FEWEST, self.rows // 2)
        elif seconds < self.SHORT:
            self.rows = min(self.MOST, self.rows * 2)


#: A row that the run wrote, `a` before it was opened again, `e` since.
_IN_OUTBOX = (
    "SELECT o.seq FROM outbox AS o WHERE o.seq BETWEEN {0}.outbox_from AND {0}.outbox_to AND o.run_seq = {0}.seq"
)
_UNSENT = f"EXISTS ({_IN_OUTBOX.format('e')}) OR EXISTS ({_IN_OUTBOX.format('a')})"
_DELETE_OUTBOX = tuple(
    f"DELETE FROM outbox WHERE seq IN (SELECT o.seq FROM {table} AS r CROSS JOIN outbox AS o"  # noqa: S608  # constants
    " ON o.seq BETWEEN r.outbox_from AND r.outbox_to AND o.run_seq = r.seq WHERE r.seq"
    for table in ("ended_runs", "accepted_runs")
)


@dataclass(frozen=True, slots=True)
class Step:
    """How far a walk over finished runs has come."""

    deleted: int
    #: Whether there may be more.
    more: bool
    #: Where the next step begins.
    finished_at: int
    seq: int


#: Before the oldest.
BEGINNING = Step(0, True, -(2**62), 0)


def prune_runs(db: sqlite3.Connection, *, most: int, dead_letters: bool, before: int, after: Step) -> Step:
    """Delete, of the next `most` that finished before `before`, oldest first, those without rows in the outbox.

    Refused publications hold their run for as long as they are kept themselves.
    """
    kind = "e.dead_letter = 1" if dead_letters else "e.dead_letter = 0"
    rows = db.execute(
        f"SELECT e.seq, e.finished_at, {_UNSENT} FROM ended_runs AS e CROSS JOIN accepted_runs AS a ON a.seq = e.seq"  # noqa: S608  # constants
        f" WHERE {kind} AND e.finished_at < ? AND e.finished_at >= ? AND (e.finished_at > ? OR e.seq > ?)"
        " ORDER BY e.finished_at, e.seq LIMIT ?",
        (before, after.finished_at, after.finished_at, after.seq, most),
    ).fetchall()
    if not rows:
        return Step(0, False, after.finished_at, after.seq)
    gone = [seq for seq, _, unsent in rows if not unsent]
    delete_runs(db, gone)
    last_seq, last_finished_at, _ = rows[-1]
    return Step(len(gone), len(rows) == most, last_finished_at, last_seq)


def purge_runs(db: sqlite3.Connection, run_ids: Sequence[str]) -> int:
    """Delete those of `run_ids` that are finished, with their publications, sent or not."""
    question = (
        "SELECT json_group_array(a.seq) FROM accepted_runs AS a CROSS JOIN ended_runs AS e ON e.seq = a.seq"
        " WHERE a.run_id"
    )
    seqs = list(read_in(db, question, run_ids)) if run_ids else []
    for statement in _DELETE_OUTBOX:
        write_in(db, statement, seqs, ")")
    delete_runs(db, seqs)
    return len(seqs)


def delete_runs(db: sqlite3.Connection, seqs: Sequence[object]) -> None:
    """Delete finished runs with their attempts, and the messages that no other run uses."""
    if not seqs:
        return
    counts = Counts()
    uses: dict[object, int] = {}
    question = (
        "SELECT json_group_array(json_array(a.pipeline, e.dead_letter, a.message_id))"
        " FROM ended_runs AS e CROSS JOIN accepted_runs AS a ON a.seq = e.seq WHERE e.seq"
    )
    for pipeline, dead_letter, message_id in read_in(db, question, seqs):
        if dead_letter:
            counts.add(str(pipeline), "dead_letters", -1)
        if message_id is not None:
            uses[message_id] = uses.get(message_id, 0) + 1
    for message_id in read_in(db, "SELECT json_group_array(message_id) FROM run_messages WHERE run_seq", seqs):
        uses[message_id] = uses.get(message_id, 0) + 1
    write_in(db, "DELETE FROM attempts WHERE run_seq", seqs)
    write_in(db, "DELETE FROM traces WHERE run_seq", seqs)
    write_in(db, "DELETE FROM run_messages WHERE run_seq", seqs)
    write_in(db, "DELETE FROM ended_runs WHERE seq", seqs)
    write_in(db, "DELETE FROM accepted_runs WHERE seq", seqs)
    _release_messages(db, uses)
    write_counts(db, counts)


def _release_messages(db: sqlite3.Connection, uses: Mapping[object, int]) -> None:
    """Count down the messages that other runs use as well, and delete the others."""
    question = "SELECT json_group_array(json_array(id, uses)) FROM messages WHERE uses > 1 AND id"
    left: dict[Any, int] = {row: number - uses[row] for row, number in read_in(db, question, list(uses))}  # type: ignore[operator]  # JSON of integer columns
    shared = {row: number for row, number in left.items() if number > 0}
    changes = [value for change in shared.items() for value in change]
    write_rows(db, "UPDATE messages SET uses = v.column2 FROM", 2, changes, "AS v WHERE id = v.column1")
    _delete_messages(db, [row for row in uses if row not in shared])


def prune_messages(db: sqlite3.Connection, *, most: int, before: int) -> int:
    """Delete at most so many messages that were stored without a run; how many there were."""
    unused = "SELECT id FROM messages WHERE uses = 0 AND received_at < ? ORDER BY received_at LIMIT ?"
    gone = [row for (row,) in db.execute(unused, (before, most))]
    _delete_messages(db, gone)
    return len(gone)


def _delete_messages(db: sqlite3.Connection, ids: Sequence[Any]) -> None:
    """Delete messages, and lift the confirmed mark to the newest of them.

    Else an older message of the same packet id would stand in for a deleted one when a redelivery is looked up,
    and a reading could be lost as a duplicate of another.
    """
    if ids:
        write_in(db, "DELETE FROM messages WHERE id", ids)
        db.execute(RAISE_MARK, ("confirmed", max(ids)))


def prune_refused(db: sqlite3.Connection, *, most: int, before: int) -> int:
    """Delete at most so many publications that the broker refused long ago; how many there were."""
    return db.execute(
        "DELETE FROM outbox WHERE seq IN"
        " (SELECT seq FROM outbox WHERE refused IS NOT NULL AND created_at < ? ORDER BY seq LIMIT ?)",
        (before, most),
    ).rowcount


def prune_identities(db: sqlite3.Connection, *, most: int, before: int, kept: int) -> int:
    """Delete at most so many of the oldest identities, as far as they are too old or more than `kept`; how many.

    They go in the order in which they came, so their numbers have no gaps and tell how many there are.
    """
    first, last = db.execute("SELECT (SELECT min(seq) FROM dedup), (SELECT max(seq) FROM dedup)").fetchone()
    if first is None:
        return 0
    rows = db.execute("SELECT seq, seen_at FROM dedup ORDER BY seq LIMIT ?", (most,)).fetchall()
    gone = first - 1
    for seq, seen_at in rows:
        if seen_at >= before and last - seq < kept:
            break
        gone = seq
    return db.execute("DELETE FROM dedup WHERE seq <= ?", (gone,)).rowcount


def used_bytes(db: sqlite3.Connection) -> int:
    """Size of the file without its free pages."""
    pages, free = _pages(db)
    (size,) = db.execute("PRAGMA page_size").fetchone()
    return int((pages - free) * size)


def shrink(db: sqlite3.Connection) -> bool:
    """Give a step of the free pages back to the file system; whether there was one."""
    pages, free = _pages(db)
    spare = max(_SPARE_PAGES, (pages - free) // _SPARE_PART)
    for _ in range(min(_VACUUM_PAGES, free - spare)):
        # One by one: Python's module stops at the first page, since the rows of this pragma have no columns.
        db.execute("PRAGMA incremental_vacuum(1)")
    return free > spare


def _pages(db: sqlite3.Connection) -> tuple[int, int]:
    """How many the file has, and how many of them are free."""
    (pages,), (free,) = (db.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "freelist_count"))
    return pages, free
