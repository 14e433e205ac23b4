"""What one run does differently from its pipeline, as its request says.

The request is stored with the run, so that it holds after a restart too:
``{"inputs": {...}, "max_retries": 3, "retry_delay": 1.0, "jitter_factor": 0.1, "timeout": 30.0, "priority": 5,
"log_level": "DEBUG", "executor": {"type": "processpool"}, "cache": {"recompute": ["lookup"]}}``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from fp_events.domain.errors import UsageError
from fp_events.domain.pipeline import Pipeline
from fp_events.domain.retry import RetryPolicy

#: Keys of a request that override the pipeline's retries.
RETRY = ("max_retries", "retry_delay", "jitter_factor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """Settings of one run that stand above its pipeline's; None: the pipeline's."""

    max_retries: int | None = None
    #: Seconds.
    retry_delay: float | None = None
    jitter_factor: float | None = None
    #: Seconds for each attempt.
    timeout: float | None = None
    #: Runs of a higher one start first; 0 to 9.
    priority: int = 0
    #: Of the lines that the log has about the run.
    log_level: str | None = None
    #: JSON object: `type`, `max_workers`, `num_cpus`.
    executor: str | None = None

    def retry(self, policy: RetryPolicy) -> RetryPolicy:
        """The pipeline's policy as this run has it."""
        changes: dict[str, Any] = {name: getattr(self, name) for name in RETRY if getattr(self, name) is not None}
        return replace(policy, **changes) if changes else policy


def with_cache(pipeline: Pipeline, asked: Any) -> Pipeline:
    """The pipeline with what a request says of `cache`, None for nothing. Raises UsageError."""
    if asked is None:
        return pipeline
    try:
        return replace(pipeline, cache=pipeline.cache.over(asked))
    except ValueError as error:
        raise UsageError(str(error), where=f"pipeline {pipeline.name}") from None


def overrides_of(request: bytes | None) -> Overrides | None:
    """What a stored request overrides; None where that is nothing."""
    if request is None:
        return None
    given = json.loads(request)
    found = {name: given[name] for name in (*RETRY, "timeout", "priority", "log_level") if given.get(name) is not None}
    if given.get("executor"):
        found["executor"] = json.dumps(given["executor"], sort_keys=True)
    return Overrides(**found) if found else None
