"""A run that was handed to the daemon."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fp_events.domain.errors import RunFailed

from .results import ENDED

#: A command of the table and its arguments -> its result.
Ask = Callable[[str, Mapping[str, Any]], dict[str, Any]]


class Submitted:
    """The handle of a run; it stays good over restarts of the daemon and of the caller."""

    def __init__(self, run_id: str, ask: Ask) -> None:
        self.id = run_id
        self._ask = ask

    def __repr__(self) -> str:
        return f"Submitted({self.id!r})"

    def status(self) -> dict[str, Any]:
        """The run as `fp-events runs show` has it: state, outcome, attempts, values. Raises RunNotFound."""
        return self._ask("runs.show", {"run_id": self.id})

    def wait(self, timeout: float | None = None) -> dict[str, Any]:
        """The same, once the run has ended. Raises TimeoutError after `timeout` seconds, DaemonUnavailable."""
        found = self._ask("runs.wait", {"run_id": self.id, "timeout_s": timeout})
        if found["state"] != "finished":
            raise TimeoutError(f"run {self.id} has not ended within {timeout:g} s")
        return self.status()

    def result(self, timeout: float | None = None) -> dict[str, Any]:
        """The outputs as JSON has them, once the run has ended. Raises RunFailed, and what `wait` raises."""
        run = self.wait(timeout)
        if run["outcome"] != "succeeded":
            why = f": {run['error']}" if run.get("error") else ""
            raise RunFailed(f"the run {ENDED[run['outcome']]}{why}", where=f"pipeline {run['pipeline']}, run {self.id}")
        values: dict[str, Any] = run["values"] or {}
        return values

    def cancel(self) -> bool:
        """End it; False where it has ended otherwise already."""
        found = self._ask("runs.cancel", {"run_ids": [self.id]})
        return bool(found["cancelled"])
