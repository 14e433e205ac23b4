"""What comes back of an attempt that a worker elsewhere has run."""

from __future__ import annotations

from fp_events.domain.run import Attempt, AttemptResult

from ._portable import unpack
from ._results import cancelled, raised


def outcome(attempt: Attempt, body: bytes, *, elapsed: float, is_cancelled: bool) -> AttemptResult:
    """The result in the bytes that a worker sent, or that of a cancelled attempt, as long as it took.

    Bytes that are no result of this attempt end it RAISED, after `elapsed` seconds.
    """
    try:
        result = unpack(AttemptResult, body)
        if (result.run_id, result.number) != (attempt.run_id, attempt.number):
            raise ValueError(f"an outcome of run {result.run_id}, attempt {result.number}")
    except ValueError as error:
        result = raised(attempt, error, elapsed=elapsed)
    return cancelled(attempt, elapsed=result.duration) if is_cancelled else result
