"""Topics, payloads and outputs: who gets which message, as what, and what is published."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cbor2
import msgpack
import pytest

from tests.brokers import Mosquitto, acl_lines, mosquitto

from .harness import Listener, cli, send, serving, write_project

BOTH = pytest.mark.parametrize("protocol", ["5", "3.1.1"])


def project(folder: Path, broker: Mosquitto, pipelines: dict[str, tuple[str, str]], protocol: str = "5") -> Path:
    """`pipelines`: name to YAML and code."""
    files = {
        "conf/project.yml": f'name: top\nmqtt: {{url: "mqtt://127.0.0.1:{broker.port}", protocol: "{protocol}"}}\n'
        "events: {status: none}\n"
    }
    for name, (settings, code) in pipelines.items():
        files[f"conf/pipelines/{name}.yml"] = settings
        files[f"pipelines/{name}.py"] = f'"""Of a test."""\n{code}'
    return write_project(folder, files)


def echo(*names: str) -> str:
    """Code of a pipeline that returns its inputs."""
    pairs = ", ".join(f'"{name}": {name}' for name in names)
    return f"def seen({', '.join(f'{name}: str' for name in names)}) -> dict:\n    return {{{pairs}}}\n"


SEEN = "outputs: [{node: seen, topic: 'out/%s'}]\n"


@BOTH
async def test_each_trigger_runs_once_for_a_message(tmp_path: Path, protocol: str) -> None:
    """Overlapping filters, several triggers per pipeline, several pipelines per message: every trigger once."""
    pipelines = {
        "levels": (f'triggers: [{{topic: "plant/{{line}}/{{sensor}}"}}]\n{SEEN % "levels"}', echo("line", "sensor")),
        "rest": (f'triggers: [{{topic: "plant/{{rest#}}"}}]\n{SEEN % "rest"}', echo("rest")),
        "exact": (
            f"triggers: [{{topic: plant/a/temp, map: {{topic: message.topic}}}}]\n{SEEN % 'exact'}",
            echo("topic"),
        ),
        "twice": (
            'triggers: [{topic: "plant/{x}/temp"}, {topic: "plant/a/{x}"}, {topic: "other/{x}"}]\n' + SEEN % "twice",
            echo("x"),
        ),
        "wild": (f'triggers: [{{topic: "+/+/temp", map: {{n: payload.n}}}}]\n{SEEN % "wild"}', echo("n")),
        "off": (f'enabled: false\ntriggers: [{{topic: "plant/#", map: {{n: payload.n}}}}]\n{SEEN % "off"}', echo("n")),
    }
    topics = ["plant/a/temp", "plant/b/temp", "plant/a/hum", "plant/a/temp/deep", "plant", "other/q", "nobody/x"]
    async with (
        mosquitto() as broker,
        Listener(broker.port, "out/#", protocol=protocol) as listener,
        serving(project(tmp_path, broker, pipelines, protocol)) as daemon,
    ):
        for number, topic in enumerate(topics):
            await send(broker.port, topic, {"n": number}, protocol=protocol)
        await listener.next("out/rest", 5)
        await listener.next("out/twice", 5)
        status = await daemon.until(lambda status: status["totals"]["pending"] == 0)
        assert await daemon.stop() == 0

    def seen(name: str) -> list[Any]:
        return sorted((message.json for message in listener.on(f"out/{name}")), key=json.dumps)

    assert seen("levels") == [
        {"line": "a", "sensor": "hum"},
        {"line": "a", "sensor": "temp"},
        {"line": "b", "sensor": "temp"},
    ]
    # `plant/#` matches its parent level too (MQTT 5, 4.7.1.2).
    assert [row["rest"] for row in seen("rest")] == ["", "a/hum", "a/temp", "a/temp/deep", "b/temp"]
    assert seen("exact") == [{"topic": "plant/a/temp"}]
    assert [row["x"] for row in seen("twice")] == ["a", "b", "hum", "q", "temp"]
    assert seen("wild") == [{"n": 0}, {"n": 1}]
    assert seen("off") == []
    by_trigger = [t["received"] for row in status["pipelines"] if row["name"] == "twice" for t in row["triggers"]]
    assert by_trigger == [2, 2, 1]
    assert "nobody/x" not in status["broker"]["granted"]


@BOTH
async def test_retained_messages_are_skipped_or_processed(tmp_path: Path, protocol: str) -> None:
    """By the trigger's word; a message that was just published is processed by both, retained or not."""
    pipelines = {
        "fresh": (f"triggers: [{{topic: in/#, map: {{n: payload.n}}}}]\n{SEEN % 'fresh'}", echo("n")),
        "all": (
            f"triggers: [{{topic: in/+, retained: process, map: {{n: payload.n}}}}]\n{SEEN % 'all'}",
            echo("n"),
        ),
    }
    async with mosquitto() as broker, Listener(broker.port, "out/#", protocol=protocol) as listener:
        await send(broker.port, "in/x", {"n": 1}, retain=True, protocol=protocol)
        async with serving(project(tmp_path, broker, pipelines, protocol)) as daemon:
            await listener.next("out/all")
            await send(broker.port, "in/y", {"n": 2}, retain=True, protocol=protocol)
            await listener.next("out/fresh")
            await listener.next("out/all", 2)
            assert await daemon.stop() == 0
            if protocol == "5":
                # The subscription is not new: retained messages are not sent again (MQTT 5, 3.8.3.1).
                await daemon.start()
                await send(broker.port, "in/z", {"n": 3})
                await listener.next("out/fresh", 2)
                await listener.next("out/all", 3)
                assert await daemon.stop() == 0

    later = [3] if protocol == "5" else []
    assert [message.json["n"] for message in listener.on("out/fresh")] == [2, *later]
    assert [message.json["n"] for message in listener.on("out/all")] == [1, 2, *later]


