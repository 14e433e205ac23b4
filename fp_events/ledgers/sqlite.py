"""The ledger in a SQLite file.

One connection writes, on one thread; what waits for it becomes one transaction. Two more threads read: one for
what the running daemon asks (state, unfinished runs, unsent publications), one for people's listings, which may
take long. A commit returns after the write-ahead log is on the disk (`synchronous=full`); with `normal` a power
cut, but not a crash of the process, may lose the last commits.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from fp_events.domain.errors import StorageError
from fp_events.domain.records import (
    Batch,
    Committed,
    Opened,
    RetentionPolicy,
    RunQuery,
    StoredPublication,
    StoredRun,
    StoredState,
)
from fp_events.domain.schedule import StoredSchedule

from . import sqlite_prune as pruning
from . import sqlite_read as reading
from .sqlite_checkpoint import Checkpointer
from .sqlite_commit import Committer
from .sqlite_file import Lock, commit_error, connect, connect_reader, opening_error
from .sqlite_log import check_log
from .sqlite_open import become_owner, check_header, check_identity, check_whole, give_back, migrate, prepare_folder
from .sqlite_rows import micros
from .sqlite_schedules import read_schedules
from .sqlite_threads import Answer, Worker
from .sqlite_write import BatchWriter

T = TypeVar("T")

_EVER = 2**62
_SECOND = 1_000_000


class SqliteLedger:
    """`Ledger` in the file `path`, which is made with its folder where it is missing."""

    def __init__(self, path: Path, *, synchronous: Literal["full", "normal"] = "full") -> None:
        self.path = path
        self._synchronous = synchronous
        self._lock = Lock(path)
        self._opened: _Open | None = None

    async def open(self) -> Opened:
        """As Ledger.open. Files up to 256 MiB are read through first."""
        worker = Worker("ledger-writer")
        try:
            db, opened, writer = await worker.call(self._open)
        except BaseException:
            worker.stop()
            raise
        self._opened = _Open(self.path, worker, db, writer)
        return opened

    def _open(self) -> tuple[sqlite3.Connection, Opened, BatchWriter]:
        prepare_folder(self.path)
        self._lock.take()
        try:
            check_header(self.path)
            if self._synchronous == "full":
                # With `normal` a power cut may leave a hole in the log that is no damage: SQLite stops there.
                check_log(self.path)
            return self._become_owner()
        except sqlite3.Error as error:
            self._lock.release()
            raise opening_error(self.path, error) from error
        except BaseException:
            self._lock.release()
            raise

    def _become_owner(self) -> tuple[sqlite3.Connection, Opened, BatchWriter]:
        db = connect(self.path, synchronous=self._synchronous)
        try:
            version = check_identity(db, self.path)
            if version:
                check_whole(db, self.path)
            migrate(db, self.path, version)
            opened = become_owner(db)
            return db, opened, BatchWriter(db, opened.epoch)
        except BaseException:
            db.close()
            raise

    async def commit(self, batch: Batch) -> Committed:
        """As Ledger.commit. May be called again before an earlier call has returned."""
        now = self._now
        answer: Answer[Committed] = Answer()
        now.committer.add(batch, answer)
        now.writer.post(now.committer.drain)
        return await answer

    @property
    def problem(self) -> str:
        """As Ledger.problem."""
        return "" if self._opened is None else self._opened.committer.problem

    async def unfinished(self, *, after_seq: int, limit: int, max_bytes: int | None = None) -> Sequence[StoredRun]:
        """As Ledger.unfinished."""
        question = partial(reading.read_unfinished, after_seq=after_seq, limit=limit, max_bytes=max_bytes)
        return await self._now.live.ask(question)

    async def unsent(self, *, after_seq: int, limit: int, max_bytes: int | None = None) -> Sequence[StoredPublication]:
        """As Ledger.unsent."""
        question = partial(reading.read_unsent, after_seq=after_seq, limit=limit, max_bytes=max_bytes)
        return await self._now.live.ask(question)

    async def states(self, keys: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], bytes]:
        """As Ledger.states."""
        return await self._now.live.ask(partial(reading.read_states, keys=list(keys)))

    async def publications(self, run_id: str) -> Sequence[StoredPublication]:
        """As Ledger.publications."""
        return await self._now.listings.ask(partial(reading.read_publications, run_id=run_id))

    async def refused(self, *, limit: int) -> Sequence[StoredPublication]:
        """As Ledger.refused."""
        return await self._now.listings.ask(partial(reading.read_refused, limit=limit))

    async def list_states(self, pipeline: str | None, *, limit: int, after: str = "") -> Sequence[StoredState]:
        """As Ledger.list_states."""
        question = partial(reading.list_states, pipeline=pipeline, limit=limit, after=after)
        return await self._now.listings.ask(question)

    async def schedules(self) -> Sequence[StoredSchedule]:
        """As Ledger.schedules."""
        return await self._now.live.ask(read_schedules)

    async def runs(self, query: RunQuery) -> Sequence[StoredRun]:
        """As Ledger.runs."""
        return await self._now.listings.ask(partial(reading.read_runs, query=query))

    async def run(self, run_id: str) -> StoredRun | None:
        """As Ledger.run. Raises UsageError where several ids begin with `run_id`."""
        return await self._now.listings.ask(partial(reading.read_run, run_id=run_id))

    async def counts(self) -> Mapping[str, Mapping[str, int]]:
        """As Ledger.counts."""
        return await self._now.listings.ask(reading.read_counts)

    async def purge(self, run_ids: Sequence[str]) -> int:
        """As Ledger.purge."""
        gone = 0
        wanted = list(dict.fromkeys(run_ids))
        pace = pruning.Pace()
        while wanted:
            chunk, wanted = wanted[: pace.rows], wanted[pace.rows :]
            gone += await self._now.delete(partial(pruning.purge_runs, run_ids=chunk), pace)
        return gone

    async def prune(self, policy: RetentionPolicy, now: datetime) -> int:
        """As Ledger.prune. Where age leaves too much, the oldest finished runs go, dead letters last."""
        current = self._now

        def before(age: float) -> int:
            return micros(now) - int(age * _SECOND)

        gone = await current.delete_runs(dead_letters=False, before=before(policy.runs_age))
        gone += await current.delete_runs(dead_letters=True, before=before(policy.dead_letters_age))
        for dead_letters in (False, True):
            gone += await current.delete_runs(dead_letters=dead_letters, before=_EVER, most_bytes=policy.max_bytes)
        for delete in (
            partial(pruning.prune_messages, before=before(policy.runs_age)),
            partial(pruning.prune_refused, before=before(policy.dead_letters_age)),
            partial(pruning.prune_identities, before=before(policy.dedup_age), kept=policy.dedup_count),
        ):
            pace = pruning.Pace()
            while await current.delete(partial(delete, most=pace.rows), pace):
                pass
        while await current.write(pruning.shrink):
            pass
        return gone

    async def close(self) -> None:
        """As Ledger.close. Commits that wait for the disk fail; nothing to do where it is not open."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close()
            self._lock.release()

    @property
    def _now(self) -> _Open:
        if self._opened is None:
            raise StorageError("the ledger is not open", where=str(self.path))
        return self._opened


