"""One line for each run at low rates, one for each second and pipeline at high ones."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import structlog

from fp_events.domain.observation import RetryRecord, RunRecord
from fp_events.domain.run import Failure, Outcome

#: Lines per second for single runs that succeeded, and as many for those that did not. What is above is summed up.
LINES_PER_SECOND = 20
#: Characters of an error's message: it may quote a payload, which has no place in a log.
_MESSAGE_LIMIT = 300

_LEVELS = {
    Outcome.SUCCEEDED: "info",
    Outcome.FAILED: "error",
    Outcome.TIMED_OUT: "error",
    Outcome.EXPIRED: "warning",
    Outcome.REJECTED: "warning",
    Outcome.SKIPPED: "info",
    Outcome.CANCELLED: "info",
}


class RunLog:
    """Tells of finished runs, never of payloads.

    Within a second, the first 20 runs that succeeded and the first 20 that did not have a line `run_finished` of
    their own; the others of that second are summed up by pipeline in a line `runs_finished`. Call `flush` once a
    second, and at the end.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = structlog.get_logger("fp_events.runs")
        self._clock = clock
        self._second = clock()
        self._lines = 0
        self._failure_lines = 0
        self._sums = _Sums()

    def finished(self, record: RunRecord) -> None:
        """Write or count a finished run."""
        if self._clock() - self._second >= 1.0:
            self._turn()
        outcome = record.outcome
        if outcome is Outcome.SUCCEEDED:
            if self._lines >= LINES_PER_SECOND:
                # The hot path, thousands of times a second.
                self._sums[record.pipeline].succeeded.append(record.duration)
                return
            self._lines += 1
        elif not self._failure():
            self._sums[record.pipeline].add(record)
            return
        getattr(self._log, _LEVELS[outcome])("run_finished", **_facts(record))

    def retrying(self, record: RetryRecord) -> None:
        """Write or count an attempt that failed and will be followed by another."""
        if self._clock() - self._second >= 1.0:
            self._turn()
        if not self._failure():
            self._sums[record.pipeline].retries += 1
            return
        self._log.warning(
            "run_retrying",
            run_id=record.run_id,
            pipeline=record.pipeline,
            attempt=record.attempt,
            delay_s=round(record.delay, 3),
            **_failure(record.failure),
        )

    def flush(self) -> None:
        """Write what was summed up since the last time."""
        sums, self._sums = self._sums, _Sums()
        for pipeline, summed in sums.items():
            getattr(self._log, summed.level())("runs_finished", pipeline=pipeline, **summed.facts())

    def _turn(self) -> None:
        self._second = self._clock()
        self._lines = self._failure_lines = 0
        self.flush()

    def _failure(self) -> bool:
        self._failure_lines += 1
        return self._failure_lines <= LINES_PER_SECOND


class _Sum:
    """What is known of the runs of one pipeline that have no line of their own."""

    __slots__ = ("durations", "error", "outcomes", "retries", "succeeded")

    def __init__(self) -> None:
        #: Seconds, of runs that succeeded and of the others.
        self.succeeded: list[float] = []
        self.durations: list[float] = []
        #: Of the others.
        self.outcomes: Counter[Outcome] = Counter()
        self.retries = 0
        #: The first one.
        self.error: Failure | None = None

    def add(self, record: RunRecord) -> None:
        """Count a run that did not succeed."""
        self.outcomes[record.outcome] += 1
        self.durations.append(record.duration)
        if self.error is None:
            self.error = record.failure

    def level(self) -> str:
        """That of the worst."""
        levels = {_LEVELS[outcome] for outcome in self.outcomes} | ({"warning"} if self.retries else {"info"})
        return next(level for level in ("error", "warning", "info") if level in levels)

    def facts(self) -> dict[str, Any]:
        durations = sorted(self.succeeded + self.durations)
        facts: dict[str, Any] = {"runs": len(durations)}
        if self.succeeded:
            facts[Outcome.SUCCEEDED.value] = len(self.succeeded)
        facts |= {outcome.value: count for outcome, count in self.outcomes.items()}
        if durations:
            facts |= {"p50_ms": _ms(durations[len(durations) // 2]), "max_ms": _ms(durations[-1])}
        if self.retries:
            facts["retries"] = self.retries
        return facts | {f"first_{name}": fact for name, fact in _failure(self.error).items()}


class _Sums(dict[str, _Sum]):
    """Sums by pipeline."""

    def __missing__(self, pipeline: str) -> _Sum:
        found = self[pipeline] = _Sum()
        return found


def _facts(record: RunRecord) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "run_id": record.run_id,
        "pipeline": record.pipeline,
        "outcome": record.outcome.value,
        "attempt": record.attempt,
        "duration_ms": _ms(record.duration),
        "age_ms": _ms((record.finished_at - record.created_at).total_seconds()),
        "cause": record.cause.value,
    }
    optional = {"trigger": record.trigger, "key": record.key, "log_level": record.log_level}
    return facts | {name: fact for name, fact in optional.items() if fact} | _failure(record.failure)


def _failure(failure: Failure | None) -> dict[str, str]:
    if failure is None:
        return {}
    error = f"{failure.type}: {failure.message}"
    if len(error) > _MESSAGE_LIMIT:
        error = f"{error[:_MESSAGE_LIMIT]}…"
    return {"error": error, "node": failure.node} if failure.node else {"error": error}


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
