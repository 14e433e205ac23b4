"""A run followed until it has ended."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .daemon import call
from .texts import duration

if TYPE_CHECKING:
    from fp_events.config import Config

#: Seconds between two looks at a run that has not ended.
LOOK = 0.3


def follow(config: Config, run_id: str, *, limit: float | None = None) -> Iterator[Mapping[str, Any]]:
    """The run as it is every 0.3 s, the last time when it has ended, or after `limit` seconds.

    Raises RunNotFound, and DaemonUnavailable when the daemon ends.
    """
    stop = None if limit is None else time.monotonic() + limit
    while True:
        patience = LOOK if stop is None else max(0.0, min(LOOK, stop - time.monotonic()))
        run = call(config, "runs.wait", {"run_id": run_id, "timeout_s": patience})
        yield run
        if run["state"] == "finished" or (stop is not None and time.monotonic() >= stop):
            return


def progress(run: Mapping[str, Any]) -> str:
    """Where a run is, in a few words."""
    attempts = f", attempt {run['attempt']}" if run["attempt"] > 1 else ""
    if run["state"] == "finished":
        took = f" after {duration(run['duration_s'])}" if run["started_at"] else ""
        tried = f", {run['attempt']} attempts" if run["attempt"] > 1 else ""
        return f"{run['outcome']}{took}{tried}" + (f": {_error(run)}" if run["error"] else "")
    if run["state"] == "waiting":
        why = f" after {_error(run)}" if run["error"] else ""
        return f"waiting{attempts} until {run['due_at']}{why}"
    return f"{run['state']}{attempts}"


def _error(run: Mapping[str, Any]) -> str:
    node = f"node {run['node']}: " if run.get("node") else ""
    return f"{node}{run['error']}"