async def test_system_topics_are_for_those_who_name_them(tmp_path: Path) -> None:
    """`$SYS/…` comes to a trigger that says so, and not to one on `+/#` (MQTT 5, 4.7.2)."""
    pipelines = {
        "version": (
            'triggers: [{topic: "$SYS/broker/{what}", retained: process, map: {what: topic.what}}]\n'
            + SEEN % "system/{what}",
            echo("what"),
        ),
        "rest": (
            'triggers: [{topic: "+/broker/#", retained: process, map: {topic: message.topic}}]\n' + SEEN % "rest",
            echo("topic"),
        ),
    }
    async with (
        mosquitto() as broker,
        Listener(broker.port, "out/#") as listener,
        serving(project(tmp_path, broker, pipelines)) as daemon,
    ):
        await listener.next("out/system/version")
        await send(broker.port, "a/broker/b", "x")
        await listener.next("out/rest")
        await daemon.until(lambda status: status["totals"]["pending"] == 0)
        assert await daemon.stop() == 0

    assert [message.json for message in listener.on("out/rest")] == [{"topic": "a/broker/b"}]


async def test_filters_that_nobody_wants_any_more_are_unsubscribed(tmp_path: Path) -> None:
    """After a change of the configuration the broker's session brings the new topics only."""

    def write(topic: str) -> Path:
        settings = f"triggers: [{{topic: {topic}, map: {{topic: message.topic}}}}]\n{SEEN % 'x'}"
        return project(tmp_path, broker, {"moving": (settings, echo("topic"))})

    async with (
        mosquitto() as broker,
        Listener(broker.port, "out/#") as listener,
        serving(write("old/+")) as daemon,
    ):
        await send(broker.port, "old/1", "x")
        await listener.next("out/x")
        assert await daemon.stop() == 0
        write("new/+")
        await daemon.start()
        await send(broker.port, "old/2", "x")
        await send(broker.port, "new/3", "x")
        await listener.next("out/x", 2)
        status = await daemon.ask("status")
        assert await daemon.stop() == 0

    assert [message.json["topic"] for message in listener.on("out/x")] == ["old/1", "new/3"]
    assert (status["broker"]["session_present"], list(status["broker"]["granted"])) == (True, ["new/+"])
    assert (status["totals"]["received"], status["totals"]["unmatched"]) == (1, 0)


