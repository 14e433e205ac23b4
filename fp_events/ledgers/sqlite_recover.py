"""Saving from a damaged ledger what can be read. Blocks."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from fp_events.domain.errors import LedgerCorrupt, StorageError

from .sqlite_file import connect, connect_reader
from .sqlite_maintenance import USED, existing, explained, locked, make_durable, must_be_new
from .sqlite_open import migrate
from .sqlite_schema import MIGRATIONS

_TABLES = (
    "settings",
    "marks",
    "owners",
    "state",
    "schedules",
    "accepted_runs",
    "live_runs",
    "ended_runs",
    "messages",
    "outbox",
    "run_messages",
    "attempts",
    "traces",
    "dedup",
    "counters",
)
#: Tables with a number for a key, in which reading can go on behind a damaged page.
_NUMBERED = {
    "accepted_runs": "seq",
    "live_runs": "seq",
    "ended_runs": "seq",
    "messages": "id",
    "outbox": "seq",
    "dedup": "seq",
}
#: Numbers to go forward where a row cannot be read: fewer than a page holds, so that no whole page is missed.
_SKIP = 4
#: Where the highest number cannot be read either: how far to look for rows behind the last one.
_REACH = 100_000

_WITHOUT_MESSAGE = "message_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM messages WHERE id = message_id)"
_NO_RUN = "NOT EXISTS (SELECT 1 FROM accepted_runs AS a WHERE a.seq"
_NEITHER = "seq NOT IN (SELECT seq FROM live_runs) AND seq NOT IN (SELECT seq FROM ended_runs)"
_LOST = f"{_WITHOUT_MESSAGE} AND seq IN (SELECT seq FROM live_runs)"  # noqa: S608  # constants
_AGAIN = "seq, 'queued', 0, coalesce((SELECT max(number) FROM attempts WHERE run_seq = seq), 0)"
#: A run that is neither live nor ended was one or the other. It is QUEUED again: a second run is better than none.
_STATES = (
    "DELETE FROM live_runs WHERE seq IN (SELECT seq FROM ended_runs)",
    f"INSERT INTO live_runs (seq, state, epoch, attempt) SELECT {_AGAIN} FROM accepted_runs WHERE {_NEITHER}",  # noqa: S608  # constants
)
#: What was saved must agree with itself. A run without its message cannot be executed.
_MEND = (
    f"DELETE FROM accepted_runs WHERE {_LOST}",  # noqa: S608  # constants
    f"UPDATE accepted_runs SET message_id = NULL WHERE {_WITHOUT_MESSAGE}",  # noqa: S608  # constants
    f"DELETE FROM live_runs WHERE {_NO_RUN} = live_runs.seq)",  # noqa: S608  # constants
    f"DELETE FROM ended_runs WHERE {_NO_RUN} = ended_runs.seq)",  # noqa: S608  # constants
    (
        f"DELETE FROM run_messages WHERE {_NO_RUN} = run_seq)"  # noqa: S608  # constants
        " OR NOT EXISTS (SELECT 1 FROM messages WHERE id = message_id)"
    ),
    f"DELETE FROM attempts WHERE {_NO_RUN} = run_seq)",  # noqa: S608  # constants
    f"DELETE FROM traces WHERE {_NO_RUN} = run_seq)",  # noqa: S608  # constants
    f"DELETE FROM outbox WHERE {_NO_RUN} = run_seq)",  # noqa: S608  # constants
    *USED,
    "UPDATE messages SET uses = (SELECT count(*) FROM used WHERE used.message_id = messages.id)",
    "DROP TABLE used",
    "DELETE FROM counters WHERE name IN ('queued', 'running', 'waiting', 'dead_letters')",
    (
        "INSERT INTO counters SELECT pipeline, state, count(*) FROM live_runs AS l"
        " CROSS JOIN accepted_runs AS a ON a.seq = l.seq GROUP BY 1, 2"
    ),
    (
        "INSERT INTO counters SELECT pipeline, 'dead_letters', count(*) FROM ended_runs AS e"
        " CROSS JOIN accepted_runs AS a ON a.seq = e.seq WHERE e.dead_letter = 1 GROUP BY 1"
    ),
)


def recover(path: Path, target: Path) -> Mapping[str, int]:
    """Copy every row that can be read into a new ledger. Raises LedgerHeld, StorageError.

    The answer has the rows saved, by table; `queued_again`: runs whose state could not be read, and which therefore
    run again; `unfinished_without_message`: runs that were accepted, not finished, and cannot be saved;
    `messages_without_run`: messages that were saved but of which no run is left. The
    damaged file stays as it is.
    """
    must_be_new(target)
    with locked(existing(path)), explained(target):
        with closing(_readable(path)) as source, closing(connect(target)) as db:
            migrate(db, target, 0)
            db.execute("BEGIN IMMEDIATE")
            counts = {table: _copy(source, db, table) for table in _TABLES}
            counts["queued_again"] = _count(db, f"SELECT count(*) FROM accepted_runs WHERE {_NEITHER}")  # noqa: S608  # constants
            for statement in _STATES:
                db.execute(statement)
            lost = f"SELECT count(*) FROM accepted_runs WHERE {_LOST}"  # noqa: S608  # constants
            counts["unfinished_without_message"] = _count(db, lost)
            for statement in _MEND:
                db.execute(statement)
            counts["messages_without_run"] = _count(db, "SELECT count(*) FROM messages WHERE uses = 0")
            db.execute("COMMIT")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        make_durable(target)
        return counts


def _readable(path: Path) -> sqlite3.Connection:
    """A connection to what is there; an unreadable beginning cannot be helped."""
    db: sqlite3.Connection | None = None
    try:
        db = connect_reader(path, damaged=True)
        (version,) = db.execute("PRAGMA user_version").fetchone()
        db.execute("SELECT name FROM sqlite_master").fetchall()
    except (sqlite3.Error, StorageError) as error:
        if db is not None:
            db.close()
        raise LedgerCorrupt("nothing can be read from the ledger", where=str(path), mend="restore a backup") from error
    if not 0 < version <= len(MIGRATIONS):
        db.close()
        raise StorageError(f"version {version} cannot be recovered", where=str(path), mend="restore a backup")
    return db


def _copy(source: sqlite3.Connection, db: sqlite3.Connection, table: str) -> int:
    info = list(db.execute(f"PRAGMA table_info({table})"))
    columns = ",".join(row[1] for row in info)
    keys = [row[1] for row in sorted(info, key=lambda row: int(row[5])) if row[5]]
    statement = f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({','.join('?' * len(info))})"  # noqa: S608  # names are ours
    # NOT INDEXED: an index may be damaged where its table is whole.
    query = f"SELECT {columns} FROM {table} NOT INDEXED"  # noqa: S608  # names are ours
    number = _NUMBERED.get(table)
    rows = _from_both_ends(source, query, keys) if number is None else _walk(source, query, table, number)
    before = db.total_changes
    for row in rows:
        db.execute(statement, row)  # a row that a constraint refuses was damaged: IGNORE leaves it out
    return db.total_changes - before


def _walk(source: sqlite3.Connection, query: str, table: str, key: str) -> Iterator[tuple[object, ...]]:
    """Rows by number; behind a damaged page, the walk goes on with the next that can be read."""
    position = -1
    last: int | None = None
    while last is None or position <= last:
        try:
            for row in source.execute(f"{query} WHERE {key} > ? ORDER BY {key}", (position,)):
                yield tuple(row)
                position = max(position, row[key])
        except sqlite3.DatabaseError:
            last = _last(source, table, key, position) if last is None else last
            position += _SKIP
        else:
            return


def _last(source: sqlite3.Connection, table: str, key: str, position: int) -> int:
    try:
        return max(position, _count(source, f"SELECT max({key}) FROM {table}"))  # noqa: S608  # names are ours
    except sqlite3.DatabaseError:
        return position + _REACH


def _from_both_ends(source: sqlite3.Connection, query: str, keys: list[str]) -> Iterator[tuple[object, ...]]:
    """Rows before the first damaged page and behind the last one."""
    for direction in ("ASC", "DESC"):
        order = ",".join(f"{key} {direction}" for key in keys)
        try:
            for row in source.execute(f"{query} ORDER BY {order}"):
                yield tuple(row)
        except sqlite3.DatabaseError:
            continue
        return


def _count(db: sqlite3.Connection, query: str) -> int:
    return int(db.execute(query).fetchone()[0] or 0)
