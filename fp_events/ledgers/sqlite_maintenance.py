"""What an operator does to a ledger's file: check, backup, recover, vacuum. All of it blocks.

`check` and `backup` read, and may do so beside a daemon; the others change files and need the lock.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from fp_events.domain.errors import LedgerCorrupt, StorageError

from .sqlite_file import Lock, connect, connect_reader, opening_error, unusable
from .sqlite_open import check_header, check_identity, migrate
from .sqlite_schema import MIGRATIONS

#: The order of recovery: what may not be lost first.
_TABLES = (
    "settings",
    "marks",
    "owners",
    "state",
    "schedules",
    "runs",
    "messages",
    "outbox",
    "run_messages",
    "attempts",
    "dedup",
    "counters",
)

# What must hold beside SQLite's own structure: a query that counts exceptions, and what they are.
_RULES = (
    (
        "SELECT count(*) FROM runs WHERE message_id IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM messages WHERE id = message_id)",
        "runs whose message is missing",
    ),
    (
        "SELECT count(*) FROM messages AS m WHERE uses <> (SELECT count(*) FROM used WHERE used.message_id = m.id)",
        "messages with a wrong number of runs",
    ),
    (
        "SELECT count(*) FROM outbox WHERE NOT EXISTS (SELECT 1 FROM runs WHERE runs.seq = run_seq)",
        "publications whose run is missing",
    ),
    (
        "SELECT count(*) FROM attempts WHERE NOT EXISTS (SELECT 1 FROM runs WHERE runs.seq = run_seq)",
        "attempts whose run is missing",
    ),
    (
        "SELECT count(*) FROM runs WHERE (state = 'finished') <> (outcome IS NOT NULL AND finished_at IS NOT NULL)",
        "runs whose state and outcome disagree",
    ),
    (
        "SELECT count(*) FROM (SELECT pipeline, state AS name, count(*) AS number FROM runs WHERE state <> 'finished'"
        " GROUP BY pipeline, state UNION ALL SELECT pipeline, 'dead_letters', count(*) FROM runs WHERE dead_letter = 1"
        " GROUP BY pipeline) AS real WHERE number <> coalesce((SELECT value FROM counters"
        " WHERE counters.pipeline = real.pipeline AND counters.name = real.name), 0)",
        "counters that disagree with the runs",
    ),
)
_USED = (
    "CREATE TEMP TABLE used AS SELECT message_id FROM runs WHERE message_id IS NOT NULL"
    " UNION ALL SELECT message_id FROM run_messages",
    "CREATE INDEX temp.used_by_message ON used (message_id)",
)


def check(path: Path) -> list[str]:
    """Read the whole file; every finding in words, none for a sound ledger. Raises StorageError."""
    with _errors(path):
        try:
            check_header(_existing(path))
            with closing(connect_reader(path)) as db:
                check_identity(db, path)
                found = [" ".join(str(row[0]).split()) for row in db.execute("PRAGMA integrity_check(20)")]
                return _exceptions(db) if found == ["ok"] else found
        except LedgerCorrupt as error:
            return [error.what]
        except sqlite3.DatabaseError as error:
            if isinstance(damage := opening_error(path, error), LedgerCorrupt):
                return [damage.what]
            raise


def _exceptions(db: sqlite3.Connection) -> list[str]:
    db.execute("PRAGMA query_only = OFF")  # for the temporary table, which is in memory
    db.execute("BEGIN")  # one view of the data for all questions, beside a daemon that writes
    for statement in _USED:
        db.execute(statement)
    numbers = [(db.execute(query).fetchone()[0], what) for query, what in _RULES]
    db.execute("ROLLBACK")
    return [f"{number} {what}" for number, what in numbers if number]


def backup(path: Path, target: Path) -> int:
    """Copy the ledger as it is at one moment, also beside a daemon; bytes written. Raises StorageError."""
    _must_be_new(target)
    with _errors(path):
        check_header(_existing(path))
        with closing(connect_reader(path)) as db:
            check_identity(db, path)
            db.execute("PRAGMA query_only = OFF")  # else SQLite refuses to write the copy, too
            db.execute("VACUUM INTO ?", (str(target),))
    return _durable(target)


def vacuum(path: Path) -> tuple[int, int]:
    """Rewrite the file without its free space; bytes before and after. Raises LedgerHeld, StorageError."""
    with _locked(_existing(path)), _errors(path):
        check_header(path)
        before = path.stat().st_size
        with closing(connect(path)) as db:
            check_identity(db, path)
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return before, path.stat().st_size


def recover(path: Path, target: Path) -> Mapping[str, int]:
    """Copy every row that can be read into a new ledger; rows by table. Raises LedgerHeld, StorageError.

    Rows behind a damaged page are passed over; the damaged file stays as it is.
    """
    _must_be_new(target)
    with _locked(_existing(path)), _errors(target):
        with closing(_salvaged(path)) as source, closing(connect(target)) as db:
            migrate(db, target, 0)
            db.execute("BEGIN IMMEDIATE")
            counts = {table: _copy(source, db, table) for table in _TABLES}
            _mend(db)
            db.execute("COMMIT")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        _durable(target)
        return counts


def _salvaged(path: Path) -> sqlite3.Connection:
    """A connection that reads what is there; an unreadable beginning cannot be helped."""
    try:
        db = connect_reader(path)
        db.execute("PRAGMA cell_size_check = ON")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        db.execute("SELECT name FROM sqlite_master").fetchall()
    except sqlite3.Error as error:
        raise LedgerCorrupt(
            f"nothing can be read from the ledger ({error})", where=str(path), mend="restore a backup"
        ) from error
    if not 0 < version <= len(MIGRATIONS):
        db.close()
        raise StorageError(f"version {version} cannot be recovered", where=str(path), mend="restore a backup")
    return db


def _copy(source: sqlite3.Connection, db: sqlite3.Connection, table: str) -> int:
    columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    keys = [row[1] for row in sorted(db.execute(f"PRAGMA table_info({table})"), key=lambda row: row[5]) if row[5]]
    statement = f"INSERT OR IGNORE INTO {table} ({','.join(columns)}) VALUES ({','.join('?' * len(columns))})"  # noqa: S608  # names are ours
    before = db.total_changes
    # A damaged page ends the walk at it: what lies behind is reached from the other end.
    for order in ("ASC", "DESC"):
        for row in _readable(source, table, columns, [f"{key} {order}" for key in keys]):
            try:
                db.execute(statement, row)
            except sqlite3.IntegrityError:
                continue  # a column that damage has emptied
        if order == "ASC" and db.total_changes - before == _number(source, table):
            break
    return db.total_changes - before


def _number(source: sqlite3.Connection, table: str) -> int:
    try:
        return int(source.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608  # names are ours
    except sqlite3.DatabaseError:
        return -1


def _readable(
    source: sqlite3.Connection, table: str, columns: list[str], order: list[str]
) -> Iterator[tuple[object, ...]]:
    # NOT INDEXED: an index may be damaged where its table is whole.
    rows = source.execute(f"SELECT {','.join(columns)} FROM {table} NOT INDEXED ORDER BY {','.join(order)}")  # noqa: S608  # names are ours
    while True:
        try:
            row = rows.fetchone()
        except sqlite3.DatabaseError:
            return
        if row is None:
            return
        yield tuple(row)


def _mend(db: sqlite3.Connection) -> None:
    """Make what was saved agree with itself; a run without its message cannot be executed and is not kept."""
    for statement in (
        "DELETE FROM runs WHERE state <> 'finished' AND message_id IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM messages WHERE id = message_id)",
        "UPDATE runs SET message_id = NULL WHERE message_id IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM messages WHERE id = message_id)",
        "DELETE FROM run_messages WHERE NOT EXISTS (SELECT 1 FROM runs WHERE seq = run_seq)"
        " OR NOT EXISTS (SELECT 1 FROM messages WHERE id = message_id)",
        "DELETE FROM attempts WHERE NOT EXISTS (SELECT 1 FROM runs WHERE seq = run_seq)",
        "DELETE FROM outbox WHERE NOT EXISTS (SELECT 1 FROM runs WHERE seq = run_seq)",
        *_USED,
        "UPDATE messages SET uses = (SELECT count(*) FROM used WHERE used.message_id = messages.id)",
        "DROP TABLE used",
        "DELETE FROM counters WHERE name IN ('queued', 'running', 'waiting', 'dead_letters')",
        "INSERT INTO counters SELECT pipeline, state, count(*) FROM runs WHERE state <> 'finished' GROUP BY 1, 2",
        "INSERT INTO counters SELECT pipeline, 'dead_letters', count(*) FROM runs WHERE dead_letter = 1 GROUP BY 1",
    ):
        db.execute(statement)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise StorageError("there is no ledger", where=str(path), mend="give the path of its file")
    return path


def _must_be_new(target: Path) -> None:
    if target.exists():
        raise StorageError("the target exists", where=str(target), mend="give another name")
    if not target.parent.is_dir():
        raise StorageError("there is no such folder", where=str(target.parent), mend="create it first")


def _durable(target: Path) -> int:
    for place in (target, target.parent):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return target.stat().st_size


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = Lock(path)
    lock.take()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise opening_error(path, error) from error
    except OSError as error:
        raise unusable(path, error) from error
