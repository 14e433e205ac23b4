"""Spans of runs and nodes, at a real collector."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from fp_events.adapters import span_export
from fp_events.adapters.sender import flush_all
from fp_events.app.single import Call
from fp_events.domain.pipeline import ExecutorSpec

from .collectors import Spans, attributes, grpc_collector, http_collector
from .conftest import CODE, Plant, attempt

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
ON = {"with_adapter": {"opentelemetry": True}}


def tree(spans: Spans) -> dict[str, str]:
    """Span to its parent, by name; the run's to the id that it names."""
    names = {span.span_id: span.name for span in spans.all}
    return {span.name: names.get(span.parent_span_id, span.parent_span_id.hex()) for span in spans.all}


async def test_a_run_and_its_nodes_are_spans(plant: Plant) -> None:
    """The nodes' are below the run's, which says what ran."""
    with http_collector() as (port, spans):
        plant.project(adapter={"opentelemetry": {"host": "127.0.0.1", "port": port}})
        plant.pipeline(run=ON)

        report = await plant.run(7)
        flush_all()

    assert {"work": "", "doubled": "work", "report": "work", "text": "work"} == tree(spans)
    (run,) = spans.named("work")
    about = attributes(run)
    assert (report.run_id, 1, "work") == tuple(about[f"fp_events.{name}"] for name in ("run_id", "attempt", "pipeline"))
    assert Status.STATUS_CODE_OK == run.status.code
    assert {"plant"} == spans.services
    assert all(run.start_time_unix_nano <= span.start_time_unix_nano for span in spans.all)
    assert all(span.end_time_unix_nano <= run.end_time_unix_nano for span in spans.all)


async def test_a_run_belongs_to_the_trace_of_its_message(plant: Plant) -> None:
    """And what it publishes belongs to the run."""
    with http_collector() as (port, spans):
        plant.project(adapter={"opentelemetry": {"endpoint": f"http://127.0.0.1:{port}/v1/traces"}})
        plant.pipeline(
            run=ON, triggers=[{"topic": "in/x", "map": {"n": "payload.n"}}], outputs=[{"node": "text", "topic": "out"}]
        )

        result = plant.handler().handle(attempt({"n": 1}, traceparent=PARENT))
        flush_all()

    (run,) = spans.named("work")
    assert (TRACE, "b7ad6b7169203331") == (run.trace_id.hex(), run.parent_span_id.hex())
    assert Span.SPAN_KIND_CONSUMER == run.kind
    assert "in/x" == attributes(run)["messaging.destination.name"]
    (publication,) = result.publications
    assert f"00-{TRACE}-{run.span_id.hex()}-01" == publication.properties.user_value("traceparent")


async def test_a_message_without_a_trace_begins_one(plant: Plant) -> None:
    """Its results carry it on; without the adapter they carry nothing."""
    triggers, outputs = [{"topic": "in/x", "map": {"n": "payload.n"}}], [{"node": "text", "topic": "out"}]
    with http_collector() as (port, spans):
        plant.project(adapter={"opentelemetry": {"host": "127.0.0.1", "port": port}})
        plant.pipeline(run=ON, triggers=triggers, outputs=outputs)
        plant.pipeline("plain", triggers=triggers, outputs=outputs)

        (traced,) = plant.handler().handle(attempt({"n": 1})).publications
        (plain,) = plant.handler("plain").handle(attempt({"n": 1})).publications
        flush_all()

    (run,) = spans.named("work")
    carried = traced.properties.user_value("traceparent") or ""
    assert ["00", run.trace_id.hex(), run.span_id.hex()] == carried.split("-")[:3]
    assert plain.properties.user_value("traceparent") is None


async def test_a_failed_node_has_its_exception(plant: Plant) -> None:
    """The run's span fails with it, and each attempt has its own; whatever characters its text has."""
    with http_collector() as (port, spans):
        plant.project(adapter={"opentelemetry": {"host": "127.0.0.1", "port": port}})
        plant.pipeline(code=CODE.replace("six is refused", "six is refused \\udc80"), run=ON)

        await plant.run(3, max_retries=1, retry_delay=0.0)
        flush_all()

    failed = spans.named("work") + spans.named("report")
    assert [Status.STATUS_CODE_ERROR] * 4 == [span.status.code for span in failed]
    assert {"ValueError: six is refused ?"} == {span.status.message for span in failed}
    assert {1, 2} == {attributes(span)["fp_events.attempt"] for span in spans.named("work")}
    (event,) = spans.named("report")[0].events
    assert ("exception", "six is refused ?") == (event.name, attributes(event)["exception.message"])
    assert [] == spans.named("text")


