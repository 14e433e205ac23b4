"""mosquitto/acl.example, enforced by a real Mosquitto under a real daemon: who works, and who is kept out."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.brokers import Mosquitto, mosquitto
from tests.endtoend.harness import serving, write_project
from tests.support import free_port

from .people import PEOPLE, Ears, access_lines, ask, may_publish

CONTROL = "fp/plant/control"
#: `echo` publishes where its payload says: what a careless template allows.
FILES = {
    "conf/pipelines/heat.yml": """\
triggers: [{topic: "plant/{line}/temperature", key: "{line}"}]
outputs:
  - {node: alert, topic: "alerts/{line}"}
  - {node: plain}
""",
    "pipelines/heat.py": '''\
"""Doubles."""


def plain(payload: float) -> float:
    """Itself, if it is one."""
    return payload / 1


def alert(plain: float) -> float:
    """Twice."""
    return 2 * plain
''',
    "conf/pipelines/echo.yml": """\
triggers: [{topic: "plant/{line}/echo"}]
outputs: [{node: said, topic: "{payload.to}"}]
""",
    "pipelines/echo.py": '''\
"""Says it again."""


def said(payload: dict) -> dict:
    """What to say."""
    return payload["what"]
''',
}


def project(folder: Path, port: int) -> Path:
    """The daemon as a user of its own, with commands by MQTT."""
    text = f"""\
name: plant
mqtt: {{url: "mqtt://127.0.0.1:{port}", username: fp-events, client_id: fp-plant-here}}
control: {{mqtt: true, allow: {{heat: {{inputs: [payload]}}}}}}
"""
    return write_project(folder / "plant", {"conf/project.yml": text, **FILES})


async def call(broker: Mosquitto, user: str, command: str, **arguments: object) -> str:
    """A command by MQTT; its reply."""
    body = json.dumps({**arguments, "sent_at": time.time()})
    return await ask(broker.port, user, f"{CONTROL}/{command}", "fp/plant/reply/me", body)


def started(folder: Path, broker: Mosquitto) -> tuple[Path, dict[str, str]]:
    return project(folder, broker.port), {"FP_EVENTS_MQTT__PASSWORD": PEOPLE["fp-events"]}


async def test_the_daemon_works_fully_and_an_operator_steers_it(tmp_path: Path) -> None:
    """Results, events, states, dead letters and replies pass; the dashboard hears what it may."""
    async with mosquitto(access_lines(tmp_path)) as broker:
        folder, environ = started(tmp_path, broker)
        async with (
            Ears(broker.port, "operator", "#") as operator,
            Ears(broker.port, "dashboard", "#") as dashboard,
            serving(folder, environ) as daemon,
        ):
            assert await may_publish(broker.port, "press1", "plant/press1/temperature", "21.5")
            await daemon.runs("heat", 1)
            assert await may_publish(broker.port, "press1", "plant/press1/temperature", '"x"')
            await daemon.runs("heat", 2)
            paused = json.loads(await call(broker, "operator", "pause", pipeline="heat"))
            ran = json.loads(await call(broker, "operator", "run", pipeline="heat", inputs={"payload": 4.0}))
            resumed = json.loads(await call(broker, "operator", "resume", pipeline="heat"))
            await operator.until("fp/plant/reply/me")
            for text in ("alerts/press1 43.0", "fp/plant/results/heat/plain 21.5", "fp/plant/events/heat/failed"):
                await operator.until(text)
                await dashboard.until(text)
            await operator.until("fp/plant/dlq/heat")
            await dashboard.until("fp/plant/pipelines/heat/state")
            status = await daemon.ask("status")
            letters = await daemon.ask("dlq.list")
            assert await daemon.stop() == 0
            await dashboard.until("fp/plant/instances/fp-plant-here/availability offline")

    assert [paused["ok"], ran["ok"], resumed["ok"]] == [True, True, True]
    assert (status["ledger"]["refused"], letters["refused"]) == (0, [])
    kept = ("fp/plant/control", "fp/plant/reply", "fp/plant/dlq", "plant/")
    assert [] == [each for each in dashboard.heard if each.startswith(kept)]


async def test_a_device_and_a_dashboard_are_kept_out(tmp_path: Path) -> None:
    """A device neither commands nor reads nor speaks for another one; a dashboard writes nothing at all."""
    async with mosquitto(access_lines(tmp_path)) as broker:
        folder, environ = started(tmp_path, broker)
        async with serving(folder, environ) as daemon, Ears(broker.port, "press1", "#") as device:
            denied = [
                f"{user} {topic}"
                for user, topic in (
                    ("press1", f"{CONTROL}/pause"),
                    ("press1", "plant/press2/temperature"),
                    ("press1", "alerts/press1"),
                    ("press1", "fp/plant/reply/me"),
                    ("press1", "fp/plant/instances/fp-plant-here/availability"),
                    ("dashboard", f"{CONTROL}/pause"),
                    ("dashboard", "plant/dashboard/temperature"),
                    ("dashboard", "alerts/press1"),
                    ("operator", "plant/operator/temperature"),
                    ("operator", "alerts/press1"),
                    ("fp-events", "plant/fp-events/temperature"),
                    ("fp-events", f"{CONTROL}/pause"),
                )
                if await may_publish(broker.port, user, topic)
            ]
            replies = [await call(broker, user, "pause", pipeline="heat") for user in ("press1", "dashboard")]
            assert await may_publish(broker.port, "press1", "plant/press1/temperature", "1")
            await daemon.runs("heat", 1)
            status = await daemon.ask("status")

    assert (denied, replies) == ([], ["", ""])
    assert (status["control"]["answered"], status["control"]["refused"]) == (0, 0)
    assert [pipeline["paused"] for pipeline in status["pipelines"]] == [False, False]
    assert [] == device.heard


async def test_a_device_that_takes_the_daemons_client_id_does_not_get_it(tmp_path: Path) -> None:
    """On a listener with `use_username_as_clientid` the daemon's session is out of a device's reach."""
    door = free_port()
    lines = [*access_lines(tmp_path), f"listener {door} 127.0.0.1", "use_username_as_clientid true"]
    async with mosquitto(lines) as broker:
        folder, environ = started(tmp_path, broker)
        async with serving(folder, environ) as daemon:
            assert await _publish_as("fp-plant-here", door)
            (run,) = await daemon.runs("heat", 1)
            status = await daemon.ask("status")

    assert (run["outcome"], status["broker"]["connections"]) == ("succeeded", 1)


async def _publish_as(client_id: str, port: int) -> bool:
    from .people import _command, _said

    arguments = ("-i", client_id, "-q", "1", "-t", "plant/press1/temperature", "-m", "1", "-d")
    return "RC:0)" in await _said(_command("mosquitto_pub", port, "press1", *arguments))


async def test_no_payload_makes_a_result_into_a_command(tmp_path: Path) -> None:
    """A template that leaves the whole topic to the payload: the run fails, and nobody is paused."""
    order = {"to": f"{CONTROL}/pause", "what": {"pipeline": "heat", "sent_at": time.time()}}
    async with mosquitto() as broker:
        folder = project(tmp_path, broker.port)
        async with serving(folder) as daemon:
            await _as_anybody(broker.port, json.dumps(order))
            (run,) = await daemon.runs("echo", 1)
            status = await daemon.ask("status")

    assert run["outcome"] == "failed"
    assert "commands" in run["error"]
    assert (status["control"]["answered"], status["control"]["refused"]) == (0, 0)


async def _as_anybody(port: int, payload: str) -> None:
    from tests.endtoend.harness import send

    await send(port, "plant/x/echo", payload)