async def test_messages_expire_at_the_broker_and_in_the_ledger(tmp_path: Path) -> None:
    """Too old: dropped by the broker while the daemon is away, EXPIRED if it waited here; never a dead letter."""
    settings = "triggers: [{topic: in/%s, map: {n: payload.n}%s}]\noutputs: [{node: seen, topic: out/%s%s}]\n"
    pipelines = {
        "plain": (settings % ("plain", "", "plain", ", expires_after: 1h"), echo("n")),
        "short": (settings % ("short", ", expires_after: 0.3s", "short", ""), echo("n")),
    }
    one = [("message-expiry-interval", "1")]
    async with mosquitto() as broker, Listener(broker.port, "out/#", "fp/top/dlq/#") as listener:
        folder = project(tmp_path, broker, pipelines)
        async with serving(folder) as daemon:
            for name in pipelines:
                await daemon.ask("pause", pipeline=name)
            await send(broker.port, "in/plain", {"n": 1}, properties=one)
            await send(broker.port, "in/plain", {"n": 2}, properties=[("message-expiry-interval", "100")])
            await send(broker.port, "in/short", {"n": 3})
            waiting = await daemon.until(lambda status: status["totals"]["pending"] == 3)
            for name in pipelines:
                oldest = (await daemon.ask("runs.list", pipeline=name))["runs"][-1]
                await past(await daemon.ask("runs.show", run_id=oldest["run_id"]))
            for name in pipelines:
                await daemon.ask("resume", pipeline=name)
            runs = [*await daemon.runs("plain", 2), *await daemon.runs("short")]
            (second,) = await listener.next("out/plain")
            assert await daemon.stop() == 0

            await send(broker.port, "in/plain", {"n": 4}, properties=one)
            await send(broker.port, "in/plain", {"n": 5})
            # The broker counts whole seconds.
            await asyncio.sleep(2.1)
            await daemon.start()
            await listener.next("out/plain", 2)
            received = (await daemon.ask("status"))["totals"]["received"]
            assert await daemon.stop() == 0

    assert waiting["totals"]["pending"] == 3
    assert [(run["outcome"], run["dead_letter"]) for run in runs] == [
        ("expired", False),
        ("succeeded", False),
        ("expired", False),
    ]
    assert second.properties["message-expiry-interval"] == 3600
    assert [message.json["n"] for message in listener.on("out/plain")] == [2, 5]
    assert (received, len(listener.messages)) == (1, 2)


async def past(run: dict[str, Any]) -> None:
    """Wait until a run is past its expiry."""
    left = datetime.fromisoformat(run["expires_at"]) - datetime.now(UTC)
    await asyncio.sleep(max(0.0, left.total_seconds()) + 0.02)


OUTPUTS = """\
triggers: [{topic: "in/{line}/{case}"}]
outputs:
  - {node: items, topic: "items/{line}/{value.id}", each: true}
  - {node: maybe, topic: "maybe/{case}"}
  - {node: kept, topic: "kept/{line}", retain: true, qos: 1}
  - {node: fast, topic: "fast/{payload.sub.name}", qos: 0}
  - plain
"""
OUTPUTS_PY = """
def items(payload: dict) -> list:
    return payload["items"]


def maybe(payload: dict) -> int | None:
    return payload.get("maybe")


def kept(payload: dict) -> str:
    return payload["kept"]


def fast(payload: dict) -> bytes:
    return b"\\x00\\x01"


def plain(payload: dict) -> bool:
    return False
"""


