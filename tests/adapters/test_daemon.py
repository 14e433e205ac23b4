"""Adapters of a daemon: traces from message to message, servers that hang, nodes of every kind."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from functools import partial
from typing import Any

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from fp_events.adapters import sender
from fp_events.adapters.sender import flush_all
from fp_events.adapters.trouble import Trouble
from fp_events.domain.run import Ended
from tests.brokers import mosquitto
from tests.cli.conftest import Daemon

from .collectors import attributes, http_collector
from .conftest import Plant, attempt
from .test_opentelemetry import ON, PARENT, TRACE, tree

FIRST = "def doubled(n: int) -> int:\n    return 2 * n\n"
SECOND = "def tripled(n: int) -> int:\n    return 3 * n\n"


async def test_a_chain_of_pipelines_is_one_trace(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a message, over a real broker, to the result of the second; a drain sends what waits."""
    with http_collector() as (port, spans):
        plant.project(adapter={"opentelemetry": {"host": "127.0.0.1", "port": port}}, run=ON)
        mapping = {"n": "payload"}
        plant.pipeline(
            "first", FIRST, triggers=[{"topic": "a", "map": mapping}], outputs=[{"node": "doubled", "topic": "b"}]
        )
        plant.pipeline(
            "second", SECOND, triggers=[{"topic": "b", "map": mapping}], outputs=[{"node": "tripled", "topic": "c"}]
        )
        async with mosquitto() as broker:
            monkeypatch.setenv("FP_EVENTS_MQTT__URL", f"mqtt://127.0.0.1:{broker.port}")
            daemon = Daemon(plant.folder)
            try:
                await asyncio.to_thread(daemon.serving)
                result = await _through(broker.port)
                code, _ = await asyncio.to_thread(daemon.end)
            finally:
                daemon.kill()

    assert (0, b"12") == (code, result.payload)
    assert {"first": "b7ad6b7169203331", "doubled": "first", "second": "first", "tripled": "second"} == tree(spans)
    assert {TRACE} == {span.trace_id.hex() for span in spans.all}
    (second,) = spans.named("second")
    carried = dict(result.properties.UserProperty)["traceparent"]
    assert f"00-{TRACE}-{second.span_id.hex()}-01" == carried


async def _through(port: int) -> Any:
    """Publish 2 on a, with a trace; what comes on c."""
    async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe("c", qos=1)
        make: Any = Properties
        properties = make(PacketTypes.PUBLISH)
        properties.UserProperty = [("traceparent", PARENT)]
        await client.publish("a", b"2", qos=1, properties=properties)
        async with asyncio.timeout(20):
            async for message in client.messages:
                return message
    raise AssertionError("nothing came")


def test_a_server_that_hangs_holds_up_no_run(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes connections and answers nothing: runs go on as if it were not there."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        plant.project(
            adapter={
                "mlflow": {"tracking_uri": f"http://127.0.0.1:{port}"},
                "hamilton_tracker": {"username": "me", "project_id": 1, "api_url": f"http://127.0.0.1:{port}"},
            }
        )
        on = dict.fromkeys(("mlflow", "hamilton_tracker"), True)
        plant.pipeline(run={"with_adapter": on}, triggers=[{"topic": "in/x", "map": {"n": "payload.n"}}])
        handler = plant.handler()
        handler.handle(attempt({"n": 1}))  # imports what it needs
        began = time.monotonic()

        ended = [handler.handle(attempt({"n": n}, run_id=str(n))).ended for n in range(4, 54)]

        took = time.monotonic() - began
    flush_all()  # nobody listens any more
    assert [Ended.RETURNED] * 50 == ended
    assert took < 4.0, "ten seconds are what one request waits"


BRANCHES = """
from hamilton.htypes import Collect, Parallelizable


def item(n: int) -> Parallelizable[int]:
    yield from range(n)


def squared(item: int) -> int:
    return item * item


def total(squared: Collect[int]) -> int:
    return sum(squared)
"""


async def test_branches_are_spans_too(plant: Plant) -> None:
    """Nodes that Hamilton's driver runs in threads are below their run, each with its task."""
    with http_collector() as (port, spans):
        plant.project(adapter={"opentelemetry": {"host": "127.0.0.1", "port": port}}, run=ON)
        plant.pipeline(code=BRANCHES)

        report = await plant.run(3)
        flush_all()

    assert {"total": 5} == report.values
    assert {"work": "", "item": "work", "squared": "work", "total": "work"} == tree(spans)
    assert 3 == len({attributes(span)["fp_events.task"] for span in spans.named("squared")})


CONDITION = """
from fp_events import when


@when(lambda n: n > 5)
def alarm(n: int) -> str:
    return "high"


def note(n: int, alarm: str | None) -> str:
    return alarm or "fine"
"""


async def test_a_skipped_node_says_so(plant: Plant) -> None:
    """Its span has an attribute, and is no error."""
    with http_collector() as (port, spans):
        plant.project(adapter={"opentelemetry": {"host": "127.0.0.1", "port": port}}, run=ON)
        plant.pipeline(code=CONDITION)

        reports = [await plant.run(n) for n in (3, 7)]
        flush_all()

    assert ["fine", "high"] == [report.values["note"] for report in reports]
    skipped = [[each.value.bool_value for each in span.attributes if each.key == "fp_events.skipped"]
               for span in spans.named("alarm")]  # fmt: skip
    assert [[True], []] == skipped


def test_a_thread_ends_when_there_is_nothing_to_tell(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """And begins again: a daemon that reloads keeps none of those before."""
    monkeypatch.setattr(sender, "_IDLE", 0.01)
    told: list[int] = []
    made = sender.Sender(Trouble("mlflow", "idle"))

    def tell(number: int) -> bool:
        told.append(number)
        return True

    for number in range(3):
        made.put(partial(tell, number))
        while any(thread.name == "adapter mlflow of idle" for thread in threading.enumerate()):
            time.sleep(0.002)

    assert [0, 1, 2] == told
