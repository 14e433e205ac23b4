"""The ledger's file: its lock, its connections, and what its errors mean."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import Literal

from fp_events.domain.errors import LedgerCorrupt, LedgerFailed, LedgerHeld, StorageError

#: Seconds SQLite waits for another program's lock before it says so.
BUSY_TIMEOUT = 5.0
# Pages of 4 KiB in the write-ahead log at which a commit copies them into the file, where `sqlite_checkpoint`
# has not done it before: 64 MiB.
_CHECKPOINT_PAGES = 16_000
# Of each connection; with 8 MiB neither a burst nor a backlog of 100,000 runs costs less.
_CACHE_KIB = 4 * 1024
_PRAGMAS = (
    # No memory map: a read error would be a signal that ends the process, not an error.
    "PRAGMA mmap_size = 0",
    f"PRAGMA cache_size = -{_CACHE_KIB}",
    "PRAGMA temp_store = MEMORY",
)

#: Errors that pass: the commit is tried again. With a full disk the index of the log cannot grow either.
PASSING = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_DISK = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})


class Lock:
    """The right to change a ledger: an advisory lock on a file beside it, which ends with the process.

    The file stays when the lock is given back: deleting it would let two processes lock two files of one name.
    """

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._path = ledger.with_name(ledger.name + ".lock")
        self._file = -1

    def take(self) -> None:
        """Raises LedgerHeld at once where another process has it, StorageError where there can be no lock."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise unusable(self._path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            held = LedgerHeld(str(self._ledger), _pid(os.pread(descriptor, 32, 0)))
            os.close(descriptor)
            raise held from error
        except OSError as error:
            os.close(descriptor)
            raise unusable(self._path, error) from error
        os.ftruncate(descriptor, 0)
        # A full disk must not keep the daemon from starting: the pid is only there for people.
        try:
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            os.ftruncate(descriptor, 0)
        self._file = descriptor

    def release(self) -> None:
        """Give it back; nothing to do where it is not held."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _pid(text: bytes) -> int | None:
    return int(text) if text.strip().isdigit() else None


def make_private(path: Path) -> None:
    """Make the file, empty and for its owner alone, where it is missing: it will hold payloads.

    SQLite would let everybody read it; the files beside it (``-wal``, ``-shm``) take after it. Raises StorageError.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise unusable(path, error) from error


def connect(path: Path, *, synchronous: Literal["full", "normal"] = "full") -> sqlite3.Connection:
    """The connection that writes and copies the log into the file. The file may be missing."""
    make_private(path)
    return _connect(
        path,
        f"{path.absolute().as_uri()}?mode=rwc",
        f"PRAGMA synchronous = {'FULL' if synchronous == 'full' else 'NORMAL'}",
        f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}",
        # Some builds overwrite what is deleted: each sent publication would be written once more.
        "PRAGMA secure_delete = OFF",
    )


def connect_checkpointer(path: Path) -> sqlite3.Connection:
    """A connection that copies the log into the file and does nothing else. Raises StorageError."""
    return _connect(
        path,
        f"{path.absolute().as_uri()}?mode=rw",
        "PRAGMA synchronous = FULL",
        "PRAGMA wal_autocheckpoint = 0",
    )


def connect_reader(path: Path, *, damaged: bool = False) -> sqlite3.Connection:
    """A connection that changes nothing and never copies the log; `damaged`: it also reads a file cut short."""
    db = _connect(
        path,
        f"{path.absolute().as_uri()}?mode=rw",
        # SQLite's word for "read on, whatever is missing".
        *(["PRAGMA writable_schema = ON"] if damaged else []),
        "PRAGMA query_only = ON",
        "PRAGMA wal_autocheckpoint = 0",
    )
    db.row_factory = sqlite3.Row
    return db


def _connect(path: Path, uri: str, *pragmas: str) -> sqlite3.Connection:
    try:
        # The thread that opens a connection is the only one that uses it, but for closing.
        db = sqlite3.connect(
            uri, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None, cached_statements=512, check_same_thread=False
        )
        try:
            for pragma in (*pragmas, *_PRAGMAS):
                db.execute(pragma)
        except BaseException:
            db.close()
            raise
    except sqlite3.Error as error:
        raise opening_error(path, error) from error
    return db


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's result code without its extension; 0 for errors of Python's module."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def passes(error: sqlite3.Error) -> bool:
    """Whether trying again can help: a full disk or a lock."""
    return getattr(error, "sqlite_errorcode", 0) in PASSING or primary_code(error) in PASSING


def commit_error(path: Path, error: sqlite3.Error) -> StorageError | None:
    """What ends the ledger: a failing disk or damage. None where only this batch is wrong."""
    code = primary_code(error)
    if code in _DAMAGE:
        return corrupt(path, str(error))
    if code in _DISK:
        name = getattr(error, "sqlite_errorname", "")
        return LedgerFailed(
            f"the disk failed under the ledger ({error}, {name})",
            where=str(path),
            mend="look at the disk and the system's log, then start again; what was acknowledged is in the ledger",
        )
    return None


def opening_error(path: Path, error: sqlite3.Error) -> StorageError:
    """What an error of SQLite means before the ledger is open."""
    code = primary_code(error)
    if code in _DAMAGE:
        return corrupt(path, str(error))
    if code == sqlite3.SQLITE_READONLY:
        return StorageError("the ledger is read-only", where=str(path), mend="make the file and its folder writable")
    if code in PASSING:
        mend = "free some space" if code == sqlite3.SQLITE_FULL else "close the program that has the file open"
        return StorageError(f"the ledger cannot be opened ({error})", where=str(path), mend=mend)
    return StorageError(
        f"the ledger cannot be opened ({error})", where=str(path), mend="check that file and folder can be written"
    )


def unusable(path: Path, error: OSError) -> StorageError:
    """A file or folder that the system refuses."""
    mend = "set another ledger.url"
    if isinstance(error, FileExistsError | NotADirectoryError):
        return StorageError("a file is where a folder is needed", where=str(path), mend=mend)
    if isinstance(error, IsADirectoryError):
        return StorageError("a folder is where the ledger's file is needed", where=str(path), mend=mend)
    return StorageError(f"cannot be used: {error.strerror}", where=str(path), mend=f"make it writable, or {mend}")


def corrupt(path: Path, what: str) -> LedgerCorrupt:
    """Damage, with the way out."""
    return LedgerCorrupt(
        f"the ledger is damaged ({what})",
        where=str(path),
        mend="save what can be read with `fp-events ledger recover`; the file itself is left as it is",
    )