async def test_what_a_node_returns_is_what_is_published(tmp_path: Path) -> None:
    """One message per item, nothing for None, something for False; topics from captures, payload and value."""
    first = {"items": [{"id": 1}, {"id": "b"}], "maybe": 0, "kept": "on", "sub": {"name": "n"}}
    second = {"items": [], "kept": "", "sub": {"name": "n"}}
    wrong = {"items": [{"id": "a/b"}, {"id": "+"}], "kept": "x", "sub": {"name": "n"}}
    filters = ("items/#", "maybe/#", "fast/#", "fp/top/results/#", "fp/top/dlq/#")
    async with (
        mosquitto() as broker,
        Listener(broker.port, *filters) as listener,
        serving(project(tmp_path, broker, {"many": (OUTPUTS, OUTPUTS_PY)})) as daemon,
    ):
        await send(broker.port, "in/l1/one", first)
        await listener.next("fp/top/results/many/plain")
        async with Listener(broker.port, "kept/#") as keeper:
            (kept,) = await keeper.next("kept/l1")
            await send(broker.port, "in/l1/two", second)
            (_, cleared) = await keeper.next("kept/l1", 2)
        await listener.next("fp/top/results/many/plain", 2)
        await send(broker.port, "in/l1/three", wrong)
        (letter,) = await listener.next("fp/top/dlq/many")
        async with Listener(broker.port, "kept/#") as late:
            nothing = list(late.messages)
        runs = await daemon.runs("many", 3)
        assert await daemon.stop() == 0

    assert [(message.topic, message.json) for message in listener.messages if message.topic.startswith("items/")] == [
        ("items/l1/1", {"id": 1}),
        ("items/l1/b", {"id": "b"}),
    ]
    assert [(message.topic, message.payload) for message in listener.messages if "maybe" in message.topic] == [
        ("maybe/one", b"0")
    ]
    assert (kept.payload, kept.retain, kept.properties["content-type"]) == (b"on", True, "text/plain; charset=utf-8")
    assert (cleared.payload, nothing) == (b"", [])
    fast = listener.on("fast/n")[0]
    assert (fast.payload, fast.qos, fast.properties["content-type"]) == (b"\x00\x01", 0, "application/octet-stream")
    assert listener.on("fp/top/results/many/plain")[0].json is False
    ids = [message.user["event_id"] for message in listener.messages if message.user["run_id"] == runs[0]["run_id"]]
    assert len(set(ids)) == len(ids) == 5
    assert [run["outcome"] for run in runs] == ["succeeded", "succeeded", "failed"]
    assert letter.json == wrong
    assert "{value.id}" in letter.user["error"]


async def test_a_result_that_the_broker_refuses_is_listed(tmp_path: Path) -> None:
    """The run has succeeded; `dlq list` shows what could not be published, and why; what follows goes on."""
    pipelines = {
        "first": (f"triggers: [{{topic: in/a, map: {{n: payload.n}}}}]\n{SEEN % 'secret'}", echo("n")),
        "second": (f"triggers: [{{topic: in/b, map: {{n: payload.n}}}}]\n{SEEN % 'open'}", echo("n")),
    }
    rules = ["topic readwrite in/#", "topic readwrite fp/#", "topic readwrite out/open", "topic readwrite listener/#"]
    async with (
        mosquitto(acl_lines(tmp_path, rules)) as broker,
        Listener(broker.port, "out/open") as listener,
        serving(project(tmp_path / "p", broker, pipelines)) as daemon,
    ):
        await send(broker.port, "in/a", {"n": 1})
        (run,) = await daemon.runs("first")
        await daemon.logged("publication_refused")
        await send(broker.port, "in/b", {"n": 2})
        await listener.next("out/open")
        found = (await cli(daemon.project, "dlq", "list", "--format", "json")).json
        assert await daemon.stop() == 0

    assert (run["outcome"], found["dead_letters"]) == ("succeeded", [])
    assert [(row["topic"], row["run_id"], row["reason"]) for row in found["refused"]] == [
        ("out/secret", run["run_id"], "not authorized")
    ]