class _Open:
    """What exists while the ledger is open."""

    def __init__(self, path: Path, writer: Worker, db: sqlite3.Connection, batches: BatchWriter) -> None:
        self._path = path
        self._db = db
        self._batches = batches
        self.writer = writer
        self.committer = Committer(db, batches, path)
        self._checkpointer = Checkpointer(path, db, writer.post, self.committer.fail)
        self.committer.wrote = self._checkpointer.committed
        self.live = _Reader(path, "ledger-reader")
        self.listings = _Reader(path, "ledger-listings")

    async def delete(self, work: Callable[[sqlite3.Connection], T], pace: pruning.Pace) -> T:
        """Rows go in a transaction of their own, between commits; `pace` learns what it took. Raises StorageError."""

        def step(db: sqlite3.Connection) -> T:
            self._batches.keep_numbers()
            result = work(db)
            self._batches.read_mark()
            return result

        return await self.write(step, pace)

    async def write(self, work: Callable[[sqlite3.Connection], T], pace: pruning.Pace | None = None) -> T:
        """A transaction between commits, tried once. Raises StorageError."""

        def execute() -> T:
            started = time.monotonic()
            try:
                return self.committer.transaction(lambda: work(self._db))
            except sqlite3.Error as error:
                raise opening_error(self._path, error) from error
            finally:
                if pace is not None:
                    pace.took(time.monotonic() - started)

        return await self.writer.call(execute)

    async def delete_runs(self, *, dead_letters: bool, before: int, most_bytes: int | None = None) -> int:
        """Walk over finished runs, oldest first; with `most_bytes` only while the file is larger."""
        gone = 0
        step, pace = pruning.BEGINNING, pruning.Pace()
        while step.more:
            if most_bytes is not None and await self.writer.call(partial(pruning.used_bytes, self._db)) <= most_bytes:
                break
            walk = partial(pruning.prune_runs, most=pace.rows, dead_letters=dead_letters, before=before, after=step)
            step = await self.delete(walk, pace)
            gone += step.deleted
        return gone

    async def close(self) -> None:
        """End the lease and the threads."""
        self.committer.stop()
        for reader in (self.live, self.listings):
            await reader.close()
        await self._checkpointer.close()
        await self.writer.call(self._give_back)
        self.writer.stop()

    def _give_back(self) -> None:
        try:
            give_back(self._db, self._batches.epoch)
        except sqlite3.Error:
            # Full or failing disk: what is committed is in the log, and the next owner needs no lease to end.
            if self._db.in_transaction:
                self._db.rollback()
        finally:
            self._db.close()


class _Reader:
    """A thread with a connection that changes nothing; both begin with the first question."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._worker: Worker | None = None
        self._db: sqlite3.Connection | None = None

    async def ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """The answer of `question`. Raises StorageError."""
        if self._worker is None:
            self._worker = Worker(self._name)

        def execute() -> T:
            try:
                if self._db is None:
                    self._db = connect_reader(self._path)
                return question(self._db)
            except sqlite3.Error as error:
                raise commit_error(self._path, error) or opening_error(self._path, error) from error

        return await self._worker.call(execute)

    async def close(self) -> None:
        if self._worker is not None:
            await self._worker.call(self._close)
            self._worker.stop()

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
