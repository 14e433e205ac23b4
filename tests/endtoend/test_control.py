"""Commands by MQTT, from foreign clients: what is answered, what is refused, what is not even heard."""

from __future__ import annotations

import asyncio
import json
import math
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.brokers import Mosquitto, mosquitto
from tests.support import require_program

from .harness import Daemon, Listener, cli, request, send, serving, write_project

BASE = "fp/lab"
CONTROL = """\
control:
  mqtt: true
  allow: {adder: {inputs: [a]}}
"""
#: The same, and runs of the other pipeline may be started again.
AGAIN = CONTROL.replace("[a]}", "[a]}, counter: {inputs: []}")
ADDER = '''\
"""Adds."""


def total(a: int, b: int) -> int:
    """Of both."""
    return a + b
'''
COUNTER = '''\
"""Counts by device."""


def count(previous_count: int | None, payload: int) -> int:
    """Of good readings."""
    if payload < 0:
        raise ValueError("below zero")
    return (previous_count or 0) + 1
'''
FILES = {
    "conf/pipelines/adder.yml": "outputs: [total]\nrun: {inputs: {b: 5}}\n",
    "pipelines/adder.py": ADDER,
    "conf/pipelines/counter.yml": """\
triggers: [{topic: "in/{device}", key: "{device}"}]
state: {count: previous_count}
outputs: [{node: count, topic: "out/{device}"}]
""",
    "pipelines/counter.py": COUNTER,
}


def project(folder: Path, broker: Mosquitto, *, control: str = CONTROL, protocol: str = "5") -> Path:
    mqtt = f'mqtt: {{url: "mqtt://127.0.0.1:{broker.port}", protocol: "{protocol}"}}\n'
    return write_project(folder, {"conf/project.yml": f"name: lab\n{mqtt}{control}", **FILES})


