"""A daemon whose runs are executed by `fp-events worker rq`, over a real Redis."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.brokers import Mosquitto, mosquitto
from tests.executors.rq_parts import RedisServer

from .harness import Daemon, Sink, publish, serving, write_project

#: Messages over two workers, one of which is killed; 1000 to see it all.
RUNS = int(os.environ.get("RQ_RUNS", "40"))
PATIENCE = 50 if RUNS <= 100 else 900

PRESS_PY = '''\
"""Doubles, slowly."""

import pathlib
import time


def doubled(payload: int) -> int:
    """Twice the payload."""
    time.sleep(0.03)
    return 2 * payload


def held(payload: int, doubled: int) -> int:
    """Wait as long as a file says so."""
    hold = pathlib.Path("HOLD")
    while hold.exists():
        time.sleep(0.02)
    return doubled
'''
PRESS_YML = """\
triggers: [{topic: in}]
outputs: [{node: held, topic: out}]
run: {max_retries: 3, retry_delay: 0.1}
"""


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis."""
    made = RedisServer()
    made.start()
    yield made
    made.kill()


@pytest.fixture
async def broker() -> AsyncIterator[Mosquitto]:
    """A broker."""
    async with mosquitto() as made:
        yield made


def project(folder: Path, broker: Mosquitto, redis: RedisServer) -> Path:
    settings = f"""\
name: works
mqtt: {{url: "mqtt://127.0.0.1:{broker.port}"}}
run: {{executor: {{type: rq, url: "{redis.url}", queue: works}}}}
"""
    hold = str(folder / "hold")
    return write_project(
        folder,
        {
            "conf/project.yml": settings,
            "conf/pipelines/press.yml": PRESS_YML,
            "pipelines/press.py": PRESS_PY.replace("HOLD", hold),
        },
    )


@contextlib.contextmanager
def working(folder: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """`fp-events worker rq` as a process."""
    command = [sys.executable, "-m", "fp_events.cli", "--project", str(folder), "worker", "rq", *options]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


async def settled(daemon: Daemon, count: int) -> dict[str, int]:
    """Wait until so many runs have ended; their number by outcome."""
    async with asyncio.timeout(PATIENCE):
        while True:
            (press,) = (await daemon.ask("status"))["pipelines"]
            outcomes: dict[str, int] = press["since_start"]
            if sum(outcomes.values()) >= count:
                return {name: number for name, number in outcomes.items() if number}
            await asyncio.sleep(0.05)


@pytest.mark.timeout(1000)
async def test_a_killed_worker_loses_no_message(tmp_path: Path, broker: Mosquitto, redis: RedisServer) -> None:
    """Two workers, one killed by SIGKILL in the middle: every message has its result."""
    folder = project(tmp_path / "project", broker, redis)
    with working(folder, "--name", "a") as first, working(folder, "--name", "b"):
        async with serving(folder) as daemon, Sink(broker.port, "out") as sink:
            await publish(broker.port, "in", map(str, range(RUNS)))
            await sink.until(lambda messages: len(messages) >= RUNS // 4, PATIENCE)
            first.kill()

            outcomes = await settled(daemon, RUNS)
            await sink.until(lambda messages: len(messages) >= RUNS, PATIENCE)

            assert {"succeeded": RUNS} == outcomes
            assert {2 * n for n in range(RUNS)} == {json.loads(payload) for _, payload, _ in sink.messages}


async def test_a_killed_daemons_runs_are_executed_again(tmp_path: Path, broker: Mosquitto, redis: RedisServer) -> None:
    """Killed while jobs wait and run: after its restart all end, and each only once in the ledger."""
    folder = project(tmp_path / "project", broker, redis)
    hold = folder / "hold"
    hold.touch()
    with working(folder, "--num-workers", "2"):
        async with serving(folder) as daemon, Sink(broker.port, "out") as sink:
            await publish(broker.port, "in", map(str, range(12)))
            await daemon.until(lambda status: status["executors"]["rq(works)"]["busy"] == 2)
            await daemon.kill()
            await daemon.start()
            hold.unlink()

            await sink.until(lambda messages: len(messages) >= 12, PATIENCE)
            runs = await daemon.runs("press", 12)

            assert {"succeeded"} == {run["outcome"] for run in runs}
            assert sorted(2 * n for n in range(12)) == sorted(json.loads(payload) for _, payload, _ in sink.messages)


async def test_redis_that_is_away_is_said_and_waited_for(tmp_path: Path, broker: Mosquitto, redis: RedisServer) -> None:
    """`status` and the log say so; when it is back, empty, the run ends without a hand."""
    folder = project(tmp_path / "project", broker, redis)
    with working(folder):
        async with serving(folder) as daemon:
            redis.kill()
            await daemon.logged("workers_out_of_reach")
            await publish(broker.port, "in", ["21"])
            status = await daemon.until(lambda found: found["totals"]["pending"] == 1)
            assert 0 == status["executors"]["rq(works)"]["connected"]

            redis.start()
            await daemon.logged("workers_in_reach")

            assert {"succeeded": 1} == await settled(daemon, 1)


async def test_a_reload_reaches_the_workers(tmp_path: Path, broker: Mosquitto, redis: RedisServer) -> None:
    """The next run is of the new code, as its result's version says."""
    folder = project(tmp_path / "project", broker, redis)
    with working(folder):
        async with serving(folder) as daemon, Sink(broker.port, "out") as sink:
            await publish(broker.port, "in", ["1"])
            await sink.until(lambda messages: len(messages) == 1, PATIENCE)
            module = folder / "pipelines" / "press.py"
            module.write_text(module.read_text().replace("2 * payload", "3 * payload"))
            await daemon.ask("reload")

            await publish(broker.port, "in", ["1"])
            await sink.until(lambda messages: len(messages) == 2, PATIENCE)

            assert [b"2", b"3"] == [payload for _, payload, _ in sink.messages]
            assert 2 == len({properties["version"] for _, _, properties in sink.messages})


async def test_serve_and_worker_end_without_redis(tmp_path: Path, broker: Mosquitto, redis: RedisServer) -> None:
    """One sentence and 69, for both."""
    folder = project(tmp_path / "project", broker, redis)
    redis.kill()
    for verb in (["serve"], ["worker", "rq"]):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "fp_events.cli", "--project", str(folder), *verb), stderr=asyncio.subprocess.PIPE
        )
        _, said = await process.communicate()

        assert 69 == process.returncode
        (line,) = said.decode().splitlines()
        assert f"Redis at redis://127.0.0.1:{redis.port}/0 cannot be used" in line
