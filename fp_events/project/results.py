"""What `Project.run` returns and raises."""

from __future__ import annotations

from typing import Any

from fp_events.app.calling import RunReport
from fp_events.domain.errors import RunFailed as RunEndedBadly


class Results(dict[str, Any]):
    """The outputs by name, and how they came about."""

    def __init__(self, report: RunReport) -> None:
        super().__init__(report.values)
        #: Outcome, duration, attempts and, node by node, what happened.
        self.report = report


class RunFailed(RunEndedBadly):
    """A run ended with another outcome than SUCCEEDED; `report` has the facts."""

    def __init__(self, report: RunReport) -> None:
        failure = report.failure
        ended = report.outcome.value.replace("_", " ")
        why = ""
        if failure is not None:
            node = f"node {failure.node}: " if failure.node else ""
            # Our own kinds of errors say all in their sentence.
            kind = "" if failure.type.startswith("fp_events.") else f"{failure.type}: "
            why = f": {node}{kind}{failure.message}"
        tries = "" if report.attempts == 1 else f" after {report.attempts} attempts"
        super().__init__(f"the run {ended}{tries}{why}", where=f"pipeline {report.pipeline}")
        self.report = report

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.report,)
