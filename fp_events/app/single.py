"""One run in this process: what is asked for, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from fp_events.domain.observation import NodeRecord, RunRecord, decode_nodes
from fp_events.domain.pipeline import ExecutorSpec
from fp_events.domain.retry import RetryPolicy
from fp_events.domain.run import Failure, Outcome

Callback = Callable[[RunRecord], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One run, and what it does differently from its pipeline; None: as configured."""

    pipeline: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    final_vars: Sequence[str] | None = None
    config: Mapping[str, Any] | None = None
    executor: ExecutorSpec | None = None
    #: On, off, or settings such as ``{"recompute": ["node"]}``.
    cache: bool | Mapping[str, Any] | None = None
    #: Adapter -> whether it is used.
    with_adapter: Mapping[str, bool] | None = None
    #: Hamilton's lifecycle adapters, as objects: for executors in this process.
    adapters: Sequence[Any] = ()
    max_retries: int | None = None
    #: Seconds.
    retry_delay: float | None = None
    jitter_factor: float | None = None
    #: Names of exceptions; see `RetryPolicy`.
    retry_exceptions: Sequence[str] | None = None
    #: Seconds per attempt.
    timeout: float | None = None
    log_level: str | None = None
    #: In the place of the pipeline's own.
    on_success: Callback | None = None
    on_failure: Callback | None = None

    def request(self) -> dict[str, Any]:
        """What the run's handler is asked for beyond its pipeline's settings."""
        asked = {
            "inputs": dict(self.inputs),
            "final_vars": self.final_vars and list(self.final_vars),
            "config": self.config and dict(self.config),
        }
        given = {"cache": self.cache, "with_adapter": self.with_adapter}
        return {name: value for name, value in asked.items() if value} | {
            name: value for name, value in given.items() if value is not None
        }

    def policy(self, policy: RetryPolicy) -> RetryPolicy:
        """The pipeline's retries as this run has them."""
        given = {
            "max_retries": self.max_retries,
            "retry_delay": self.retry_delay,
            "jitter_factor": self.jitter_factor,
            "retry_exceptions": None if self.retry_exceptions is None else tuple(self.retry_exceptions),
        }
        chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        return replace(policy, **chosen)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """How a run in this process ended."""

    run_id: str
    pipeline: str
    outcome: Outcome
    #: The outputs by name.
    values: Mapping[str, Any]
    failure: Failure | None
    #: Seconds, waits between attempts included.
    duration: float
    attempts: int
    version: str
    #: Aware, UTC.
    started_at: datetime
    #: JSON list of what happened to the nodes of the last attempt; None where that was not followed.
    nodes: bytes | None = field(default=None, repr=False)

    @property
    def trace(self) -> tuple[NodeRecord, ...]:
        """What happened to each node of the last attempt; empty where that was not followed (`run.trace: never`)."""
        return decode_nodes(self.nodes)
