"""Runs in this process: no broker, no ledger; the same plans, executors and retries as the daemon's."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from difflib import get_close_matches
from random import Random
from typing import TYPE_CHECKING, Any

from uuid_utils import uuid7

from fp_events.domain.errors import FpEventsError, UsageError
from fp_events.domain.hooks import Hook
from fp_events.domain.observation import RetryRecord, RunRecord
from fp_events.domain.pipeline import ExecutorSpec, Pipeline
from fp_events.domain.ports import Handler, Plan
from fp_events.domain.retry import RetryPolicy, decide
from fp_events.domain.run import Attempt, AttemptResult, Cause, Ended, Outcome, PlanRef
from fp_events.observe.logging import configure
from fp_events.runtime.callbacks import Callbacks, Record
from fp_events.runtime.failures import failure_of, line_of
from fp_events.runtime.overrides import with_cache
from fp_events.runtime.resources import Pool

from .adapting import check_adapters, flush, refuse_adapters
from .building import catalogue, handler_loader, make_executor, pipeline_of, spec_of
from .hooking import after_commit
from .link import publish
from .single import Call, Callback, RunReport
from .stations import Station
from .values import IN_PROCESS, JsonValues, Values

if TYPE_CHECKING:
    from fp_events.config import Config

_log = logging.getLogger("fp_events.hooks")


class Calls:
    """Runs pipelines of one configuration on one event loop, and keeps plans and executors between runs."""

    def __init__(self, config: Config, values: Values | None = None, *, logs: bool = True) -> None:
        """`values`: how inputs and outputs travel to the executors and back; default: as JSON.

        `logs`: this process logs as the configuration says; else only a call's own `log_level` changes anything.
        """
        self._config = config
        self._values = values or JsonValues()
        self._logs = logs
        self.plans = catalogue(config)
        self._stations: dict[ExecutorSpec, Station] = {}
        #: Handlers of single runs, which have adapters of their own.
        self._single: dict[PlanRef, Handler] = {}
        #: Pipelines, with what runs turned on and off, whose adapters can be made.
        self._sound: set[tuple[str, tuple[tuple[str, bool], ...]]] = set()
        self._pool = Pool()
        self._hooks: Mapping[str, Mapping[str, Sequence[Hook]]] | None = None
        self._callbacks = Callbacks({}, lambda *_: None)
        self._shared = handler_loader(config, self.plans, publishes=False, formats=self._values.here, pool=self._pool)
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._rng = Random()  # noqa: S311 - jitter, not cryptography

    def plan(self, call: Call) -> Plan:
        """The plan of a call. Raises PipelineNotFound, ConfigError, and UsageError for an unknown input or node."""
        pipeline = with_cache(pipeline_of(self._config, call.pipeline), call.cache)
        asked = check_adapters(pipeline, call.with_adapter or {})
        plan: Plan = self.plans.plan(pipeline, final_vars=call.final_vars, config=call.config)
        turned = (pipeline.name, tuple(asked.items()))
        if pipeline.adapters and turned not in self._sound:
            refuse_adapters(self._config, self.plans, pipeline, asked)
            self._sound.add(turned)
        unknown = [given for given in call.inputs if given not in plan.inputs]
        if unknown:
            # Other outputs than those asked for may take it.
            known = {*plan.inputs, *self.plans.inputs(pipeline)}
            for given in unknown:
                if given in known:
                    continue
                near = get_close_matches(given, known, n=1)
                mend = f"did you mean '{near[0]}'?" if near else f"it knows {', '.join(sorted(known)) or 'none'}"
                raise UsageError(f"pipeline '{call.pipeline}' has no input '{given}'", mend=mend)
        return plan

    async def run(self, call: Call) -> RunReport:
        """Run once, retries included. Raises what `plan` raises; how the run ended is in the report."""
        pipeline = pipeline_of(self._config, call.pipeline)
        if self._logs or call.log_level:
            configure(call.log_level or pipeline.log_level or self._config.log.level, self._config.log.format)
        # Compiled before anything starts: what is wrong with the code is an error of its own.
        plan = self.plan(call)
        spec = call.executor or spec_of(pipeline, plan)
        run_id = str(uuid7())
        ref = self._ref(call, pipeline, spec, run_id)
        station = await self._station(spec, pipeline.name)
        request = self._values.sent(call.request(), spec.type)
        attempt = Attempt(
            run_id=run_id,
            number=1,
            plan=ref,
            request=request,
            timeout=pipeline.timeout if call.timeout is None else call.timeout,
        )
        self._running += 1
        self._idle.clear()
        try:
            report = await self._attempts(station, attempt, call.policy(pipeline.retry), pipeline)
        finally:
            self._single.pop(ref, None)
            self._running -= 1
            if not self._running:
                self._idle.set()
        await self._call_back(call, pipeline, report)
        return report

    async def retire(self) -> None:
        """Wait for what runs, then stop the executors."""
        try:
            await self._idle.wait()
        finally:
            await self.close()

    async def close(self) -> None:
        """Stop the executors, close resources, let adapters tell what waits; what runs is cancelled."""
        stations, self._stations = list(self._stations.values()), {}
        for station in stations:
            await station.close()
        self._callbacks.close()
        await self._pool.close()
        try:
            await asyncio.to_thread(flush)
        except RuntimeError:
            # An interpreter that ends starts no more threads.
            flush()

    def _ref(self, call: Call, pipeline: Pipeline, spec: ExecutorSpec, run_id: str) -> PlanRef:
        if not call.adapters:
            return PlanRef(pipeline.name)
        if spec.type not in IN_PROCESS:
            raise UsageError(
                f"adapters are objects of this process, and executor '{spec.type}' runs elsewhere",
                where=f"pipeline {pipeline.name}",
                mend="run it with executor 'local' or 'threadpool', or configure the adapter in `with_adapter`",
            )
        ref = PlanRef(pipeline.name, run_id)
        load = handler_loader(
            self._config,
            self.plans,
            publishes=False,
            formats=self._values.here,
            adapters=tuple(call.adapters),
            pool=self._pool,
        )
        self._single[ref] = load(ref)
        return ref

    def _load(self, ref: PlanRef) -> Handler:
        return self._single.get(ref) or self._shared(ref)

    async def _station(self, spec: ExecutorSpec, pipeline: str) -> Station:
        station = self._stations.get(spec)
        if station is None:
            executor = make_executor(
                spec,
                self._config,
                self._load,
                pipelines=[pipeline],
                publishes=False,
                values=self._values.elsewhere,
            )
            station = self._stations[spec] = Station(executor)
        await station.started()
        return station

    async def _attempts(self, station: Station, attempt: Attempt, policy: RetryPolicy, pipeline: Pipeline) -> RunReport:
        started_at, started = datetime.now(UTC), time.monotonic()
        while True:
            result = await station.attempt(attempt)
            if result.publications:
                result = await self._published(result)
            left = None if pipeline.deadline is None else started + pipeline.deadline - time.monotonic()
            decision = decide(policy, result, retries=attempt.number - 1, time_left=left, rng=self._rng)
            if decision.outcome is not None:
                return RunReport(
                    run_id=attempt.run_id,
                    pipeline=pipeline.name,
                    outcome=decision.outcome,
                    values=self._outputs(result),
                    failure=result.failure,
                    duration=time.monotonic() - started,
                    attempts=attempt.number,
                    version=result.version,
                    started_at=started_at,
                    nodes=result.nodes,
                )
            for hook in self._after_commit().get(pipeline.name, {}).get("on_retry", ()):
                await self._tell(hook, _retry_record(attempt, result, decision.delay))
            await asyncio.sleep(decision.delay)
            attempt = replace(attempt, number=attempt.number + 1)

    async def _published(self, result: AttemptResult) -> AttemptResult:
        """The result, once the broker has what savers of the attempt gave; a failure where it cannot have it."""
        try:
            await publish(self._config, result.publications)
        except FpEventsError as error:
            return replace(result, ended=Ended.RAISED, values=None, publications=(), failure=failure_of(error))
        return result

    def _outputs(self, result: AttemptResult) -> Mapping[str, Any]:
        if result.ended is not Ended.RETURNED or result.values is None:
            return {}
        return self._values.received(result.values, self.plans.module)

    async def _call_back(self, call: Call, pipeline: Pipeline, report: RunReport) -> None:
        succeeded = report.outcome is Outcome.SUCCEEDED
        kind, given = ("on_success", call.on_success) if succeeded else ("on_failure", call.on_failure)
        hooks = self._after_commit().get(pipeline.name, {})
        own = hooks.get(kind, ()) if given is None else (_hook(kind, given),)
        for hook in (*hooks.get("after_run", ()), *own):
            await self._tell(hook, self._record(report))

    async def _tell(self, hook: Hook, record: Record) -> None:
        """Call what is called after a commit: what it raises is told, and changes nothing."""
        try:
            await self._callbacks.call(hook, record)
        except Exception as error:  # noqa: BLE001 - users' code raises anything
            _log.warning(
                "%s %s (%s): %s", hook.kind, hook.text, line_of(hook, error), f"{type(error).__name__}: {error}"
            )

    def _after_commit(self) -> Mapping[str, Mapping[str, Sequence[Hook]]]:
        if self._hooks is None:
            self._hooks = after_commit(self._config, self.plans)
        return self._hooks

    def _record(self, report: RunReport) -> RunRecord:
        return RunRecord(
            run_id=report.run_id,
            pipeline=report.pipeline,
            outcome=report.outcome,
            cause=Cause.CALL,
            trigger="",
            key=None,
            attempt=report.attempts,
            version=report.version,
            created_at=report.started_at,
            finished_at=datetime.now(UTC),
            duration=report.duration,
            failure=report.failure,
            values=self._values.shown(report.values) if report.outcome is Outcome.SUCCEEDED else None,
        )


def _retry_record(attempt: Attempt, result: AttemptResult, delay: float) -> RetryRecord:
    return RetryRecord(
        run_id=attempt.run_id,
        pipeline=attempt.plan.pipeline,
        attempt=attempt.number,
        failure=result.failure,
        delay=delay,
    )


def _hook(kind: str, call: Callback) -> Hook:
    name = getattr(call, "__qualname__", type(call).__name__)
    return Hook(kind=kind, text=name, call=call, is_async=inspect.iscoroutinefunction(call))
