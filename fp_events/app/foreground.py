"""A run in the foreground: no broker, no ledger, the same plan, executor and retries."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from random import Random
from typing import TYPE_CHECKING, Any

from uuid_utils import uuid7

from fp_events.domain.errors import UsageError
from fp_events.domain.observation import RunRecord
from fp_events.domain.pipeline import ExecutorSpec, Pipeline
from fp_events.domain.ports import Executor
from fp_events.domain.retry import RetryPolicy, decide
from fp_events.domain.run import Attempt, AttemptResult, Cause, Failure, Outcome, PlanRef
from fp_events.observe.logging import configure

from .building import callbacks, catalogue, handler_loader, make_executor, pipeline_of, spec_of

if TYPE_CHECKING:
    from fp_events.config import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """How a run in the foreground ended."""

    outcome: Outcome
    #: The outputs by name, as JSON shows them.
    values: Mapping[str, Any]
    failure: Failure | None
    #: Seconds, waits between attempts included.
    duration: float
    attempts: int


def run_pipeline(
    config: Config,
    name: str,
    *,
    inputs: Mapping[str, Any] | None = None,
    final_vars: Sequence[str] | None = None,
    cfg: Mapping[str, Any] | None = None,
    executor: ExecutorSpec | None = None,
    max_retries: int | None = None,
    retry_delay: float | None = None,
    jitter_factor: float | None = None,
    log_level: str | None = None,
) -> RunReport:
    """Run a pipeline once, here and now; what is given goes before the configuration.

    Raises PipelineNotFound, and ConfigError where the pipeline cannot be compiled.
    """
    pipeline = pipeline_of(config, name)
    level = log_level or pipeline.log_level or config.log.level
    configure(level, config.log.format)
    policy = _policy(pipeline.retry, max_retries, retry_delay, jitter_factor)
    request = {"inputs": dict(inputs or {}), "final_vars": final_vars and list(final_vars), "config": cfg and dict(cfg)}
    plans = catalogue(config)
    # Compiled before anything starts: what is wrong with the code is an error of its own.
    plan = plans.plan(pipeline, final_vars=final_vars, config=cfg)
    for given in inputs or {}:
        if given not in plan.inputs:
            near = get_close_matches(given, plan.inputs, n=1)
            mend = f"did you mean '{near[0]}'?" if near else f"it knows {', '.join(plan.inputs) or 'none'}"
            raise UsageError(f"pipeline '{name}' has no input '{given}'", mend=mend)
    load = handler_loader(config, plans, publishes=False)
    spec = executor or spec_of(pipeline, plan)
    attempt = Attempt(
        run_id=str(uuid7()),
        number=1,
        plan=PlanRef(name),
        request=json.dumps({key: value for key, value in request.items() if value}).encode(),
        timeout=pipeline.timeout,
    )
    started_at, started = datetime.now(UTC), time.monotonic()
    report = asyncio.run(
        _attempts(
            make_executor(spec, config, load, pipelines=[name], publishes=False), attempt, policy, pipeline, started
        )
    )
    _call_back(config, pipeline, attempt.run_id, report, started_at)
    return report


async def _attempts(
    executor: Executor, attempt: Attempt, policy: RetryPolicy, pipeline: Pipeline, started: float
) -> RunReport:
    rng = Random()  # noqa: S311 - jitter, not cryptography
    await executor.start()
    try:
        while True:
            executor.submit([attempt])
            result = await _result(executor, attempt)
            left = None if pipeline.deadline is None else started + pipeline.deadline - time.monotonic()
            decision = decide(policy, result, retries=attempt.number - 1, time_left=left, rng=rng)
            if decision.outcome is not None:
                return RunReport(
                    outcome=decision.outcome,
                    values=json.loads(result.values) if result.values else {},
                    failure=result.failure,
                    duration=time.monotonic() - started,
                    attempts=attempt.number,
                )
            await asyncio.sleep(decision.delay)
            attempt = replace(attempt, number=attempt.number + 1)
    finally:
        await executor.close(0.0)


async def _result(executor: Executor, attempt: Attempt) -> AttemptResult:
    while True:
        for result in await executor.results():
            if isinstance(result, AttemptResult) and result.number == attempt.number:
                return result


def _policy(
    policy: RetryPolicy, max_retries: int | None, retry_delay: float | None, jitter_factor: float | None
) -> RetryPolicy:
    given = {"max_retries": max_retries, "retry_delay": retry_delay, "jitter_factor": jitter_factor}
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return replace(policy, **chosen)


def _call_back(config: Config, pipeline: Pipeline, run_id: str, report: RunReport, started_at: datetime) -> None:
    on_success, on_failure = callbacks(config)
    table = on_success if report.outcome is Outcome.SUCCEEDED else on_failure
    callback = table.get(pipeline.name)
    if callback is None:
        return
    record = RunRecord(
        run_id=run_id,
        pipeline=pipeline.name,
        outcome=report.outcome,
        cause=Cause.CALL,
        trigger="",
        key=None,
        attempt=report.attempts,
        version="",
        created_at=started_at,
        finished_at=datetime.now(UTC),
        duration=report.duration,
        failure=report.failure,
        values=json.dumps(dict(report.values)).encode(),
    )
    answer = callback(record)
    if asyncio.iscoroutine(answer):
        asyncio.run(answer)
