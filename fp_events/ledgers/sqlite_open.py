"""Opening a ledger's file: is it ours, is it whole, is it of this version; then become its owner."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from fp_events.domain.errors import LedgerNewer, StorageError
from fp_events.domain.records import Opened
from fp_events.domain.run import RunState

from .rules import Counts
from .sqlite_file import corrupt, make_private, unusable
from .sqlite_rows import micros
from .sqlite_schema import APPLICATION_ID, MIGRATIONS
from .sqlite_write import write_counts

_MAGIC = b"SQLite format 3\x00"
_OWNER = "daemon"
#: As a difference, since both counts come from indexes and no row is read.
_UNSENT = "SELECT (SELECT count(*) FROM outbox) - (SELECT count(*) FROM outbox WHERE refused IS NOT NULL)"

#: Bytes. Files up to this size are read through at every open (0.2 s at the most with a warm cache); damage in
#: larger ones shows when it is touched, or by `fp-events ledger check`.
CHECKED_SIZE = 256 * 1024 * 1024


def prepare_folder(path: Path) -> None:
    """Make the folder. Raises StorageError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(path.parent, error) from error


def check_header(path: Path) -> None:
    """Compare the first bytes with what SQLite writes, before SQLite sees the file. Raises LedgerCorrupt.

    SQLite takes a file of fewer than 512 bytes for a new one, and misses the end of a file only when it gets
    there.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            header = file.read(100)
    except FileNotFoundError:
        return
    except OSError as error:
        raise unusable(path, error) from error
    if size == 0:
        return
    if len(header) < 100 or header[:16] != _MAGIC:
        raise corrupt(path, "it does not begin as a SQLite file does")
    page = int.from_bytes(header[16:18], "big")
    pages = int.from_bytes(header[28:32], "big")
    log = path.with_name(path.name + "-wal")
    # With a log, the missing pages may be there.
    whole = size >= pages * (65536 if page == 1 else page)
    if not whole and not (log.exists() and log.stat().st_size):
        raise corrupt(path, "its end is missing")


def check_identity(db: sqlite3.Connection, path: Path) -> int:
    """The file's version; 0 for a new one. Raises LedgerNewer, StorageError for a file of another program."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (tables or version):
        raise StorageError(
            "this SQLite file belongs to another program", where=str(path), mend="give the ledger a file of its own"
        )
    if version > len(MIGRATIONS):
        raise LedgerNewer(
            f"the ledger has version {version}, this program knows {len(MIGRATIONS)}",
            where=str(path),
            mend="use the newer fp-events that wrote it, or another file",
        )
    return int(version)


def check_whole(db: sqlite3.Connection, path: Path) -> None:
    """Read a file of moderate size through. Raises LedgerCorrupt."""
    if path.stat().st_size <= CHECKED_SIZE:
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise corrupt(path, " ".join(str(found).split()).removeprefix("*** in database main *** "))


def migrate(db: sqlite3.Connection, path: Path, version: int, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> None:
    """Bring the file to the newest version, each step in a transaction, after a copy of a file in use."""
    if version == 0:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # takes effect only before the first table
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    elif version < len(migrations):
        _keep_copy(db, path, version)
    (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StorageError(
            "the file system cannot hold a ledger (no write-ahead log)", where=str(path), mend="put it on a local disk"
        )
    for number, statements in enumerate(migrations[version:], start=version + 1):
        db.execute("BEGIN IMMEDIATE")
        try:
            for statement in statements:
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {number}")
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise


def _keep_copy(db: sqlite3.Connection, path: Path, version: int) -> None:
    target = path.with_name(f"{path.name}.v{version}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.backup")
    make_private(target)
    db.execute("VACUUM INTO ?", (str(target),))


def become_owner(db: sqlite3.Connection) -> Opened:
    """Take the next epoch and count the crashes of runs that were alone, in one transaction.

    The lock is held, so whoever owned the file before is gone, whatever its lease says.
    """
    now = micros(datetime.now(UTC))
    db.execute("BEGIN IMMEDIATE")
    (epoch,) = db.execute(
        "INSERT INTO owners (id, epoch, pid, opened_at) VALUES (?, 1, ?, ?) ON CONFLICT (id) DO UPDATE"
        " SET epoch = epoch + 1, pid = excluded.pid, opened_at = excluded.opened_at, lease_until = NULL"
        " RETURNING epoch",
        (_OWNER, os.getpid(), now),
    ).fetchone()
    # Unfinished runs are few beside the finished ones: no index is worth its cost at every run.
    blamed = "alone = 1 AND state = 'running' AND epoch < ?"
    db.execute(
        f"UPDATE accepted_runs SET crashes = crashes + 1 WHERE seq IN (SELECT seq FROM live_runs WHERE {blamed})",  # noqa: S608  # a constant
        (epoch,),
    )
    db.execute(f"UPDATE live_runs SET alone = 0 WHERE {blamed}", (epoch,))  # noqa: S608  # as above
    opened = Opened(
        epoch=epoch,
        settings=dict(db.execute("SELECT name, value FROM settings")),
        unfinished={
            RunState(state): number
            for state, number in db.execute("SELECT state, count(*) FROM live_runs GROUP BY state")
        },
        unsent=db.execute(_UNSENT).fetchone()[0],
    )
    db.execute("COMMIT")
    return opened


def give_back(db: sqlite3.Connection, epoch: int) -> None:
    """End the lease. What was running is QUEUED again and nobody is to blame: this is an orderly end."""
    db.execute("BEGIN IMMEDIATE")
    # Rows of an earlier owner, which this one has not claimed, stay as they were found.
    mine = "WHERE l.state = 'running' AND l.epoch = ?"
    source = "live_runs AS l CROSS JOIN accepted_runs AS a ON a.seq = l.seq"
    question = f"SELECT pipeline, count(*) FROM {source} {mine} GROUP BY pipeline"  # noqa: S608  # constants
    counts = Counts()
    for pipeline, number in db.execute(question, (epoch,)):
        counts.add(pipeline, RunState.RUNNING.value, -number)
        counts.add(pipeline, RunState.QUEUED.value, number)
    db.execute(f"UPDATE live_runs AS l SET state = 'queued', alone = 0 {mine}", (epoch,))  # noqa: S608  # a constant
    write_counts(db, counts)
    db.execute(
        "UPDATE owners SET lease_until = ? WHERE id = ? AND epoch = ?", (micros(datetime.now(UTC)), _OWNER, epoch)
    )
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
