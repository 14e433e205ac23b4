"""Marked functions under a daemon: conditions, retries and limits of time, told in results, events and `runs show`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.brokers import mosquitto

from .harness import Listener, cli, send, serving, write_project

CODE = '''\
"""One of each mark."""

import time

from fp_events import cached, retry, timeout, when

calls = []


@when(lambda value: value > 80)
{define} alert(value: float) -> str:
    """Only of hot readings."""
    return f"hot {{value}}"


@retry(3, delay="1ms", on=ConnectionError)
{define} looked_up(value: float, n: int) -> int:
    """Fails twice for each reading."""
    calls.append(n)
    if calls.count(n) < 3:
        raise ConnectionError("not yet")
    return n


@timeout("200ms")
{define} slow(value: float) -> float:
    """Takes its time below zero."""
    if value < 0:
        {sleep}(5)
    return value


@cached(ttl="1h")
def squared(value: float) -> float:
    """The same for the same reading."""
    return value * value


def summary(alert: str | None, looked_up: int, slow: float, squared: float) -> dict:
    """Of all there is."""
    return {{"alert": alert, "n": looked_up}}


def total(alert: str, previous_total: int | None) -> int:
    """How many alerts this key had."""
    return (previous_total or 0) + 1
'''
SETTINGS = """\
triggers: [{{topic: "in/{name}/{{source}}", map: {{value: payload.value, n: payload.n}}, key: "{{source}}"}}]
state: {{total: previous_total}}
outputs:
  - {{node: alert, topic: "alerts/{name}/{{source}}"}}
  - {{node: summary, topic: "out/{name}"}}
  - {{node: total, topic: "totals/{name}"}}
run: {{timeout: 3, executor: {executor}}}
"""
KINDS = {
    "threads": ("threadpool", "def", "time.sleep"),
    "loop": ("local", "async def", "await __import__('asyncio').sleep"),
    "processes": ("{type: processpool, max_workers: 1}", "def", "time.sleep"),
}


def project(folder: Path, port: int) -> Path:
    files = {"conf/project.yml": f'name: works\nmqtt: {{url: "mqtt://127.0.0.1:{port}"}}\n'}
    for name, (executor, define, sleep) in KINDS.items():
        files[f"conf/pipelines/{name}.yml"] = SETTINGS.format(name=name, executor=executor)
        files[f"pipelines/{name}.py"] = CODE.format(define=define, sleep=sleep)
    return write_project(folder, files)


def nodes(attempt: dict[str, Any]) -> list[tuple[str, str, int]]:
    return sorted((node["node"], node["status"], node["attempts"]) for node in attempt["nodes"])


async def test_marks_under_threads_a_loop_and_processes(tmp_path: Path) -> None:
    """Hot, cool and hanging readings, each with the same results, states and traces wherever it runs."""
    async with (
        mosquitto() as broker,
        Listener(broker.port, "alerts/#", "out/#", "totals/#", "fp/works/events/#", "fp/works/dlq/#") as listener,
        serving(project(tmp_path, broker.port)) as daemon,
    ):
        for name in KINDS:
            for n, value in enumerate([90.0, 20.0, 95.0, -1.0], start=1):
                await send(broker.port, f"in/{name}/a", {"value": value, "n": n})
        for name in KINDS:
            await listener.next(f"fp/works/dlq/{name}")
            await listener.next(f"fp/works/events/{name}/failed")
            await listener.next(f"out/{name}", 3)
        runs = {name: await daemon.runs(name, 4) for name in KINDS}
        states = {name: (await daemon.ask("state.show", pipeline=name, key="a"))["value"] for name in KINDS}
        shown = await cli(daemon.project, "runs", "show", runs["threads"][1]["run_id"])
        dead = await cli(daemon.project, "runs", "show", runs["loop"][3]["run_id"])
        assert await daemon.stop() == 0

    for name in KINDS:
        hot, cool, again, hangs = runs[name]
        assert ["succeeded", "succeeded", "succeeded", "failed"] == [run["outcome"] for run in runs[name]]
        assert [b"hot 90.0", b"hot 95.0"] == [message.payload for message in listener.on(f"alerts/{name}/a")]
        assert [1, 2] == [message.json for message in listener.on(f"totals/{name}")]
        assert [{"alert": "hot 90.0", "n": 1}, {"alert": None, "n": 2}, {"alert": "hot 95.0", "n": 3}] == [
            message.json for message in listener.on(f"out/{name}")
        ]
        # What is skipped leaves the key's state as it was.
        assert {"total": 2} == states[name]
        assert {"alert": None, "n": 2} == cool["values"]["summary"]
        assert {"summary"} == set(cool["values"])
        assert [
            ("alert", "skipped", 0), ("looked_up", "succeeded", 3), ("slow", "succeeded", 1),
            ("squared", "succeeded", 1), ("summary", "succeeded", 1), ("total", "skipped", 0),
        ] == nodes(cool)  # fmt: skip
        assert {"succeeded"} == {node["status"] for node in again["nodes"]}
        failed = {node["node"]: node for node in hangs["attempts"][0]["nodes"]}
        assert ("failed", "TimeoutError: 'slow' took longer than 200ms") == (
            failed["slow"]["status"], failed["slow"]["error"]
        )  # fmt: skip
        assert 0.15 < failed["slow"]["duration_s"] < 4
        assert "slow" == hangs["attempts"][0]["node"]
        (event,) = listener.on(f"fp/works/events/{name}/failed")
        assert ("failed", "skipped") == (event.json["nodes"]["slow"], event.json["nodes"]["alert"])
        told = [message.json["nodes"]["alert"] for message in listener.on(f"fp/works/events/{name}/succeeded")]
        assert ["succeeded", "skipped", "succeeded"] == told
        assert hot["nodes"][0]["started_s"] >= 0
    lines = [line.split() for line in shown.out.splitlines()]
    assert ["NODE", "STATUS", "START", "TOOK", "ATTEMPTS", "ERROR"] in lines
    assert any(line[:2] == ["alert", "skipped"] for line in lines)
    assert "nodes of attempt 1" in dead.out
