"""What observers are told: frozen records. Observers read; they cannot steer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from .run import Cause, Failure, Outcome
from .values import value


@value
class RunRecord:
    """A run that has just become FINISHED; its outcome is durable."""

    run_id: str
    pipeline: str
    outcome: Outcome
    cause: Cause
    #: The trigger's topic filter as written; empty for runs that no message caused.
    trigger: str
    key: str | None
    #: Attempts made.
    attempt: int
    version: str
    created_at: datetime
    finished_at: datetime
    #: Seconds of the last attempt.
    duration: float
    failure: Failure | None
    #: JSON of the outputs; None unless SUCCEEDED.
    values: bytes | None = None
    #: Level for this run's log lines; None: the pipeline's.
    log_level: str | None = None


@value
class RetryRecord:
    """An attempt that failed and will be followed by another."""

    run_id: str
    pipeline: str
    #: The attempt that failed.
    attempt: int
    failure: Failure | None
    #: Seconds until the next one.
    delay: float


Observer = Callable[[RunRecord], None]
