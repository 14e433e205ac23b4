"""What this owner remembers of runs that it accepted or claimed, so that their end needs no look into the file."""

from __future__ import annotations

import sqlite3

from .rules import Facts

# About 400 bytes each with their ids. Where more runs wait, the newer ones are read again when their turn comes.
_MOST = 32_768


class Known:
    """Facts of unfinished runs by id, as the open transaction has them: after one that failed, nothing is known."""

    __slots__ = ("_facts", "_version")

    def __init__(self) -> None:
        self._facts: dict[str, Facts] = {}
        self._version = -1

    def check(self, db: sqlite3.Connection) -> None:
        """Within a transaction: forget everything where another connection has changed the file.

        Nobody else may while the lock is held; but where the lock failed, what a newer owner did has to show.
        """
        (version,) = db.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._version = version
            self._facts.clear()

    def get(self, run_id: str) -> Facts | None:
        """Facts, to be changed in place along with the run; None: read them."""
        return self._facts.get(run_id)

    def remember(self, run_id: str, facts: Facts) -> None:
        """The run is unfinished and is what `facts` say."""
        if len(self._facts) < _MOST:
            self._facts[run_id] = facts

    def forget(self, run_id: str) -> None:
        """The run has ended."""
        self._facts.pop(run_id, None)

    def clear(self) -> None:
        """Forget everything."""
        self._facts.clear()
