"""Group commit: on the writer's thread, what waits becomes one transaction."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from fp_events.domain.errors import LedgerFailed, StorageError
from fp_events.domain.records import Batch, Committed

from .sqlite_file import commit_error, passes, primary_code
from .sqlite_threads import Answer
from .sqlite_write import BatchWriter

T = TypeVar("T")

#: Waiting batches in one transaction.
_MOST_BATCHES = 64
#: Seconds between attempts while the disk is full or the file is locked: the first, and the longest.
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0


class Committer:
    """Commits batches in the order in which they were added. All but `add` and `stop` belong to the writer's thread."""

    def __init__(self, db: sqlite3.Connection, writer: BatchWriter, path: Path) -> None:
        self._db = db
        self._writer = writer
        self._path = path
        self._waiting: deque[tuple[Batch, Answer[Committed]]] = deque()
        #: Told, after each transaction, of about how many rows it was.
        self.wrote: Callable[[int], None] = lambda _: None
        status = path.stat()
        self._file = (status.st_dev, status.st_ino)
        self._stopping = threading.Event()
        self._failure: StorageError | None = None
        #: Why commits are waiting; empty when they are not.
        self.problem = ""

    def add(self, batch: Batch, answer: Answer[Committed]) -> None:
        """Any thread: let a batch wait for the next transaction."""
        self._waiting.append((batch, answer))

    def stop(self) -> None:
        """Any thread: no more attempts where one failed; what waits for the disk gets an error."""
        self._stopping.set()

    def fail(self, error: sqlite3.Error) -> None:
        """Writer's thread: the disk has failed beside a transaction; no other may follow."""
        self._failure = commit_error(self._path, error)

    def drain(self) -> None:
        """Commit everything that waits."""
        while self._waiting:
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_BATCHES))]
            try:
                results = self._keep_trying(batch for batch, _ in group)
            except StorageError as error:
                _fail(group, error)
            except BaseException as error:  # noqa: BLE001  # one batch is wrong: the others must not pay for it
                if len(group) == 1:
                    _fail(group, error)
                else:
                    self._one_by_one(group)
            else:
                for (_, answer), committed in zip(group, results, strict=True):
                    answer.give(committed)

    def _one_by_one(self, group: list[tuple[Batch, Answer[Committed]]]) -> None:
        for batch, answer in group:
            try:
                (committed,) = self._keep_trying([batch])
            except BaseException as error:  # noqa: BLE001  # goes to the caller of this batch
                answer.fail(error)
            else:
                answer.give(committed)

    def _keep_trying(self, batches: Iterable[Batch]) -> list[Committed]:
        todo = list(batches)
        pause = _FIRST_PAUSE
        while True:
            try:
                results = self.transaction(lambda: [self._writer.apply(batch) for batch in todo])
            except sqlite3.Error as error:
                if not passes(error):
                    raise
                self.problem = _problem(self._path, error)
            else:
                self.problem = ""
                self.wrote(sum([len(b.accepts) * 4 + len(b.finishes) * 5 + len(b.sent) for b in todo]))
                return results
            if self._stopping.wait(pause):
                raise StorageError("the ledger was closed before this could be stored", where=str(self._path))
            pause = min(2 * pause, _LONGEST_PAUSE)

    def transaction(self, work: Callable[[], T]) -> T:
        """Do `work` in one transaction. Raises LedgerFailed, LedgerCorrupt: and from then on always the same."""
        if self._failure is not None:
            raise self._failure
        try:
            self._db.execute("BEGIN IMMEDIATE")
            result = work()
            self._db.execute("COMMIT")
            self._must_be_there()
        except BaseException as error:
            self._roll_back()
            if isinstance(error, sqlite3.Error) and not passes(error):
                self._failure = commit_error(self._path, error)
                if self._failure is not None:
                    raise self._failure from error
            raise
        self._writer.committed()
        return result

    def _must_be_there(self) -> None:
        """What is written to a file that was deleted is lost with the process, though SQLite writes on."""
        try:
            found = self._path.stat()
        except OSError:
            found = None
        if found is None or (found.st_dev, found.st_ino) != self._file:
            self._failure = LedgerFailed(
                "the ledger was deleted or replaced while it was open",
                where=str(self._path),
                mend="put it back if you can, then start again",
            )
            raise self._failure

    def _roll_back(self) -> None:
        self._writer.rolled_back()
        if self._db.in_transaction:
            try:
                self._db.execute("ROLLBACK")
            except sqlite3.Error as error:
                # A transaction that can neither be ended nor undone: nothing more can be promised.
                self._failure = LedgerFailed(
                    f"a transaction could not be undone ({error})", where=str(self._path), mend="start again"
                )


def _problem(path: Path, error: sqlite3.Error) -> str:
    if primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"{path}: another program has locked the ledger; close it, and work goes on"
    return f"{path}: the disk is full; free some space, and work goes on"


def _fail(group: list[tuple[Batch, Answer[Committed]]], error: BaseException) -> None:
    for _, answer in group:
        answer.fail(error)
