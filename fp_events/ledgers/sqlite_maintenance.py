"""What an operator does to a ledger's file: check, backup, vacuum. All of it blocks.

`check` and `backup` read, and may do so beside a daemon; `vacuum` needs the lock.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from fp_events.domain.errors import LedgerCorrupt, StorageError

from .sqlite_file import Lock, connect, connect_reader, make_private, opening_error, unusable
from .sqlite_open import check_header, check_identity

# What must hold beside SQLite's own structure: a query that counts exceptions, and what they are.
_RULES = (
    (
        (
            "SELECT count(*) FROM accepted_runs WHERE message_id IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM messages WHERE id = message_id)"
        ),
        "runs whose message is missing",
    ),
    (
        "SELECT count(*) FROM messages AS m WHERE uses <> (SELECT count(*) FROM used WHERE used.message_id = m.id)",
        "messages with a wrong number of runs",
    ),
    (
        "SELECT count(*) FROM outbox WHERE NOT EXISTS (SELECT 1 FROM accepted_runs AS a WHERE a.seq = run_seq)",
        "publications whose run is missing",
    ),
    (
        "SELECT count(*) FROM attempts WHERE NOT EXISTS (SELECT 1 FROM accepted_runs AS a WHERE a.seq = run_seq)",
        "attempts whose run is missing",
    ),
    (
        "SELECT count(*) FROM traces WHERE NOT EXISTS (SELECT 1 FROM accepted_runs AS a WHERE a.seq = run_seq)",
        "nodes of attempts whose run is missing",
    ),
    (
        (
            "SELECT count(*) FROM (SELECT seq FROM live_runs UNION ALL SELECT seq FROM ended_runs) AS x"
            " WHERE NOT EXISTS (SELECT 1 FROM accepted_runs AS a WHERE a.seq = x.seq)"
        ),
        "states or outcomes whose run is missing",
    ),
    (
        (
            "SELECT count(*) FROM accepted_runs AS a WHERE EXISTS (SELECT 1 FROM live_runs AS l WHERE l.seq = a.seq)"
            " = EXISTS (SELECT 1 FROM ended_runs AS e WHERE e.seq = a.seq)"
        ),
        "runs whose state and outcome disagree",
    ),
    (
        (
            "SELECT count(*) FROM (SELECT pipeline, state AS name, count(*) AS number"
            " FROM live_runs AS l CROSS JOIN accepted_runs AS a ON a.seq = l.seq GROUP BY pipeline, state"
            " UNION ALL SELECT pipeline, 'dead_letters', count(*)"
            " FROM ended_runs AS e CROSS JOIN accepted_runs AS a ON a.seq = e.seq WHERE e.dead_letter = 1"
            " GROUP BY pipeline) AS real WHERE number <> coalesce((SELECT value FROM counters"
            " WHERE counters.pipeline = real.pipeline AND counters.name = real.name), 0)"
        ),
        "counters that disagree with the runs",
    ),
)
#: Statements that list, in a temporary table, which message each run uses.
USED = (
    (
        "CREATE TEMP TABLE used AS SELECT message_id FROM accepted_runs WHERE message_id IS NOT NULL"
        " UNION ALL SELECT message_id FROM run_messages"
    ),
    "CREATE INDEX temp.used_by_message ON used (message_id)",
)


def check(path: Path) -> list[str]:
    """Read the whole file; every finding in words, none for a sound ledger. Raises StorageError."""
    with explained(path):
        try:
            check_header(existing(path))
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
    for statement in USED:
        db.execute(statement)
    numbers = [(db.execute(query).fetchone()[0], what) for query, what in _RULES]
    db.execute("ROLLBACK")
    return [f"{number} {what}" for number, what in numbers if number]


def backup(path: Path, target: Path) -> int:
    """Copy the ledger as it is at one moment, also beside a daemon; bytes written. Raises StorageError."""
    must_be_new(target)
    with explained(path):
        check_header(existing(path))
        with closing(connect_reader(path)) as db:
            check_identity(db, path)
            db.execute("PRAGMA query_only = OFF")  # else SQLite refuses to write the copy, too
            make_private(target)
            db.execute("VACUUM INTO ?", (str(target),))
    return make_durable(target)


def vacuum(path: Path) -> tuple[int, int]:
    """Rewrite the file without its free space; bytes before and after. Raises LedgerHeld, StorageError."""
    with locked(existing(path)), explained(path):
        check_header(path)
        before = path.stat().st_size
        with closing(connect(path)) as db:
            check_identity(db, path)
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return before, path.stat().st_size


def existing(path: Path) -> Path:
    """The same path. Raises StorageError where there is no file."""
    if not path.is_file():
        mend = "`fp-events serve` makes it; or correct ledger.url"
        raise StorageError("there is no ledger", where=str(path), mend=mend)
    return path


def must_be_new(target: Path) -> None:
    """Raises StorageError where a copy cannot go."""
    if target.exists():
        raise StorageError("the target exists", where=str(target), mend="give another name")
    if not target.parent.is_dir():
        raise StorageError("there is no such folder", where=str(target.parent), mend="create it first")


def make_durable(target: Path) -> int:
    """Wait until a new file is on the disk; its bytes."""
    for place in (target, target.parent):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return target.stat().st_size


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a ledger. Raises LedgerHeld."""
    lock = Lock(path)
    lock.take()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Errors of SQLite and of the system, as StorageError."""
    try:
        yield
    except sqlite3.Error as error:
        raise opening_error(path, error) from error
    except OSError as error:
        raise unusable(path, error) from error
