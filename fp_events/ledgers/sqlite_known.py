"""What this owner remembers of runs that it accepted or claimed, so that their end needs no look into the file."""

from __future__ import annotations

import sqlite3

from fp_events.domain.run import RunState

from .rules import Facts

#: Of each kind. About 300 bytes each; where more runs wait, the newer ones are read again when their turn comes.
MOST = 32_768


class Known:
    """Unfinished runs by id, as the open transaction has them: after one that failed, nothing is known."""

    __slots__ = ("_epoch", "_facts", "_version", "running")

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch
        self._version = -1
        #: Row and pipeline of runs that were accepted RUNNING and are at their first attempt: nearly all there are.
        self.running: dict[str, tuple[int, str]] = {}
        self._facts: dict[str, Facts] = {}

    def check(self, db: sqlite3.Connection) -> None:
        """Within a transaction: forget everything where another connection has changed the file.

        Nobody else may while the lock is held; but where the lock failed, what a newer owner did has to show.
        """
        (version,) = db.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._version = version
            self.clear()

    def __contains__(self, run_id: str) -> bool:
        return run_id in self.running or run_id in self._facts

    def find(self, run_id: str) -> Facts | None:
        """Facts, to be changed in place along with the run; None: they have to be read."""
        accepted = self.running.pop(run_id, None)
        if accepted is None:
            return self._facts.get(run_id)
        facts = self._facts[run_id] = Facts(*accepted, RunState.RUNNING, self._epoch, 1)
        return facts

    def remember(self, run_id: str, facts: Facts) -> None:
        """The run is unfinished and is what `facts` say."""
        if len(self._facts) < MOST:
            self._facts[run_id] = facts

    def forget(self, run_id: str) -> None:
        """The run has ended."""
        self._facts.pop(run_id, None)

    def clear(self) -> None:
        """Forget everything."""
        self.running.clear()
        self._facts.clear()
