"""From an attempt to its result: decode, map, execute the plan, encode. The same under every executor."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from fp_events.domain.errors import FpEventsError, InputInvalid, Rejected
from fp_events.domain.mapping import compile_inputs, scope_of
from fp_events.domain.message import Properties, Publication
from fp_events.domain.pipeline import Format, Output, Pipeline
from fp_events.domain.ports import Plan
from fp_events.domain.run import Attempt, AttemptResult, Ended, Failure
from fp_events.domain.templates import Template, TemplateError, parse, parse_topic

#: Lines of a traceback that are kept, from its end.
TRACEBACK_LINES = 60
MESSAGE_LENGTH = 4_000


class Formats(Protocol):
    """What a handler needs of the codecs."""

    def decode(self, payload: bytes, *, format: Format | None, content_type: str | None) -> Any:  # noqa: A002 - the field's name
        """The payload's value; raises Undecodable."""

    def encode(self, value: Any, *, nan: Literal["null", "error"] = ...) -> tuple[bytes, str]:
        """Bytes to publish and their content type."""

    def encode_values(self, values: Mapping[str, Any]) -> bytes:
        """JSON of a plan's outputs, for `runs show`; never raises."""

    def encode_state(self, values: dict[str, Any]) -> bytes:
        """State to keep."""

    def decode_state(self, data: bytes) -> dict[str, Any]:
        """State as it was kept."""


