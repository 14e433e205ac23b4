"""Hooks from a message to the end of its run, under the executors of a daemon on a real broker."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.brokers import mosquitto
from tests.endtoend.harness import PATIENCE, Listener, send, serving

from .plant import EXECUTORS, diary, plant


async def test_hooks_are_called_where_they_belong_under_every_executor(tmp_path: Path) -> None:
    """Before the run where it executes, after it in the daemon; an error before fails the attempt, one after nothing."""
    async with (
        mosquitto() as broker,
        Listener(broker.port, "out/#", "fp/plant/dlq/#") as listener,
        serving(plant(tmp_path, broker)) as daemon,
    ):
        for name in EXECUTORS:
            for value in (21, 500, 404):
                await send(broker.port, f"in/{name}/a", {"data": {"v": value}})
        await send(broker.port, "in/loop/a", {"data": {"v": 4, "mode": "double"}})
        await send(broker.port, "in/procs/b", {"data": "poison"})
        for name in EXECUTORS:
            await listener.next(f"out/{name}", 3 if name == "loop" else 2)
        runs = {name: await daemon.runs(name, 3 + (name != "threads")) for name in EXECUTORS}
        async with asyncio.timeout(PATIENCE):
            while len(diary(tmp_path, "after_run")) < 11:
                await asyncio.sleep(0.01)
        status = await daemon.ask("status")
        assert await daemon.stop() == 0

    values = {name: sorted(message.json["value"] for message in listener.on(f"out/{name}")) for name in EXECUTORS}
    assert {"threads": [21, 500], "procs": [21, 500], "loop": [8, 21, 500]} == values
    # The message hook ran where the plan ran, and before it.
    worker = {message.json["pid"] for message in listener.on("out/procs")}
    assert worker == {line["pid"] for line in diary(tmp_path, "message") if line["topic"].startswith("in/procs")}
    assert status["pid"] not in worker
    first = diary(tmp_path, "before_run")[0]
    assert {"value": 21, "unit": "C"} == first["inputs"]
    assert [{"line": "b"}] * 2 == [e["captures"] for e in diary(tmp_path, "message") if e["topic"] == "in/procs/b"]
    # What is called after the commit was called by the daemon, once for each run and once for each retry.
    after = diary(tmp_path, "after_run")
    every = [run["run_id"] for each in runs.values() for run in each]
    assert sorted(every) == sorted(line["run"] for line in after)
    assert {status["pid"]} == {line["pid"] for line in after}
    assert 7 == len(diary(tmp_path, "on_success"))
    assert 4 == len(diary(tmp_path, "on_failure"))
    assert 3 + 3 + 1 == len(diary(tmp_path, "on_retry"))
    # A hook's error names the hook and the line, and no node.
    held = next(run for run in runs["threads"] if run["attempt"] == 2 and run["outcome"] == "succeeded")["attempts"][0]
    assert ("PermissionError: before_run hook hooks.around:begin (hooks/around.py:27): not yet", "") == (
        held["error"],
        held["node"],
    )
    poisoned = next(run for run in runs["procs"] if "b" in run["captures"].values())
    unpack = "ValueError: message hook hooks.around:unpack (hooks/around.py:13): no reading in it"
    assert ("failed", unpack, "") == (poisoned["outcome"], poisoned["error"], poisoned["node"])
    assert ["result"] == [run["node"] for run in runs["loop"] if run["outcome"] == "failed"]
