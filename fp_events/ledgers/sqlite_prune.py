"""Deleting what is no longer kept, in transactions of a few hundred rows, so that commits go on in between."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .rules import Counts
from .sqlite_statements import read_in, write_in, write_rows
from .sqlite_write import RAISE_MARK, write_counts

#: Runs, messages or identities in one transaction.
STEP = 500
# Free pages (4 KiB) that are left for new rows, and how many go back to the file system at a time.
_SPARE_PAGES = 2048
_VACUUM_PAGES = 256

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


def prune_runs(db: sqlite3.Connection, *, dead_letters: bool, before: int, after: Step) -> Step:
    """Delete runs that finished before `before`, oldest first; what has rows in the outbox stays.

    Refused publications hold their run for as long as they are kept themselves.
    """
    kind = "e.dead_letter = 1" if dead_letters else "e.dead_letter = 0"
    rows = db.execute(
        f"SELECT e.seq, e.finished_at, {_UNSENT} FROM ended_runs AS e CROSS JOIN accepted_runs AS a ON a.seq = e.seq"  # noqa: S608  # constants
        f" WHERE {kind} AND e.finished_at < ? AND e.finished_at >= ? AND (e.finished_at > ? OR e.seq > ?)"
        " ORDER BY e.finished_at, e.seq LIMIT ?",
        (before, after.finished_at, after.finished_at, after.seq, STEP),
    ).fetchall()
    if not rows:
        return Step(0, False, after.finished_at, after.seq)
    gone = [seq for seq, _, unsent in rows if not unsent]
    delete_runs(db, gone)
    last_seq, last_finished_at, _ = rows[-1]
    return Step(len(gone), len(rows) == STEP, last_finished_at, last_seq)


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
    write_in(db, "DELETE FROM run_messages WHERE run_seq", seqs)
    write_in(db, "DELETE FROM ended_runs WHERE seq", seqs)
    write_in(db, "DELETE FROM accepted_runs WHERE seq", seqs)
    changes = [value for change in uses.items() for value in change]
    write_rows(db, "UPDATE messages SET uses = uses - v.column2 FROM", 2, changes, "AS v WHERE id = v.column1")
    _delete_messages(
        db, list(read_in(db, "SELECT json_group_array(id) FROM messages WHERE uses = 0 AND id", list(uses)))
    )
    write_counts(db, counts)


def prune_messages(db: sqlite3.Connection, before: int) -> int:
    """Delete a step of the messages that were stored without a run; how many there were."""
    unused = "SELECT id FROM messages WHERE uses = 0 AND received_at < ? ORDER BY received_at LIMIT ?"
    gone = [row for (row,) in db.execute(unused, (before, STEP))]
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


def prune_refused(db: sqlite3.Connection, before: int) -> int:
    """Delete a step of the publications that the broker refused long ago; how many there were."""
    return db.execute(
        "DELETE FROM outbox WHERE seq IN"
        " (SELECT seq FROM outbox WHERE refused IS NOT NULL AND created_at < ? ORDER BY seq LIMIT ?)",
        (before, STEP),
    ).rowcount


def prune_identities(db: sqlite3.Connection, before: int, most: int) -> int:
    """Delete a step of the oldest identities, as far as they are too old or too many; how many there were.

    They go in the order in which they came, so their numbers have no gaps and tell how many there are.
    """
    first, last = db.execute("SELECT (SELECT min(seq) FROM dedup), (SELECT max(seq) FROM dedup)").fetchone()
    if first is None:
        return 0
    rows = db.execute("SELECT seq, seen_at FROM dedup ORDER BY seq LIMIT ?", (STEP,)).fetchall()
    gone = first - 1
    for seq, seen_at in rows:
        if seen_at >= before and last - seq < most:
            break
        gone = seq
    return db.execute("DELETE FROM dedup WHERE seq <= ?", (gone,)).rowcount


def used_bytes(db: sqlite3.Connection) -> int:
    """Size of the file without its free pages."""
    (pages,), (free,), (size,) = (
        db.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def shrink(db: sqlite3.Connection) -> bool:
    """Give a step of the free pages back to the file system; whether there was one."""
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    if free <= _SPARE_PAGES:
        return False
    db.execute(f"PRAGMA incremental_vacuum({min(_VACUUM_PAGES, free - _SPARE_PAGES)})").fetchall()
    return True
