"""Copying the write-ahead log into the file beside the commits instead of between them.

A commit that finds the log long copies it itself, which takes 5 to 10 ms, and a run waits for it. Here a thread with a
connection of its own does it; what was committed meanwhile, a few hundred pages, is left to the writer, which then
begins the log anew.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fp_events.domain.errors import StorageError

from .sqlite_file import connect_checkpointer, passes
from .sqlite_threads import Worker

#: Pages in the log, estimated, at which it is copied: 20 MiB, three times a second at a thousand messages a second.
#: Each copy has two syncs of its own, which hold up those of the commits beside them.
PAGES = 8_000
#: Pages that a transaction writes at least, and rows on one page: of indexes too, so it is a guess in between.
_LEAST, _ROWS = 12, 8

_COPY = "PRAGMA wal_checkpoint(PASSIVE)"


class Checkpointer:
    """Counts what the writer commits. All but `copy` and `close` runs on the writer's thread.

    Where it cannot copy, the log grows until the writer's own limit makes a commit do it (`wal_autocheckpoint`).
    """

    def __init__(
        self,
        path: Path,
        db: sqlite3.Connection,
        later: Callable[[Callable[[], None]], None],
        failed: Callable[[sqlite3.Error], None],
    ) -> None:
        """`db`: the writer's connection. `later`: has something done by the writer, between commits.

        `failed` is told what no commit may follow: a page that is not on the disk after all would be missing in the
        file once the log begins anew.
        """
        self._path = path
        self._failed = failed
        self._db = db
        self._later = later
        self._worker: Worker | None = None
        self._other: sqlite3.Connection | None = None
        self._pages = 0
        self._copying = False

    def committed(self, rows: int) -> None:
        """A transaction of so many rows has been committed."""
        if self._worker is None:
            # With the first commit: a daemon has all its files open from then on.
            self._worker = Worker("ledger-checkpoints")
            self._worker.post(self._connect)
        self._pages += _LEAST + rows // _ROWS
        if self._pages < PAGES or self._copying:
            return
        self._pages = 0
        self._copying = True
        self._worker.post(self._copy)

    async def close(self) -> None:
        """End the thread; the writer's connection is still open."""
        if self._worker is not None:
            await self._worker.call(self._disconnect)
            self._worker.stop()

    def _connect(self) -> None:
        with contextlib.suppress(StorageError):
            self._other = connect_checkpointer(self._path)

    def _copy(self) -> None:
        try:
            if self._other is None:
                self._other = connect_checkpointer(self._path)
            self._other.execute(_COPY).fetchall()
        except sqlite3.Error as error:
            self._later(partial(self._stumbled, error))
        except StorageError:
            # No connection, as where there are no more file descriptors: tried again when more has been written.
            self._later(self._gave_up)
        else:
            self._later(self._finish)

    def _finish(self) -> None:
        try:
            self._db.execute(_COPY).fetchall()
        except sqlite3.Error as error:
            self._stumbled(error)
        else:
            self._copying = False

    def _gave_up(self) -> None:
        self._copying = False

    def _stumbled(self, error: sqlite3.Error) -> None:
        """A full disk, or a file that is locked, passes, and the log can wait for that."""
        self._copying = False
        if not passes(error):
            self._failed(error)

    def _disconnect(self) -> None:
        if self._other is not None:
            self._other.close()