AWAITING = """
import asyncio
from opentelemetry import trace


async def left(n: int) -> str:
    await asyncio.sleep(0.01)
    return format(trace.get_current_span().get_span_context().span_id, "016x")


async def right(n: int) -> int:
    await asyncio.sleep(0.005)
    return n


def both(left: str, right: int) -> str:
    return left
"""
BLOCKING = AWAITING.replace("async def", "def").replace("await asyncio.", "__import__('time').")


@pytest.mark.parametrize(
    ("code", "executor"), [(AWAITING, ExecutorSpec("local")), (BLOCKING, ExecutorSpec("threadpool", 25))]
)
async def test_a_hundred_runs_at_once_do_not_mix(plant: Plant, code: str, executor: ExecutorSpec) -> None:
    """Each node is below its own run, and is the current span while it runs."""
    with http_collector() as (port, spans):
        plant.project(adapter={"opentelemetry": {"host": "127.0.0.1", "port": port}})
        plant.pipeline(code=code, run={**ON, "final_vars": ["both"]})

        calls = [Call(pipeline="work", inputs={"n": n}, executor=executor) for n in range(100)]
        reports = await plant.runs(*calls)
        flush_all()

    runs = {attributes(span)["fp_events.run_id"]: span for span in spans.named("work")}
    lefts = {span.span_id.hex(): span for span in spans.named("left")}
    assert (100, 400) == (len(runs), len(spans.all))
    for report in reports:
        run, left = runs[report.run_id], lefts[report.values["both"]]
        assert (run.span_id, run.trace_id) == (left.parent_span_id, left.trace_id)
        assert 3 == sum(span.trace_id == run.trace_id and span is not run for span in spans.all)


@pytest.mark.parametrize(
    ("collector", "settings"), [(grpc_collector, {"protocol": "grpc"}), (http_collector, {"protocol": "http"})]
)
async def test_spans_travel_both_ways(
    plant: Plant, collector: Callable[[], AbstractContextManager[tuple[int, Spans]]], settings: dict[str, str]
) -> None:
    """By gRPC and by HTTP, from a worker process too, which sends them before it ends."""
    with collector() as (port, spans):
        plant.project(adapter={"opentelemetry": {"host": "127.0.0.1", "port": port, **settings}})
        plant.pipeline(run=ON)

        await plant.run(7, executor=ExecutorSpec("processpool", 1))

    assert {"work": "", "doubled": "work", "report": "work", "text": "work"} == tree(spans)


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({}, ("http", "http://localhost:4318/v1/traces")),
        ({"port": 4317}, ("grpc", "http://localhost:4317")),
        ({"protocol": "grpc", "insecure": False, "host": "otel"}, ("grpc", "https://otel:4317")),
        ({"port": 4317, "protocol": "http"}, ("http", "http://localhost:4317/v1/traces")),
        ({"endpoint": "https://otel.example/x"}, ("http", "https://otel.example/x")),
    ],
)
def test_host_and_port_say_where_spans_go(plant: Plant, settings: dict[str, Any], address: tuple[str, str]) -> None:
    """Port 4317 is gRPC's, as in FlowerPower's guide."""
    plant.project(adapter={"opentelemetry": {"host": "localhost", **settings}})

    assert address == span_export.address_of(plant.config().pipelines["work"].adapter["opentelemetry"])


async def test_a_collector_that_is_away_fails_no_run(plant: Plant, told: Any) -> None:
    """It is counted, and told with the reason."""
    plant.project(adapter={"opentelemetry": {"host": "127.0.0.1", "port": 9}})
    plant.pipeline(run=ON)

    report = await plant.run(7)
    flush_all()

    ((event, facts),) = told()
    assert "succeeded" == report.outcome.value
    assert ("adapter_failed", "opentelemetry") == (event, facts["adapter"])
    assert "refused" in facts["error"]
