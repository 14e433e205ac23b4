"""Where runs execute: what crashes or hangs is alone in it, and what blocks holds up nobody else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.brokers import Mosquitto, mosquitto

from .harness import PATIENCE, Listener, publish, send, serving, write_project

CRUNCH_PY = '''\
"""Does as it is told."""

import ctypes
import os
import pathlib
import signal
import sys
import time


def answer(payload: dict) -> dict:
    """What was asked for, if it lives to tell."""
    if "pid" in payload:
        path = pathlib.Path(payload["pid"])
        path.with_suffix(".tmp").write_text(str(os.getpid()))
        path.with_suffix(".tmp").rename(path)
    match payload["do"]:
        case "exit":
            os._exit(3)
        case "segfault":
            ctypes.string_at(0)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                time.sleep(0.01)
        case "leave":
            sys.exit("enough")
        case "print":
            print("x" * 100_000)
            sys.stderr.write("y" * 100_000)
    return {"n": payload["n"], "worker": os.getpid()}
'''


def project(folder: Path, broker: Mosquitto, files: dict[str, str]) -> Path:
    mqtt = f'mqtt: {{url: "mqtt://127.0.0.1:{broker.port}"}}\n'
    return write_project(folder, {"conf/project.yml": f"name: works\n{mqtt}", **files})


def crunching(folder: Path, broker: Mosquitto) -> Path:
    settings = """\