class PlanSource(Protocol):
    """Where plans come from; compiled ones are cached."""

    def plan(
        self,
        pipeline: Pipeline,
        *,
        final_vars: Sequence[str] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> Plan:
        """The plan for these outputs and this configuration; raises ConfigError."""


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A plan with what belongs to its inputs and outputs."""

    plan: Plan
    wanted: frozenset[str]
    #: `params` and `run.inputs`, as far as the plan asks for them.
    base: Mapping[str, Any]
    mappers: tuple[Callable[..., dict[str, Any]], ...]
    outputs: tuple[tuple[Output, Template | None], ...]
    #: Outputs shown by `runs show`: all but state.
    shown: tuple[str, ...]


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
    ) -> None:
        """`result_topic`: where a node's value goes that names no topic. Without `publishes` nothing goes anywhere."""
        self._pipeline = pipeline
        self._plans = plans
        self._formats = formats
        self._result_topic = result_topic
        self._publishes = publishes
        self._default = self._compile(plans.plan(pipeline), pipeline.final_vars)

    @property
    def is_async(self) -> bool:
        """Some node of the plan awaits."""
        return self._default.plan.is_async

    def handle(self, attempt: Attempt) -> AttemptResult:
        """Run one attempt on the calling thread."""
        started_at, started = datetime.now(UTC), time.perf_counter()
        compiled = self._default
        try:
            compiled, inputs, scope = self._inputs(attempt)
            values = compiled.plan.execute(inputs)
            return self._returned(attempt, compiled, values, scope, started_at, started)
        except BaseException as error:  # noqa: BLE001 - a plan's SystemExit must not end a worker
            return self._failed(attempt, compiled, error, started_at, started)

    async def handle_async(self, attempt: Attempt) -> AttemptResult:
        """Run one attempt on the running loop; a cancellation passes through."""
        import asyncio

        started_at, started = datetime.now(UTC), time.perf_counter()
        compiled = self._default
        try:
            compiled, inputs, scope = self._inputs(attempt)
            plan = compiled.plan
            values = await plan.execute_async(inputs) if plan.is_async else plan.execute(inputs)
            return self._returned(attempt, compiled, values, scope, started_at, started)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - see `handle`
            return self._failed(attempt, compiled, error, started_at, started)

    def _compile(self, plan: Plan, asked: Sequence[str]) -> _Compiled:
        pipeline = self._pipeline
        wanted = frozenset(plan.inputs)
        base = {name: value for name, value in {**pipeline.params, **pipeline.inputs}.items() if name in wanted}
        # A key's first run: None, or the parameter's own default where it has one.
        base |= dict.fromkeys((name for name in pipeline.state.values() if plan.inputs.get(name)), None)
        computed = set(plan.outputs)
        return _Compiled(
            plan=plan,
            wanted=wanted,
            base=base,
            mappers=tuple(compile_inputs(trigger, wanted) for trigger in pipeline.triggers),
            outputs=tuple(
                (output, parse_topic(output.topic) if output.topic else None)
                for output in pipeline.outputs
                if output.node in computed and self._publishes
            ),
            shown=tuple(name for name in plan.outputs if name not in pipeline.state or name in asked),
        )

    def _inputs(self, attempt: Attempt) -> tuple[_Compiled, dict[str, Any], dict[str, Any]]:
        """The plan, its inputs (command > map > run.inputs > params), and the scope of topic templates."""
        compiled = self._default
        request: dict[str, Any] = json.loads(attempt.request) if attempt.request else {}
        if request.get("final_vars") or request.get("config"):
            final_vars, config = request.get("final_vars"), request.get("config")
            plan = self._plans.plan(self._pipeline, final_vars=final_vars, config=config)
            compiled = self._compile(plan, final_vars or self._pipeline.final_vars)
        inputs = dict(compiled.base)
        message = attempt.message
        scope: dict[str, Any] = {}
        if message is not None and attempt.trigger is not None:
            trigger = self._pipeline.triggers[attempt.trigger]
            payload = self._formats.decode(
                message.payload, format=trigger.format, content_type=message.properties.content_type
            )
            scope = scope_of(payload, message, attempt.captures)
            if trigger.key is not None and attempt.key is None:
                _must_have_key(trigger.key, {**scope, "pipeline": self._pipeline.name})
            inputs.update(compiled.mappers[attempt.trigger](payload, message, attempt.captures))
        inputs.update(request.get("inputs") or {})
        # Without a message there are no captures: inputs of the same name fill a topic's placeholders.
        scope = scope or dict(inputs)
        if self._pipeline.state and attempt.state is not None:
            state = self._formats.decode_state(attempt.state)
            inputs.update(
                (name, state.get(node)) for node, name in self._pipeline.state.items() if name in compiled.wanted
            )
        scope["pipeline"] = self._pipeline.name
        scope["key"] = attempt.key or ""
        return compiled, inputs, scope

    def _returned(
        self,
        attempt: Attempt,
        compiled: _Compiled,
        values: dict[str, Any],
        scope: dict[str, Any],
        started_at: datetime,
        started: float,
    ) -> AttemptResult:
        publications: list[Publication] = []
        for output, topic in compiled.outputs:
            value = values[output.node]
            if value is None:
                continue
            for item in _items(output, value):
                publications.append(self._publication(attempt, output, topic, item, scope, len(publications)))
        state = None
        if self._pipeline.state:
            state = self._formats.encode_state({node: values[node] for node in self._pipeline.state if node in values})
        shown = {name: values[name] for name in compiled.shown}
        return AttemptResult(
            run_id=attempt.run_id,
            number=attempt.number,
            ended=Ended.RETURNED,
            version=compiled.plan.ref.version,
            started_at=started_at,
            duration=time.perf_counter() - started,
            publications=tuple(publications),
            values=self._formats.encode_values(shown),
            state=state,
        )

    def _publication(
        self, attempt: Attempt, output: Output, topic: Template | None, value: Any, scope: dict[str, Any], index: int
    ) -> Publication:
        try:
            text = topic.render_topic({**scope, "value": value}) if topic else self._result_topic(output.node)
            payload, content_type = self._formats.encode(value, nan=output.nan)
        except FpEventsError as error:
            error.where = error.where or f"output '{output.node}'"
            raise
        expiry = None if output.expires_after is None else max(1, round(output.expires_after))
        return Publication(
            # The same for every attempt: a receiver that has seen it may drop the second one.
            event_id=f"{attempt.run_id}:{index}",
            topic=text,
            payload=payload,
            qos=output.qos,
            retain=output.retain,
            properties=Properties(content_type=content_type, message_expiry=expiry),
        )

    def _failed(
        self,
        attempt: Attempt,
        compiled: _Compiled,
        error: BaseException,
        started_at: datetime,
        started: float,
    ) -> AttemptResult:
        return AttemptResult(
            run_id=attempt.run_id,
            number=attempt.number,
            ended=Ended.REJECTED if isinstance(error, Rejected) else Ended.RAISED,
            version=compiled.plan.ref.version,
            started_at=started_at,
            duration=time.perf_counter() - started,
            failure=failure_of(error, node=compiled.plan.failed_node(error)),
        )


def _must_have_key(key: str, scope: Mapping[str, Any]) -> None:
    """Explain why a message got no key: without one its order, and whose state it is, are unknown."""
    try:
        parse(key).render(scope)
    except TemplateError as error:
        raise InputInvalid(str(error), where=f"key {key}") from None


def _items(output: Output, value: Any) -> Iterable[Any]:
    """What an output publishes of a value: the value, or with `each` its items (rows, of a table) but None."""
    if not output.each:
        return (value,)
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        value = value.to_dict("records")
    elif hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, list | tuple | set | frozenset | Iterator):
        kind = type(value).__name__
        raise TypeError(f"output '{output.node}': `each: true` needs a list, and the node returned {kind}")
    return (item for item in value if item is not None)


def failure_of(error: BaseException, *, node: str = "") -> Failure:
    """The facts of an exception, as text."""
    lines = traceback.format_exception(error)
    return Failure(
        type=_name(type(error)),
        message=_text(error)[:MESSAGE_LENGTH],
        lineage=tuple(_name(cls) for cls in type(error).__mro__ if cls is not object),
        node=node,
        traceback="".join(lines[-TRACEBACK_LINES:]),
    )


def _name(cls: type) -> str:
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a user's __str__ may raise anything
        return "(its message cannot be printed)"