#: Format to content type, payload, and what `SHOW` makes of its value.
KINDS = {
    "json": ("application/json", b'{"a": [1, 2.5, null]}', b'[{"a":[1,2.5,null]}]'),
    "jsonlines": ("application/x-ndjson", b'{"a": 1}\n{"a": 2}\n', b'[[{"a":1},{"a":2}]]'),
    "text": ("text/plain; charset=utf-8", "17 °C".encode(), '["17 °C"]'.encode()),
    "bytes": ("application/octet-stream", b"17", b"b'17'"),
    "msgpack": ("application/msgpack", msgpack.packb({"a": [1, b"x"]}), b"{'a': [1, b'x']}"),
    "cbor": ("application/cbor", cbor2.dumps({"a": [1, b"x"]}), b"{'a': [1, b'x']}"),
}
SHOW = """
import json


def seen(payload: object) -> object:
    try:
        json.dumps(payload)
    except TypeError:
        return repr(payload)
    return [payload]
"""


async def test_every_format_by_content_type_and_by_configuration(tmp_path: Path) -> None:
    """What the content type says is believed; what the configuration says wins over it."""
    pipelines = {
        f"as_{name}": (f"triggers: [{{topic: in/{name}, format: {name}}}]\n{SEEN % f'as_{name}'}", SHOW)
        for name in KINDS
    }
    pipelines["told"] = (f'triggers: [{{topic: "told/{{name}}"}}]\n{SEEN % "told/{name}"}', SHOW)
    async with (
        mosquitto() as broker,
        Listener(broker.port, "out/#", "fp/top/dlq/#") as listener,
        serving(project(tmp_path, broker, pipelines)) as daemon,
    ):
        for name, (content_type, payload, _) in KINDS.items():
            await send(broker.port, f"in/{name}", payload, properties=[("content-type", "text/wrong")])
            await send(broker.port, f"told/{name}", payload, properties=[("content-type", content_type)])
            await listener.next(f"out/as_{name}")
            await listener.next(f"out/told/{name}")
        await send(broker.port, "told/json", b"{", properties=[("content-type", "application/json")])
        (letter,) = await listener.next("fp/top/dlq/told")
        assert await daemon.stop() == 0

    wanted = {name: [value] for name, (_, _, value) in KINDS.items()}
    assert {name: [m.payload for m in listener.on(f"out/as_{name}")] for name in KINDS} == wanted
    assert {name: [m.payload for m in listener.on(f"out/told/{name}")] for name in KINDS} == wanted
    assert (letter.payload, letter.user["outcome"]) == (b"{", "rejected")


VALUES_PY = '''
import dataclasses
import datetime
import decimal

import numpy as np
import pandas as pd


@dataclasses.dataclass
class Reading:
    """A value and its time."""

    value: float
    at: datetime.datetime


AT = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


def array(payload: float) -> np.ndarray:
    return np.array([[1.0, payload]])


def scalar(array: np.ndarray) -> np.float64:
    return array.sum()


def frame(payload: float) -> pd.DataFrame:
    return pd.DataFrame({"at": pd.to_datetime(["2026-01-02T03:04:05Z", None]), "n": [1, 2], "x": [payload, np.nan]})


def series(frame: pd.DataFrame) -> pd.Series:
    return frame["n"]


def rows(frame: pd.DataFrame) -> list:
    return frame.to_dict("records")


def reading(payload: float) -> Reading:
    return Reading(payload, AT)


def exact(payload: float) -> dict:
    return {"d": decimal.Decimal("1.10"), AT.date(): {3, 1, 2}, "t": (AT, datetime.timedelta(seconds=1.5))}


def strict(payload: float) -> float:
    return float("nan") if payload < 0 else payload


def loose(payload: float) -> list:
    return [payload, float("nan"), float("inf")]
'''
VALUES = {
    "array": [[1.0, 2.5]],
    "scalar": 3.5,
    "frame": [{"at": "2026-01-02T03:04:05+00:00", "n": 1, "x": 2.5}, {"at": None, "n": 2, "x": None}],
    "series": [1, 2],
    "reading": {"value": 2.5, "at": "2026-01-02T03:04:05+00:00"},
    "exact": {"d": "1.10", "2026-01-02": [1, 2, 3], "t": ["2026-01-02T03:04:05+00:00", 1.5]},
    "strict": 2.5,
    "loose": [2.5, None, None],
}