triggers: [{topic: in}]
outputs: [{node: answer, topic: out}]
run: {timeout: 2, executor: {type: processpool, max_workers: 2}}
"""
    return project(folder, broker, {"conf/pipelines/crunch.yml": settings, "pipelines/crunch.py": CRUNCH_PY})


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def gone(pids: Iterable[int]) -> None:
    """Wait until none of the processes is there."""
    async with asyncio.timeout(PATIENCE):
        while any(alive(pid) for pid in pids):
            await asyncio.sleep(0.02)


async def written(path: Path) -> str:
    """Wait for a file; its text."""
    async with asyncio.timeout(PATIENCE):
        while not path.exists():
            await asyncio.sleep(0.01)
    return path.read_text()


async def test_what_crashes_or_hangs_in_a_process_fails_alone(tmp_path: Path) -> None:
    """Exits, segfaults, kills and hangs end their own run; every other message has its result."""
    bad = {
        "exit": "crashed",
        "segfault": "crashed",
        "kill": "crashed",
        "leave": "raised",
        "hang": "timed_out",
    }
    good = ["ok", "print", "ok"]
    plan = [do for name in bad for do in (name, *good)]
    async with (
        mosquitto() as broker,
        Listener(broker.port, "out", "fp/works/dlq/#") as listener,
        serving(crunching(tmp_path, broker)) as daemon,
    ):
        for number, do in enumerate(plan):
            pid = {"pid": str(tmp_path / "pid")} if do == "hang" else {}
            await send(broker.port, "in", {"do": do, "n": number, **pid})
        await listener.next("fp/works/dlq/crunch", len(bad))
        await listener.next("out", len(plan) - len(bad))
        hung = int(await written(tmp_path / "pid"))
        await gone([hung])
        runs = await daemon.runs("crunch", len(plan))
        status = await daemon.ask("status")
        assert await daemon.stop() == 0

    ended = {plan[number]: run for number, run in enumerate(runs) if plan[number] in bad}
    assert {do: run["attempts"][-1]["ended"] for do, run in ended.items()} == bad
    wanted = {**dict.fromkeys(good, "succeeded"), "hang": "timed_out"}
    assert [run["outcome"] for run in runs] == [wanted.get(do, "failed") for do in plan]
    results = listener.on("out")
    assert sorted(message.json["n"] for message in results) == [n for n, do in enumerate(plan) if do not in bad]
    assert len(results) == len(plan) - len(bad)
    assert {letter.json["do"] for letter in listener.on("fp/works/dlq/crunch")} == set(bad)
    assert status["pid"] not in {message.json["worker"] for message in results}
    assert status["executors"]["processpool(2)"]["restarts"] >= 4


@pytest.mark.parametrize("how", ["killed", "drained"])
async def test_workers_end_with_the_daemon(tmp_path: Path, how: str) -> None:
    """No process outlives a daemon, whichever way it ends, even with a run under way that never ends."""
    async with (
        mosquitto() as broker,
        Listener(broker.port, "out") as listener,
        serving(crunching(tmp_path, broker)) as daemon,
    ):
        await send(broker.port, "in", {"do": "ok", "n": 1, "pid": str(tmp_path / "one")})
        await listener.next("out")
        pids = {int(await written(tmp_path / "one"))}
        if how == "killed":
            await send(broker.port, "in", {"do": "hang", "n": 2, "pid": str(tmp_path / "two")})
            pids.add(int(await written(tmp_path / "two")))
            await daemon.kill()
        else:
            assert await daemon.stop() == 0
        await gone(pids)
    assert not any(alive(pid) for pid in pids)


WAITING_PY = '''\
"""Blocks its thread."""

import pathlib
import time


def answer(payload: dict) -> int:
    """When the file is there."""
    while not pathlib.Path(payload["file"]).exists():
        time.sleep(0.01)
    return payload["n"]
'''
QUICK_PY = '''\
"""Blocks nothing."""


def answer(payload: dict) -> int:
    """At once."""
    return payload["n"]
'''
ASYNC_PY = '''\
"""Waits without a thread."""

import asyncio


async def waited(payload: dict) -> int:
    """After a moment."""
    await asyncio.sleep(0.3)
    return payload["n"]


async def answer(waited: int) -> int:
    """Of the wait."""
    return waited
'''


async def test_what_blocks_holds_up_nobody_else(tmp_path: Path) -> None:
    """A pool full of blocked threads leaves other pools and awaiting pipelines their pace."""
    settings = "triggers: [{topic: in/%s}]\noutputs: [{node: answer, topic: out/%s}]\n%s"
    files = {
        "conf/pipelines/blocking.yml": settings
        % ("blocking", "blocking", "run: {executor: {type: threadpool, max_workers: 2}}\n"),
        "conf/pipelines/quick.yml": settings % ("quick", "quick", ""),
        "conf/pipelines/waits.yml": settings % ("waits", "waits", ""),
        "pipelines/blocking.py": WAITING_PY,
        "pipelines/quick.py": QUICK_PY,
        "pipelines/waits.py": ASYNC_PY,
    }
    gate = tmp_path / "gate"
    async with (
        mosquitto() as broker,
        Listener(broker.port, "out/#") as listener,
        serving(project(tmp_path / "p", broker, files)) as daemon,
    ):
        body = '{"file": "%s", "n": %d}'
        await publish(broker.port, "in/blocking", [body % (gate, n) for n in range(10)])
        await daemon.until(lambda status: status["totals"]["pending"] == 10)
        started = asyncio.get_running_loop().time()
        await publish(broker.port, "in/waits", [body % ("", n) for n in range(60)])
        await publish(broker.port, "in/quick", [body % ("", n) for n in range(100)])
        await listener.next("out/quick", 100)
        await listener.next("out/waits", 60)
        seconds = asyncio.get_running_loop().time() - started
        blocked = await daemon.ask("status")
        before = len(listener.on("out/blocking"))
        gate.touch()
        await listener.next("out/blocking", 10)
        assert await daemon.stop() == 0

    executors = {row["name"]: row["executor"] for row in blocked["pipelines"]}
    assert executors == {"blocking": "threadpool(2)", "quick": "threadpool", "waits": "local"}
    assert before == 0
    assert 1 <= blocked["executors"]["threadpool(2)"]["busy"] <= 2
    assert [sorted(m.json for m in listener.on(f"out/{name}")) for name in ("blocking", "quick", "waits")] == [
        list(range(10)),
        list(range(100)),
        list(range(60)),
    ]
    # One after another the sixty would take 18 s.
    assert seconds < 9


async def test_a_pool_of_its_own_is_made_for_the_asking(tmp_path: Path) -> None:
    """A processpool's worker is another process than the daemon; its results and failures look the same."""
    files = {}
    for kind in ("local", "threadpool", "processpool"):
        files[f"pipelines/on_{kind}.py"] = (
            '"""Says where it is."""\n\nimport os\nimport threading\n\n\n'
            "def answer(payload: int) -> dict:\n"
            '    """Process and thread."""\n'
            "    if payload < 0:\n        raise LookupError('below zero')\n"
            "    main = threading.current_thread() is threading.main_thread()\n"
            "    return {'pid': os.getpid(), 'main': main}\n"
        )
        files[f"conf/pipelines/on_{kind}.yml"] = (
            f"triggers: [{{topic: in/{kind}}}]\n"
            f"outputs: [{{node: answer, topic: out/{kind}}}]\n"
            f"run: {{executor: {kind}, max_retries: 1, retry_delay: 0.05}}\n"
        )
    kinds = ("local", "threadpool", "processpool")
    async with (
        mosquitto() as broker,
        Listener(broker.port, "out/#", "fp/works/dlq/#") as listener,
        serving(project(tmp_path, broker, files)) as daemon,
    ):
        pid = daemon.pid
        for kind in kinds:
            await send(broker.port, f"in/{kind}", "1")
            await send(broker.port, f"in/{kind}", "-1")
        where = {kind: (await listener.next(f"out/{kind}"))[0].json for kind in kinds}
        letters = {kind: (await listener.next(f"fp/works/dlq/on_{kind}"))[0].user for kind in kinds}
        runs = {kind: await daemon.runs(f"on_{kind}", 2) for kind in kinds}
        assert await daemon.stop() == 0

    assert where["local"] == {"pid": pid, "main": True}
    assert where["threadpool"] == {"pid": pid, "main": False}
    assert where["processpool"]["pid"] not in (pid, os.getpid())
    for kind in kinds:
        assert (letters[kind]["error"], letters[kind]["node"]) == ("LookupError: below zero", "answer")
        failed = runs[kind][1]
        assert [attempt["number"] for attempt in failed["attempts"]] == [1, 2]
        assert all("below zero" in attempt["traceback"] for attempt in failed["attempts"])
