"""Results that an executor makes itself: for what a handler let through, and for what was stopped."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime, timedelta

from fp_events.domain.run import Attempt, AttemptResult, Ended, Failure

#: `Failure.lineage` of an attempt that ran past its timeout, so that ``retry_exceptions: [TimeoutError]`` matches.
_TIMEOUT_LINEAGE = tuple(f"{cls.__module__}.{cls.__qualname__}" for cls in TimeoutError.__mro__)


def failure_of(error: BaseException) -> Failure:
    """The facts of an exception as values that cross between processes."""
    lineage = tuple(f"{cls.__module__}.{cls.__qualname__}" for cls in type(error).__mro__)
    return Failure(
        type=lineage[0],
        message=_text(error),
        lineage=lineage,
        traceback="".join(traceback.format_exception(error)),
    )


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a plan's exception may fail to print itself
        return f"<{type(error).__name__} that cannot be printed>"


def raised(attempt: Attempt, error: BaseException, *, elapsed: float) -> AttemptResult:
    """The result of an attempt that ended with `error`, `elapsed` seconds after it began."""
    return ended_with(attempt, Ended.RAISED, failure_of(error), elapsed=elapsed)


def timed_out(attempt: Attempt, *, elapsed: float, abandoned: bool = False) -> AttemptResult:
    """The result of an attempt that was stopped, or given up, at its timeout."""
    failure = Failure(
        type=_TIMEOUT_LINEAGE[0],
        message=f"attempt {attempt.number} of run {attempt.run_id} ran past its timeout of {attempt.timeout:g} s; "
        "raise `run.timeout`, or make the pipeline faster",
        lineage=_TIMEOUT_LINEAGE,
    )
    return ended_with(attempt, Ended.TIMED_OUT, failure, elapsed=elapsed, abandoned=abandoned)


def cancelled(attempt: Attempt, *, elapsed: float = 0.0, abandoned: bool = False) -> AttemptResult:
    """The result of an attempt that an operator stopped; `elapsed` is 0 where it never began."""
    return ended_with(attempt, Ended.CANCELLED, None, elapsed=elapsed, abandoned=abandoned)


def crashed(attempt: Attempt, kind: str, message: str, *, elapsed: float) -> AttemptResult:
    """The result of an attempt that took its worker down, or was lost with it; `kind`: `Failure.type`."""
    return ended_with(attempt, Ended.CRASHED, Failure(type=kind, message=message), elapsed=elapsed)


def ended_with(
    attempt: Attempt, ended: Ended, failure: Failure | None, *, elapsed: float, abandoned: bool = False
) -> AttemptResult:
    """A result without outputs; `started_at` is `elapsed` seconds ago."""
    return AttemptResult(
        run_id=attempt.run_id,
        number=attempt.number,
        ended=ended,
        version=attempt.plan.version,
        started_at=datetime.now(UTC) - timedelta(seconds=elapsed),
        duration=elapsed,
        failure=failure,
        abandoned=abandoned,
    )
