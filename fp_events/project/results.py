"""What `Project.run` returns and raises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fp_events.app.single import RunReport
from fp_events.domain.errors import RunFailed

#: Outcome -> how a sentence goes on after "the run".
ENDED: Final[Mapping[str, str]] = {
    "failed": "failed",
    "timed_out": "timed out",
    "expired": "expired",
    "rejected": "was rejected",
    "skipped": "was skipped",
    "cancelled": "was cancelled",
}


class Results(dict[str, Any]):
    """The outputs by name, and how they came about."""

    def __init__(self, report: RunReport) -> None:
        super().__init__(report.values)
        #: Outcome, duration, attempts and, node by node, what happened.
        self.report = report


def failed(report: RunReport) -> RunFailed:
    """The error of a run in this process; its `report` has the facts."""
    failure = report.failure
    why = ""
    if failure is not None:
        node = f"node {failure.node}: " if failure.node else ""
        # Our own kinds of errors say all in their sentence.
        kind = "" if failure.type.startswith("fp_events.") else f"{failure.type}: "
        why = f": {node}{kind}{failure.message}"
    tries = "" if report.attempts == 1 else f" after {report.attempts} attempts"
    error = RunFailed(f"the run {ENDED[report.outcome.value]}{tries}{why}", where=f"pipeline {report.pipeline}")
    error.report = report
    return error