class Caller:
    """Sends commands by MQTT 5 and looks at their replies."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._sent = 0

    async def __call__(self, command: str, body: bytes | str | object = b"{}") -> dict[str, Any]:
        """The reply to a command, which came with its own correlation data, as JSON, to the response topic."""
        self._sent += 1
        topic, token = f"{BASE}/reply/callers/{command}/{self._sent}", f"token-{self._sent}"
        reply = await request(self._port, f"{BASE}/control/{command}", body, response=topic, correlation=token)
        assert (reply.topic, reply.retain) == (topic, False)
        assert reply.properties["correlation-data"] == token
        assert reply.properties["content-type"] == "application/json"
        found: dict[str, Any] = reply.json
        assert found["command"] == command
        return found

    async def done(self, command: str, **arguments: Any) -> dict[str, Any]:
        """The result of a command that was not refused."""
        reply = await self(command, {**arguments, "sent_at": time.time()})
        assert reply["ok"], reply
        result: dict[str, Any] = reply["result"]
        return result

    async def refused(self, command: str, body: bytes | str | object) -> str:
        """Why a command was refused."""
        reply = await self(command, body)
        assert not reply["ok"], reply
        return f"{reply['error']['what']}; {reply['error']['mend']}"


async def test_commands_are_answered_to_the_response_topic(tmp_path: Path) -> None:
    """run, status, runs, dlq and state over MQTT 5 request and response."""
    async with (
        mosquitto() as broker,
        Listener(broker.port, f"{BASE}/#") as listener,
        serving(project(tmp_path, broker, control=AGAIN)) as daemon,
    ):
        call = Caller(broker.port)
        started = await call.done("run", pipeline="adder", inputs={"a": 2}, wait=True)
        (result,) = await listener.next(f"{BASE}/results/adder/total")
        await send(broker.port, "in/x", 1)
        await daemon.runs("counter", 1)
        await send(broker.port, "in/x", -1)
        (_, failed) = await daemon.runs("counter", 2)

        status = await call.done("status")
        runs = await call.done("runs.list", pipeline="counter")
        shown = await call.done("runs.show", run_id=failed["run_id"])
        letters = await call.done("dlq.list")
        states = await call.done("state.list", pipeline="counter")
        state = await call.done("state.show", pipeline="counter", key="x")
        reset = await call.done("state.reset", pipeline="counter", key="x")
        empty = await call.done("state.list", pipeline="counter")
        retried = await call.done("dlq.retry", run_ids=[failed["run_id"]])
        await daemon.run_ended(failed["run_id"])
        purged = await call.done("dlq.purge", all=True)
        named = await call("status", {"id": 7})
        assert await daemon.stop() == 0

    assert (started["outcome"], started["values"]) == ("succeeded", {"total": 7})
    assert (result.json, result.user["run_id"]) == (7, started["run_id"])
    assert (status["project"], status["broker"]["connected"], status["control"]["mqtt"]) == ("lab", True, True)
    assert [run["outcome"] for run in runs["runs"]] == ["failed", "succeeded"]
    assert shown["message"]["payload"] == "-1"
    assert [letter["run_id"] for letter in letters["dead_letters"]] == [failed["run_id"]]
    assert [(row["key"], row["value"]) for row in states["states"]] == [("x", {"count": 1})]
    assert state["value"] == {"count": 1}
    assert (reset["reset"], empty["states"]) == (1, [])
    assert retried["retried"] == [failed["run_id"]]
    assert purged == {"purged": 1}
    assert (named["ok"], named["id"]) == (True, 7)


async def test_what_is_not_allowed_is_refused_with_a_reason(tmp_path: Path) -> None:
    """Pipelines and inputs that are not listed, old or undated requests, nonsense; retained ones are not answered."""
    now = time.time()
    old = (datetime.now(UTC) - timedelta(seconds=90)).isoformat()
    run = {"pipeline": "adder", "inputs": {"a": 1}, "sent_at": now}
    control = f"{BASE}/control/run"
    async with mosquitto() as broker, Listener(broker.port, f"{BASE}/reply/#") as listener:
        await send(broker.port, control, run, retain=True)
        async with serving(project(tmp_path, broker)) as daemon:
            call = Caller(broker.port)
            refusals = {
                name: await call.refused(command, body)
                for name, command, body in (
                    ("pipeline not listed", "run", {"pipeline": "counter", "sent_at": now}),
                    ("pipeline unknown", "run", {"pipeline": "nobody", "sent_at": now}),
                    ("input not listed", "run", {**run, "inputs": {"a": 1, "b": 2}}),
                    ("config", "run", {**run, "config": {"mode": "x"}}),
                    ("final_vars", "run", {**run, "final_vars": ["total"]}),
                    ("undated", "run", {"pipeline": "adder", "inputs": {"a": 1}}),
                    ("undated pause", "pause", {"pipeline": "adder"}),
                    ("old", "run", {**run, "sent_at": now - 120}),
                    ("old text", "run", {**run, "sent_at": old}),
                    ("future", "run", {**run, "sent_at": now + 3600}),
                    ("wrong date", "run", {**run, "sent_at": "yesterday"}),
                    ("no JSON", "run", b"{"),
                    ("no object", "run", [1, 2]),
                    ("not UTF-8", "status", b"\xff\xfe"),
                    ("unknown command", "explode", {}),
                    ("unknown argument", "run", {**run, "module": "os"}),
                    ("pause of unknown", "pause", {"pipeline": "nobody", "sent_at": now}),
                    ("wrong type", "run", {**run, "inputs": "a=1"}),
                )
            }
            status = await call.done("status")
            runs = await daemon.ask("runs.list")
            assert await daemon.stop() == 0

    expected = {
        "pipeline not listed": "'counter' may not be started by MQTT",
        "pipeline unknown": "'nobody' may not be started by MQTT",
        "input not listed": "input 'b' of 'adder' may not be given",
        "config": "'config' may not be given",
        "final_vars": "'final_vars' may not be given",
        "undated": "'sent_at' is missing",
        "undated pause": "'sent_at' is missing",
        "old": "sent 12",
        "old text": "sent 9",
        "future": "sent -3",
        "wrong date": "neither seconds since 1970 nor a time",
        "no JSON": "not a JSON object",
        "no object": "not a JSON object",
        "not UTF-8": "not a JSON object",
        "unknown command": "unknown command 'explode'",
        "unknown argument": "unknown argument 'module'",
        "pause of unknown": "there is no pipeline 'nobody'",
        "wrong type": "'inputs' must be an object",
    }
    assert {name: text for name, text in refusals.items() if expected[name] not in text} == {}
    assert status["control"]["refused"] == len(refusals)
    assert runs["runs"] == []
    assert [message.topic for message in listener.messages if "/callers/" not in message.topic] == []


async def test_nonsense_never_ends_the_daemon(tmp_path: Path) -> None:
    """Arguments of wrong types, numbers and text that no ledger can hold: refused, or answered, and the daemon goes on."""
    huge = 10**400
    run = {"pipeline": "adder", "inputs": {"a": 1}}
    cases: list[tuple[str, object]] = [
        ("run", {**run, "inputs": 5}),
        ("run", {**run, "inputs": [["a"]]}),
        ("run", {**run, "sent_at": huge}),
        ("run", {**run, "sent_at": math.nan}),
        ("run", {**run, "sent_at": [1]}),
        ("run", {**run, "run_id": "\ud800"}),
        ("run", {**run, "run_id": "a\u0000b"}),
        ("run", {**run, "key": "\ud800"}),
        ("run", {**run, "pipeline": ["adder"]}),
        ("run", {**run, "wait": True, "timeout_s": huge}),
        ("runs.list", {"before": huge}),
        ("runs.list", {"before": math.inf}),
        ("runs.list", {"before": math.nan}),
        ("runs.list", {"limit": huge}),
        ("runs.list", {"pipeline": "\ud800"}),
        ("runs.show", {"run_id": "\ud800"}),
        ("state.show", {"pipeline": "counter", "key": "\ud800"}),
        ("dlq.retry", {"run_ids": ["\ud800"]}),
        ("dlq.retry", {"run_ids": [1]}),
    ]
    async with (
        mosquitto() as broker,
        Listener(broker.port, f"{BASE}/reply/answers") as listener,
        serving(project(tmp_path, broker)) as daemon,
    ):
        for number, (command, body) in enumerate(cases, start=1):
            text = json.dumps({"sent_at": time.time(), "id": number, **body})  # type: ignore[dict-item]  # all are objects
            properties = [("response-topic", f"{BASE}/reply/answers")]
            await send(broker.port, f"{BASE}/control/{command}", text, properties=properties)
        replies = await listener.next(f"{BASE}/reply/answers", len(cases))
        status = await daemon.ask("status")
        assert await daemon.stop() == 0

    accepted = [cases[reply.json["id"] - 1] for reply in replies if reply.json["ok"]]
    assert accepted == []
    assert status["pipelines"][0]["succeeded"] == 0


async def test_without_mqtt_5_replies_come_to_the_reply_topic(tmp_path: Path) -> None:
    """The same table for a client and a daemon that speak 3.1.1; what was retained on a control topic is ignored."""
    async with mosquitto() as broker, Listener(broker.port, f"{BASE}/reply/#", protocol="3.1.1") as listener:
        body = {"pipeline": "adder", "inputs": {"a": 37}, "sent_at": datetime.now(UTC).isoformat(), "id": "r1"}
        await send(broker.port, f"{BASE}/control/run", {**body, "id": "r0"}, retain=True, protocol="3.1.1")
        async with serving(project(tmp_path, broker, protocol="3.1.1")) as daemon:

            async def call(command: str, body: bytes | str | object) -> dict[str, Any]:
                await send(broker.port, f"{BASE}/control/{command}", body, protocol="3.1.1")
                found: dict[str, Any] = (await listener.next(f"{BASE}/reply/{command}"))[0].json
                return found

            done = await call("run", {**body, "wait": True})
            status = await call("status", b"")
            refused = await call("dlq.purge", {"all": True, "sent_at": "today", "id": "r2"})
            assert await daemon.stop() == 0

    assert (done["id"], done["ok"], done["result"]["values"]) == ("r1", True, {"total": 42})
    assert (refused["id"], refused["ok"]) == ("r2", False)
    assert len(listener.messages) == 3
    assert status["result"]["pipelines"][0]["name"] == "adder"


async def test_a_paused_pipeline_keeps_its_messages_over_a_restart(tmp_path: Path) -> None:
    """Paused by MQTT, messages are accepted and wait in the ledger; resumed by the program, they run in order."""

    async def queued(daemon: Daemon, count: int) -> None:
        await daemon.until(lambda status: status["pipelines"][1]["queued"] == count)

    async with (
        mosquitto() as broker,
        Listener(broker.port, "out/#") as listener,
        serving(project(tmp_path, broker)) as daemon,
    ):
        paused = await Caller(broker.port).done("pause", pipeline="counter")
        for _ in range(3):
            await send(broker.port, "in/x", 1)
        await queued(daemon, 3)
        assert await daemon.stop() == 0
        await send(broker.port, "in/x", 1)  # while it is away
        await daemon.start()
        await queued(daemon, 4)
        still = (await daemon.ask("status"))["pipelines"][1]["paused"]
        before = list(listener.messages)
        resumed = await cli(daemon.project, "resume", "counter")
        results = await listener.next("out/x", 4)
        status = await daemon.ask("status")
        assert await daemon.stop() == 0

    assert paused == {"pipeline": "counter", "paused": True}
    assert (still, before, resumed.code) == (True, [], 0)
    assert [message.json for message in results] == [1, 2, 3, 4]
    assert not status["pipelines"][1]["paused"]


async def test_without_control_nothing_is_subscribed_or_answered(tmp_path: Path) -> None:
    """Off by default: a request on the control topic finds nobody."""
    async with (
        mosquitto() as broker,
        Listener(broker.port, "reply/#", f"{BASE}/reply/#", "out/#") as listener,
        serving(project(tmp_path, broker, control="")) as daemon,
    ):
        status = await daemon.ask("status")
        body = {"pipeline": "adder", "inputs": {"a": 1}, "sent_at": time.time()}
        await send(broker.port, f"{BASE}/control/run", body, properties=[("response-topic", "reply/me")])
        # Messages keep their order: what is answered to a later one would have been answered to the request.
        await send(broker.port, "in/x", 1)
        await listener.next("out/x")
        runs = await daemon.ask("runs.list", pipeline="adder")
        after = await daemon.ask("status")
        assert await daemon.stop() == 0

    assert list(status["broker"]["granted"]) == ["in/+"]
    assert not any(BASE in line and "control" in line for line in broker.log if "SUBSCRIBE" in line)
    assert (runs["runs"], after["totals"]["received"]) == ([], 1)
    assert [message.topic for message in listener.messages] == ["out/x"]


async def test_runs_are_steered_by_foreign_clients(tmp_path: Path) -> None:
    """Delayed, cancelled, replayed, paused by trigger, reloaded: over MQTT 5 request and response."""
    async with mosquitto() as broker, serving(project(tmp_path, broker, control=AGAIN)) as daemon:
        call = Caller(broker.port)
        later = await call.done("run", pipeline="adder", inputs={"a": 1}, run_in="2h30m", run_id="later")
        cancelled = await call.done("runs.cancel", run_ids=["later"])
        again = await call.done("runs.cancel", run_ids=["later"])
        paused = await call.done("pause", pipeline="counter", trigger="in/{device}")
        await send(broker.port, "in/x", 1)
        await daemon.until(lambda status: status["pipelines"][1]["queued"] == 1)
        (queued,) = (await call.done("runs.list", pipeline="counter"))["runs"]
        await call.done("runs.cancel", pipeline="counter")
        await call.done("resume", pipeline="counter", trigger="in/{device}")
        await send(broker.port, "in/x", 1)
        ended = await daemon.runs("counter", 2)
        (replayed,) = (await call.done("runs.replay", run_ids=[ended[-1]["run_id"]]))["replayed"]
        await daemon.run_ended(replayed["run_id"])
        (daemon.project / "pipelines/adder.py").write_text(ADDER.replace("a + b", "a - b"))
        reloaded = await call.done("reload")
        after = await call.done("run", pipeline="adder", inputs={"a": 1}, wait=True)
        (daemon.project / "pipelines/adder.py").write_text("def total(a: int) -> int:\n    return a +\n")
        broken = await call.refused("reload", {"sent_at": time.time()})
        assert await daemon.stop() == 0

    assert (later["state"], later["due_at"] > datetime.now(UTC).isoformat()) == ("waiting", True)
    assert [row["was"] for row in (*cancelled["cancelled"], *again["cancelled"])] == ["waiting", "cancelled"]
    assert (paused["trigger"], queued["state"]) == ("in/{device}", "queued")
    assert sorted(run["outcome"] for run in ended) == ["cancelled", "succeeded"]
    assert replayed["replay_of"] == ended[-1]["run_id"]
    assert (list(reloaded["reloaded"]), after["values"]) == (["adder"], {"total": -4})
    assert "invalid syntax" in broken
    assert "the old version runs on" in broken


async def test_a_request_is_signed_with_openssl(tmp_path: Path) -> None:
    """As docs/commands.md shows it, and by the program itself; unsigned ones are refused. MQTT 5 and 3.1.1."""
    key = "4fdd0b1f6fb5c56d2a6d0c5e7a1b2c3d"
    control = f"{CONTROL}  hmac_key: ${{KEY:-{key}}}\n"
    body = '{"pipeline": "adder", "inputs": {"a": 2}, "wait": true}'

    async def signed(nonce: str) -> str:
        sent_at = int(time.time())
        text = f"run\n{nonce}\n{sent_at}\n{sent_at + 30}\n{body}\n"
        process = await asyncio.create_subprocess_exec(
            *(require_program("openssl"), "dgst", "-sha256", "-hmac", key),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate(text.encode())
        envelope = {"body": body, "nonce": nonce, "sent_at": sent_at, "expires_at": sent_at + 30}
        return json.dumps({**envelope, "mac": out.decode().split()[-1]})

    async with (
        mosquitto() as broker,
        Listener(broker.port, f"{BASE}/reply/run", protocol="3.1.1") as listener,
        serving(project(tmp_path, broker, control=control)) as daemon,
    ):
        call = Caller(broker.port)
        envelope = await signed("first-nonce-of-16")
        done = await call("run", envelope)
        replayed = await call.refused("run", envelope)
        unsigned = await call.refused("status", {})
        await send(broker.port, f"{BASE}/control/run", await signed("second-nonce-of-16"), protocol="3.1.1")
        (older,) = await listener.next(f"{BASE}/reply/run")
        ours = await cli(daemon.project, "trigger", "adder", "-i", "a=3", "--by", "mqtt", "--wait", "--json")
        assert await daemon.stop() == 0

    assert done["result"]["values"] == older.json["result"]["values"] == {"total": 7}
    assert ("answered before" in replayed, "not signed" in unsigned) == (True, True)
    assert (ours.code, json.loads(ours.out)["values"]) == (0, {"total": 8})