async def test_values_of_libraries_become_json(tmp_path: Path) -> None:
    """Arrays, frames, dataclasses, times; NaN is null unless it is an error; a frame's rows one by one."""
    outputs = "".join(f"  - {{node: {name}{', nan: error' if name == 'strict' else ''}}}\n" for name in VALUES)
    settings = (
        f"triggers: [{{topic: in}}]\noutputs:\n{outputs}  - {{node: rows, topic: 'rows/{{value.n}}', each: true}}\n"
    )
    async with mosquitto() as broker, Listener(broker.port, "fp/top/results/#", "rows/#", "fp/top/dlq/#") as listener:
        folder = project(tmp_path, broker, {"values": (settings, VALUES_PY)})
        async with serving(folder) as daemon:
            await send(broker.port, "in", "2.5")
            await listener.next("rows/2")
            await send(broker.port, "in", "-1")
            (letter,) = await listener.next("fp/top/dlq/values")
            runs = await daemon.runs("values", 2)
            shown = (await cli(folder, "runs", "show", runs[0]["run_id"], "--format", "json")).json
            assert await daemon.stop() == 0

    published = {name: listener.on(f"fp/top/results/values/{name}") for name in VALUES}
    assert {name: messages[0].json for name, messages in published.items()} == VALUES
    assert {name: len(messages) for name, messages in published.items()} == dict.fromkeys(VALUES, 1)
    assert [listener.on(f"rows/{n}")[0].json["x"] for n in (1, 2)] == [2.5, None]
    assert {name: value for name, value in shown["values"].items() if name != "rows"} == VALUES
    assert letter.user["outcome"] == "failed"
    assert "NaN" in letter.user["error"]


@BOTH
async def test_what_waits_at_the_broker_reaches_its_trigger_after_other_filters_came_and_went(
    tmp_path: Path, protocol: str
) -> None:
    """The broker remembers under which subscriptions it took a message: they may be gone, or others be before them."""

    def pipelines(*filters: str) -> dict[str, tuple[str, str]]:
        settings = "triggers: [{topic: '%s', map: {n: payload.n, topic: message.topic}}]\n" + SEEN % "it"
        return {f"p{number}": (settings % text, echo("n", "topic")) for number, text in enumerate(filters)}

    async with mosquitto() as broker, Listener(broker.port, "out/#") as listener:
        folder = project(tmp_path, broker, pipelines("b/one", "c/+", "d/one", "e/one"), protocol)
        async with serving(folder):
            pass
        for topic in ("b/one", "c/two", "d/one", "e/one"):
            await send(broker.port, topic, '{"n": "1"}')
        # One before the others, a wider one instead, one that has gone, one that stays.
        project(tmp_path, broker, pipelines("a/one", "b/+", "c/two", "e/one"), protocol)
        async with serving(folder):
            found = [one.json["topic"] for one in await listener.next("out/it", 3)]
            assert ["b/one", "c/two", "e/one"] == sorted(found)


async def test_a_new_pipeline_is_taken_in_by_the_connection_that_is_there(tmp_path: Path) -> None:
    """A reload subscribes to what it needs; the log tells of no other connection, and the session is the same."""
    one = {"one": ("triggers: [{topic: in/one, map: {n: payload.n}}]\n" + SEEN % "one", echo("n"))}
    two = {"two": ("triggers: [{topic: in/two, map: {n: payload.n}}]\n" + SEEN % "two", echo("n"))}
    async with mosquitto() as broker, Listener(broker.port, "out/#") as listener:
        folder = project(tmp_path, broker, one)
        async with serving(folder) as daemon:
            project(tmp_path, broker, {**one, **two})
            await daemon.ask("reload")
            for name in ("one", "two"):
                await send(broker.port, f"in/{name}", '{"n": "1"}')
                await listener.next(f"out/{name}")
            status = await daemon.ask("status")
        assert (1, {"in/one": 1, "in/two": 1}) == (status["broker"]["connections"], status["broker"]["granted"])
        assert 1 == len([line for line in daemon.log if line["event"] == "connected"])
