"""OpenTelemetry: a span for each attempt and one for each of its nodes, in the trace of the message that caused it."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hamilton.lifecycle import base
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from fp_events.domain.adapters import RUNNING, Running

from .span_export import provider_to
from .trouble import Trouble, harmless

_W3C: Final = TraceContextTextMapPropagator()


@dataclass(slots=True)
class _Entered:
    """A span that goes on, and is the current one where it was begun."""

    span: trace.Span
    token: Any
    #: Thread and task: only there can it stop being the current one.
    place: tuple[Any, ...]


@dataclass(slots=True)
class _Open:
    """An attempt that goes on."""

    run: _Entered
    #: What spans of its nodes have as parent.
    context: contexts.Context
    #: By node, with its task where there are several of them.
    nodes: dict[tuple[str, str | None], _Entered] = field(default_factory=dict)


class Spans(base.BasePreGraphExecute, base.BasePostGraphExecute, base.BasePreNodeExecute, base.BasePostNodeExecute):
    """Makes the spans of one pipeline. While a node runs its span is the current one, for spans of its libraries."""

    def __init__(self, pipeline: str, settings: Mapping[str, Any]) -> None:
        self.trouble = Trouble("opentelemetry", pipeline)
        self._pipeline = pipeline
        self._settings = settings
        self._open: dict[str, _Open] = {}
        self._tracers: dict[int, trace.Tracer] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process: the same, with a connection of its own."""
        return Spans, (self._pipeline, dict(self._settings))

    @harmless
    def pre_graph_execute(self, *, run_id: str, **_: Any) -> None:
        """An attempt begins."""
        running = RUNNING.get() or Running(run_id=run_id, attempt=1, pipeline=self._pipeline, version="")
        parent = _W3C.extract({"traceparent": running.traceparent}) if running.traceparent else contexts.Context()
        kind = trace.SpanKind.CONSUMER if running.topic else trace.SpanKind.INTERNAL
        span = self._tracer().start_span(
            self._pipeline, parent, kind, _about(running), record_exception=False, set_status_on_exception=False
        )
        context = trace.set_span_in_context(span, parent)
        self._open[run_id] = _Open(_enter(span, context), context)
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, context)
        running.sent_traceparent = carrier.get("traceparent", "")

    @harmless
    def pre_node_execute(self, *, run_id: str, node_: Any, task_id: str | None = None, **_: Any) -> None:
        """A node begins."""
        run = self._open.get(run_id)
        if run is None:
            return
        attributes = {"fp_events.node": node_.name, "fp_events.pipeline": self._pipeline}
        if task_id:
            attributes["fp_events.task"] = task_id
        span = self._tracer().start_span(
            node_.name, run.context, attributes=attributes, record_exception=False, set_status_on_exception=False
        )
        run.nodes[node_.name, task_id] = _enter(span, trace.set_span_in_context(span, run.context))

    @harmless
    def post_node_execute(
        self,
        *,
        run_id: str,
        node_: Any,
        success: bool = True,
        error: BaseException | None = None,
        task_id: str | None = None,
        **_: Any,
    ) -> None:
        """It has ended."""
        run = self._open.get(run_id)
        entered = run.nodes.pop((node_.name, task_id), None) if run is not None else None
        if entered is None:
            return
        if error is None and sys.exc_info()[1] is not None:
            # What passes through and is no error: a condition has skipped the node.
            entered.span.set_attribute("fp_events.skipped", True)
        _leave(entered, success, error)

    @harmless
    def post_graph_execute(
        self, *, run_id: str, success: bool = True, error: BaseException | None = None, **_: Any
    ) -> None:
        """An attempt has ended."""
        run = self._open.pop(run_id, None)
        if run is None:
            return
        for entered in run.nodes.values():
            # Cancelled with the run.
            _leave(entered, False, None)
        _leave(run.run, success, error)

    def _tracer(self) -> trace.Tracer:
        tracer = self._tracers.get(os.getpid())
        if tracer is None:
            provider = provider_to(self._settings, self.trouble)
            tracer = self._tracers[os.getpid()] = provider.get_tracer("fp_events")
        return tracer


def _about(running: Running) -> dict[str, str | int]:
    about: dict[str, str | int] = {
        "fp_events.pipeline": running.pipeline,
        "fp_events.run_id": running.run_id,
        "fp_events.attempt": running.attempt,
    }
    if running.version:
        about["fp_events.version"] = running.version
    if running.topic:
        about |= {
            "messaging.system": "mqtt",
            "messaging.operation.type": "process",
            "messaging.destination.name": running.topic,
        }
    return about


def _facts(error: BaseException) -> dict[str, str]:
    """As `Span.record_exception` has them, but of text that can be sent: else a whole batch could not."""
    kind = type(error)
    return {
        "exception.type": kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}",
        "exception.message": _sendable(str(error)),
        "exception.stacktrace": _sendable("".join(traceback.format_exception(error))),
    }


def _sendable(text: str) -> str:
    return text.encode(errors="replace").decode()


def _place() -> tuple[Any, ...]:
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return threading.get_ident(), id(task)


def _enter(span: trace.Span, context: contexts.Context) -> _Entered:
    return _Entered(span, contexts.attach(context), _place())


def _leave(entered: _Entered, success: bool, error: BaseException | None) -> None:
    if entered.place == _place():
        contexts.detach(entered.token)
    if error is not None:
        entered.span.add_event("exception", _facts(error))
        entered.span.set_status(trace.StatusCode.ERROR, _sendable(f"{type(error).__name__}: {error}"))
    elif success:
        entered.span.set_status(trace.StatusCode.OK)
    else:
        entered.span.set_status(trace.StatusCode.ERROR, "cancelled")
    entered.span.end()
