"""From an attempt to its result: decode, map, execute the plan, encode. The same under every executor."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from fp_events.domain.adapters import RUNNING, Running
from fp_events.domain.errors import InputInvalid, Rejected
from fp_events.domain.exchange import EXCHANGE
from fp_events.domain.hooks import Hooks
from fp_events.domain.inputs import Mapper, compile_inputs
from fp_events.domain.mapping import scope_of
from fp_events.domain.message import Message, Publication
from fp_events.domain.pipeline import Pipeline, Trigger
from fp_events.domain.ports import Plan
from fp_events.domain.run import Attempt, AttemptResult, Ended, Failure
from fp_events.domain.schedule import scheduled_inputs
from fp_events.domain.templates import TemplateError, parse

from .exchanging import Retained, RunExchange, saved
from .failures import failure_of
from .formats import Formats
from .outputs import CompiledOutput
from .overrides import with_cache
from .tracing import Tracing, traces
from .validation import Unpacked, validated, validated_settings, validating


class PlanSource(Protocol):
    """Where plans come from; compiled ones are cached."""

    def plan(
        self,
        pipeline: Pipeline,
        *,
        final_vars: Sequence[str] | None = None,
        config: Mapping[str, Any] | None = None,
        adapters: Sequence[Any] = (),
    ) -> Plan:
        """The plan for these outputs and this configuration; raises ConfigError. `adapters`: Hamilton's."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A plan with what belongs to its inputs and outputs."""

    plan: Plan
    version: str
    wanted: frozenset[str]
    #: `params` and `run.inputs`, as far as the plan asks for them.
    base: Mapping[str, Any]
    #: By trigger: `base` and what a message gives on top of it.
    mappers: tuple[Mapper, ...]
    outputs: tuple[CompiledOutput, ...]
    #: Some output's topic needs more than captures.
    needs_scope: bool
    #: Some node has marks, or runs are traced: an attempt goes through `Tracing`.
    is_watched: bool
    is_traced: bool
    #: Adapters, loaders and savers are told which attempt runs, and may say which trace results belong to.
    is_adapted: bool
    #: By input, as far as annotations describe fields.
    validators: Mapping[str, Callable[[Any], Any]]
    #: What `runs show` shows: all outputs of the plan but state and resources; and its encoder.
    shown: tuple[str, ...]
    encode_values: Callable[[Mapping[str, Any], Mapping[str, bytes]], bytes]


def _mappers(
    triggers: Sequence[Trigger], wanted: frozenset[str], base: Mapping[str, Any], validators: Mapping[str, Any]
) -> tuple[Mapper, ...]:
    """By trigger; one for all that map alike."""
    made: dict[object, Mapper] = {}
    found = []
    for trigger in triggers:
        alike = (trigger.spread, None if trigger.map is None else tuple(trigger.map.items()))
        mapper = made.get(alike)
        if mapper is None:
            mapper = compile_inputs(trigger, wanted, base)
            made[alike] = mapper = validating(mapper, base, validators) if validators else mapper
        found.append(mapper)
    return tuple(found)


#: Plans beside the default one that are kept ready, the latest.
_VARIANTS = 64

#: A plan, its inputs, and the scope of topic templates; None: the captures are enough.
Ready = tuple[Compiled, dict[str, Any], dict[str, Any] | None]


def _traced(publication: Publication) -> Publication:
    """A result that belongs to the trace of its run, where an adapter makes one."""
    running = RUNNING.get()
    if running is None or not running.sent_traceparent:
        return publication
    properties = publication.properties
    user = tuple(pair for pair in properties.user if pair[0] != "traceparent")
    user = (*user, ("traceparent", running.sent_traceparent))
    return replace(publication, properties=replace(properties, user=user))


class PipelineHandler:
    """The Handler of one pipeline. Never raises: whatever happens is in the result."""

    def __init__(
        self,
        pipeline: Pipeline,
        plans: PlanSource,
        formats: Formats,
        result_topic: Callable[[str], str],
        *,
        publishes: bool = True,
        commands: str = "",
        hooks: Hooks | None = None,
        adapters: Callable[[Mapping[str, bool]], Sequence[Any]] = lambda _asked: (),
        retained: Retained = lambda _topic, _timeout: None,
    ) -> None:
        """`result_topic`: where a node's value goes that names no topic. Without `publishes` nothing goes anywhere.

        `commands`: how topics begin that no message may choose for a result. `adapters`: those of a run that turns
        some on and off. `retained` asks the broker for a topic's retained message.
        """
        self._pipeline = pipeline
        self._plans = plans
        self._formats = formats
        self._result_topic = result_topic
        self._publishes = publishes
        self._commands = commands
        self._hooks = hooks or Hooks()
        self._retained = retained
        # Thousands of triggers may differ in nothing but their topics.
        decoders = {format_: formats.decoder(format_) for format_ in {each.format for each in pipeline.triggers}}
        self._decoders = tuple(decoders[trigger.format] for trigger in pipeline.triggers)
        self._adapters = adapters
        found = adapters({})
        self._default = self._compile(plans.plan(pipeline, adapters=found), pipeline.final_vars, found)
        self._variants: dict[tuple[int, tuple[str, ...]], Compiled] = {}
        self._lock = threading.Lock()
        #: Takes the place of `_ready` on a loop, where hooks or resources may await.
        self._hooks_wait: Callable[[Attempt], Awaitable[Ready]] | None = None
        #: Some node of the plan awaits.
        self.is_async = self._default.plan.is_async

    def handle(self, attempt: Attempt) -> AttemptResult:
        """Run one attempt on the calling thread."""
        started_at, started = datetime.now(UTC), time.perf_counter()
        compiled, tracing = self._default, None
        try:
            compiled, inputs, scope = self._ready(attempt)
            if compiled.is_adapted:
                self._announce(attempt, compiled, scope)
            if compiled.is_watched:
                tracing = Tracing(compiled.plan, attempt, traced=compiled.is_traced)
            values = (tracing or compiled.plan).execute(inputs)
            return self._returned(attempt, compiled, values, scope, started_at, started, tracing)
        except BaseException as error:  # noqa: BLE001 - a plan's SystemExit must not end a worker
            return self._failed(attempt, compiled, error, started_at, started, tracing)

    async def handle_async(self, attempt: Attempt) -> AttemptResult:
        """Run one attempt on the running loop; a cancellation passes through."""
        started_at, started = datetime.now(UTC), time.perf_counter()
        compiled, tracing = self._default, None
        try:
            ready = self._ready(attempt) if self._hooks_wait is None else await self._hooks_wait(attempt)
            compiled, inputs, scope = ready
            if compiled.is_adapted:
                self._announce(attempt, compiled, scope)
            if compiled.is_watched:
                tracing = Tracing(compiled.plan, attempt, traced=compiled.is_traced)
            plan = tracing or compiled.plan
            values = await plan.execute_async(inputs) if plan.is_async else plan.execute(inputs)
            return self._returned(attempt, compiled, values, scope, started_at, started, tracing)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - see `handle`
            return self._failed(attempt, compiled, error, started_at, started, tracing)

    def _compile(self, plan: Plan, asked: Sequence[str], adapters: Sequence[Any]) -> Compiled:
        pipeline = self._pipeline
        wanted = frozenset(plan.inputs)
        resources = self._hooks.resources
        params = {name: value for name, value in pipeline.params.items() if name not in resources}
        base = {name: value for name, value in {**params, **pipeline.inputs}.items() if name in wanted}
        validators = {name: check for name, check in plan.validators.items() if name not in resources}
        base |= validated_settings(pipeline, base, validators)
        # A key's first run: None, or the parameter's own default where it has one.
        base |= dict.fromkeys((name for name in pipeline.state.values() if plan.inputs.get(name)), None)
        computed = set(plan.outputs) if self._publishes else set()
        facts = (("pipeline", pipeline.name), ("version", plan.ref.version))
        outputs = tuple(
            CompiledOutput(output, self._result_topic(output.node), self._formats, facts, commands=self._commands)
            for output in pipeline.outputs
            if output.node in computed
        )
        shown = tuple(
            name for name in plan.outputs if (name not in pipeline.state or name in asked) and name not in resources
        )
        is_traced = traces(pipeline, plan, message=True)
        return Compiled(
            plan=plan,
            version=plan.ref.version,
            wanted=wanted,
            base=base,
            mappers=_mappers(pipeline.triggers, wanted, base, validators),
            outputs=outputs,
            needs_scope=any(output.needs_scope for output in outputs),
            is_watched=is_traced or plan.is_marked,
            is_traced=is_traced,
            is_adapted=bool(adapters) or plan.uses_broker,
            validators=validators,
            shown=shown,
            encode_values=self._formats.values_encoder(shown),
        )

    def _variant(self, plan: Plan, asked: tuple[str, ...], adapters: Sequence[Any]) -> Compiled:
        """A plan that is not the default one: message hooks may ask for the same few again and again."""
        key = (id(plan), asked)
        with self._lock:
            found = self._variants.get(key)
            if found is None:
                if len(self._variants) >= _VARIANTS:
                    del self._variants[next(iter(self._variants))]
                # It keeps its plan, so that no other can have the same id.
                found = self._variants[key] = self._compile(plan, asked, adapters)
            return found

    def _ready(self, attempt: Attempt) -> Ready:
        """What is needed to execute an attempt's plan."""
        message, compiled = attempt.message, self._default
        if message is None or attempt.trigger is None or attempt.request:
            return self._asked(attempt)
        trigger = self._pipeline.triggers[attempt.trigger]
        payload = self._decoders[attempt.trigger](message.payload, message.properties.content_type)
        if trigger.key is not None and attempt.key is None:
            self._must_have_key(attempt, trigger, payload)
        inputs = compiled.mappers[attempt.trigger](payload, message, attempt.captures)
        if self._pipeline.state:
            self._add_state(attempt, compiled, inputs)
        scope = self._scope(attempt, scope_of(payload, message, attempt.captures)) if compiled.needs_scope else None
        return compiled, inputs, scope

    def _asked(self, attempt: Attempt, unpacked: Unpacked | None = None) -> Ready:
        """The same for a run that a command asked for, or the calendar: command > map > run.inputs > params.

        `unpacked`: what message hooks made of the message; what they give stands between command and map.
        """
        compiled = self._default
        request = self._formats.decode_request(attempt.request) if attempt.request else {}
        if unpacked is not None and unpacked.config:
            request = {**request, "config": {**unpacked.config, **(request.get("config") or {})}}
        pipeline = with_cache(self._pipeline, request.get("cache"))
        changed = pipeline is not self._pipeline or request.get("with_adapter")
        if changed or request.get("final_vars") or request.get("config"):
            final_vars, config = request.get("final_vars"), request.get("config")
            adapters = self._adapters(request.get("with_adapter") or {})
            plan = self._plans.plan(pipeline, final_vars=final_vars, config=config, adapters=adapters)
            compiled = self._variant(plan, tuple(final_vars or self._pipeline.final_vars), adapters)
        inputs = dict(compiled.base)
        scope: dict[str, Any] = {}
        message = attempt.message
        if message is None and traces(pipeline, compiled.plan, message=False):
            compiled = replace(compiled, is_watched=True, is_traced=True)
        if message is not None and attempt.trigger is not None:
            trigger = self._pipeline.triggers[attempt.trigger]
            payload = self._payload(attempt, message) if unpacked is None else unpacked.payload
            scope = scope_of(payload, message, attempt.captures)
            if trigger.key is not None and attempt.key is None:
                self._must_have_key(attempt, trigger, payload if unpacked is None else unpacked.original)
            inputs = compiled.mappers[attempt.trigger](payload, message, attempt.captures)
        if unpacked is not None:
            inputs.update(validated(unpacked.inputs, compiled.validators))
        inputs.update(scheduled_inputs(request, compiled.wanted))
        inputs.update(validated(request.get("inputs") or {}, compiled.validators))
        # Without a message there are no captures: inputs of the same name fill a topic's placeholders.
        scope = scope or dict(inputs)
        self._add_state(attempt, compiled, inputs)
        return compiled, inputs, self._scope(attempt, scope)

    def _announce(self, attempt: Attempt, compiled: Compiled, scope: dict[str, Any] | None) -> None:
        """Tell adapters, loaders and savers, in this attempt's context, what runs."""
        message = attempt.message
        trace = None if message is None else message.properties.user_value("traceparent")
        RUNNING.set(
            Running(
                run_id=attempt.run_id,
                attempt=attempt.number,
                pipeline=self._pipeline.name,
                version=compiled.version,
                topic="" if message is None else message.topic,
                traceparent=trace or "",
                resources=frozenset(self._hooks.resources),
            )
        )
        if compiled.plan.uses_broker:
            filled = self._scope(attempt, dict(attempt.captures)) if scope is None else scope
            facts = (("pipeline", self._pipeline.name), ("version", compiled.version))
            EXCHANGE.set(RunExchange(attempt, self._formats, self._retained, filled, facts, commands=self._commands))

    def _payload(self, attempt: Attempt, message: Message) -> Any:
        assert attempt.trigger is not None
        return self._decoders[attempt.trigger](message.payload, message.properties.content_type)

    def _scope(self, attempt: Attempt, scope: dict[str, Any]) -> dict[str, Any]:
        return {**scope, "pipeline": self._pipeline.name, "key": attempt.key or ""}

    def _add_state(self, attempt: Attempt, compiled: Compiled, inputs: dict[str, Any]) -> None:
        if self._pipeline.state and attempt.state is not None:
            state = self._formats.decode_state(attempt.state)
            kept = {name: state.get(node) for node, name in self._pipeline.state.items() if name in compiled.wanted}
            inputs.update(validated(kept, compiled.validators) if compiled.validators else kept)

    def _must_have_key(self, attempt: Attempt, trigger: Trigger, payload: Any) -> None:
        """Explain why a message got no key: without one its order, and whose state it is, are unknown."""
        assert attempt.message is not None
        assert trigger.key is not None
        scope = scope_of(payload, attempt.message, attempt.captures)
        try:
            parse(trigger.key).render({**scope, "pipeline": self._pipeline.name})
        except TemplateError as error:
            raise InputInvalid(str(error), where=f"key {trigger.key}") from None

    def _returned(
        self,
        attempt: Attempt,
        compiled: Compiled,
        values: dict[str, Any],
        scope: dict[str, Any] | None,
        started_at: datetime,
        started: float,
        tracing: Tracing | None,
    ) -> AttemptResult:
        publications: list[Publication] = []
        #: Node -> JSON of its value, so that it is encoded once.
        known: dict[str, bytes] = {}
        for output in compiled.outputs:
            value = values.get(output.node)
            if value is None:
                continue
            if output.each:
                for item in output.items(value):
                    publications.append(output.publication(attempt, item, scope, len(publications))[0])
                continue
            publication, text = output.publication(attempt, value, scope, len(publications))
            publications.append(publication)
            if text is not None:
                known[output.node] = text
        if compiled.is_adapted:
            if compiled.plan.uses_broker:
                publications += saved(len(publications))
            publications = [_traced(publication) for publication in publications]
        encode_values = compiled.encode_values
        if tracing is not None and len(values) < len(compiled.plan.outputs):
            encode_values = self._formats.values_encoder([name for name in compiled.shown if name in values])
        return AttemptResult(
            run_id=attempt.run_id,
            number=attempt.number,
            ended=Ended.RETURNED,
            version=compiled.version,
            started_at=started_at,
            duration=time.perf_counter() - started,
            publications=tuple(publications),
            values=encode_values(values, known),
            state=self._new_state(attempt, values) if self._pipeline.state else None,
            nodes=None if tracing is None else tracing.returned(values),
        )

    def _new_state(self, attempt: Attempt, values: Mapping[str, Any]) -> bytes | None:
        """The key's new state; nodes that were skipped keep their value."""
        new = {node: values[node] for node in self._pipeline.state if node in values}
        if len(new) < len(self._pipeline.state) and attempt.state is not None:
            new = {**self._formats.decode_state(attempt.state), **new}
        return self._formats.encode_state(new) if new else None

    def _failed(
        self,
        attempt: Attempt,
        compiled: Compiled,
        error: BaseException,
        started_at: datetime,
        started: float,
        tracing: Tracing | None,
    ) -> AttemptResult:
        duration = time.perf_counter() - started
        cause, failure = self._explained(compiled, error)
        return AttemptResult(
            run_id=attempt.run_id,
            number=attempt.number,
            ended=Ended.REJECTED if isinstance(cause, Rejected) else Ended.RAISED,
            version=compiled.version,
            started_at=started_at,
            duration=duration,
            failure=failure,
            nodes=None if tracing is None else tracing.raised(cause),
        )

    def _explained(self, compiled: Compiled, error: BaseException) -> tuple[BaseException, Failure]:
        """What the user's code raised, and what is told of it."""
        return error, failure_of(error, node=compiled.plan.failed_node(error))
