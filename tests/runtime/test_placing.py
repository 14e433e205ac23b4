"""Single runs that execute elsewhere than their pipeline's, and a hundred runs at once under every executor."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from fp_events.domain.errors import CommandRefused
from tests.executors.cluster_parts import PACKAGES, require_extra
from tests.executors.rq_parts import RedisServer

from .conftest import Daemon, House

WHERE = """
import os
import threading


def result(n: int) -> dict:
    return {"n": n, "process": os.getpid(), "thread": threading.get_ident()}
"""
#: Of Ray, which takes its time to start, everything.
ALL = os.environ.get("CLUSTERS") == "all"
#: The thread of executor `local`; by default functions run on others.
LOOP = threading.main_thread().ident
PLAIN: dict[str, Any] = {"triggers": [{"topic": "in/work", "map": {"n": "payload.n"}}]}


async def where(daemon: Daemon, pipeline: str = "work", **arguments: Any) -> tuple[int, int]:
    """Process and thread in which a run executed."""
    answer = await daemon.ask("run", pipeline=pipeline, inputs={"n": 1}, wait=True, **arguments)
    assert "succeeded" == answer["outcome"], answer
    result = answer["values"]["result"]
    return result["process"], result["thread"]


async def test_a_run_executes_where_it_asks_to(house: House) -> None:
    """By type, or with a number of workers; the others stay where their pipeline's are."""
    house.pipeline(code=WHERE, **PLAIN)
    async with house.serving() as daemon:
        here = os.getpid()
        assert here != (await where(daemon, executor={"type": "processpool", "max_workers": 1}))[0]
        assert (here, LOOP) == await where(daemon, executor="local")
        process, thread = await where(daemon)
        assert (here, True) == (process, thread != LOOP)
        status = await daemon.ask("status")

    assert ['{"max_workers": 1, "type": "processpool"}', '{"type": "local"}'] == list(status["other_executors"])


async def test_the_executor_of_a_run_holds_after_a_restart(house: House) -> None:
    """It is stored with the run."""
    house.use_sqlite()
    house.pipeline(code=WHERE, **PLAIN)
    async with house.serving() as daemon:
        await daemon.ask("pause", pipeline="work")
        await daemon.ask("run", pipeline="work", inputs={"n": 1}, run_id="kept", executor="local")
        await daemon.stop()
    async with house.serving() as daemon:
        await daemon.ask("resume", pipeline="work")
        assert ["succeeded"] == await daemon.outcomes(1)
        shown = await daemon.ask("runs.show", run_id="kept")

    assert LOOP == shown["values"]["result"]["thread"]


async def test_a_run_shares_the_executor_that_another_pipeline_has(house: House) -> None:
    """A type alone means that executor as the project configures it."""
    house.pipeline(code=WHERE, **PLAIN)
    house.pipeline("other", code=WHERE, triggers=[], run={"executor": {"type": "threadpool", "max_workers": 1}})
    async with house.serving() as daemon:
        only = await where(daemon, "other")

        assert only != await where(daemon)
        assert only == await where(daemon, executor="threadpool")
        assert {} == (await daemon.ask("status"))["other_executors"]


async def test_a_run_that_is_elsewhere_is_cancelled_there(house: House, tmp_path: Path) -> None:
    """Its process is killed."""
    code = (
        "import pathlib, time\n\n\ndef result(n: int) -> int:\n"
        f"    pathlib.Path({str(tmp_path / 'began')!r}).touch()\n    time.sleep(60)\n"
    )
    house.pipeline(code=code, **PLAIN)
    async with house.serving() as daemon:
        await daemon.ask("run", pipeline="work", inputs={"n": 1}, run_id="r", executor="processpool")
        await daemon.until((tmp_path / "began").exists)
        await daemon.ask("runs.cancel", run_ids=["r"])

        assert ["cancelled"] == await daemon.outcomes(1)


async def test_a_schedules_runs_execute_where_it_says(house: House) -> None:
    """In the project's files, and by command."""
    schedule = {"interval": "1s", "inputs": {"n": 1}, "executor": "local"}
    house.pipeline(code=WHERE, **PLAIN, schedule=schedule)
    async with house.serving() as daemon:
        await daemon.outcomes(1)
        values = json.loads(daemon.ended[0].values or b"{}")
        added = await daemon.ask(
            "schedules.add", pipeline="work", schedule_id="s", interval="1h", inputs={"n": 1}, executor="processpool"
        )

    assert LOOP == values["result"]["thread"]
    assert {"type": "processpool"} == added["request"]["executor"]


@pytest.mark.parametrize(
    ("executor", "said"),
    [
        ("slurm", "'executor' must be one of local, threadpool, processpool, ray, dask, rq"),
        ({"max_workers": 2}, "'executor' must be one of"),
        ({"type": "rq", "url": "redis://elsewhere"}, "'executor' has no 'url' here"),
        ({"type": "processpool", "max_workers": 0}, "'executor.max_workers' must be a whole number"),
        (3, "'executor' must be one of"),
    ],
)
async def test_an_executor_that_cannot_be_had_is_refused(house: House, executor: object, said: str) -> None:
    """Before anything is stored."""
    house.pipeline(code=WHERE, **PLAIN)
    async with house.serving() as daemon:
        with pytest.raises(CommandRefused, match=said):
            await daemon.ask("run", pipeline="work", inputs={"n": 1}, executor=executor)


async def test_by_mqtt_only_types_of_the_project(house: House) -> None:
    """Neither another type nor a number of workers."""
    house.project(control={"mqtt": True, "allow": {"work": {"inputs": ["n"]}}})
    house.pipeline(code=WHERE, **PLAIN)
    house.pipeline("other", code=WHERE, triggers=[], run={"executor": "local"})
    replies = "fp/house/reply/run"
    async with house.serving() as daemon:
        for executor in ("local", "processpool", {"type": "local", "max_workers": 64}):
            asked = {"pipeline": "work", "inputs": {"n": 1}, "executor": executor, "sent_at": time.time()}
            house.broker.publish("fp/house/control/run", json.dumps(asked))
        await daemon.until(lambda: len(house.published(replies)) == 3)
        await daemon.outcomes(1)

    assert [True, False, False] == [reply["ok"] for reply in house.published(replies)]
    assert "there are: local" == house.published(replies)[1]["error"]["mend"]
    assert LOOP == json.loads(daemon.ended[0].values or b"{}")["result"]["thread"]


async def test_without_its_extra_an_executor_is_refused(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    from fp_events.app import places

    house.pipeline(code=WHERE, **PLAIN)
    monkeypatch.setattr(places, "find_spec", lambda name: None)
    async with house.serving() as daemon:
        with pytest.raises(CommandRefused, match=r"needs the package ray; pip install 'fp-events\[ray\]'"):
            await daemon.ask("run", pipeline="work", inputs={"n": 1}, executor="ray")


@contextmanager
def rq(house: House) -> Iterator[dict[str, Any]]:
    """An executor with a Redis and two workers of its own."""
    server = RedisServer()
    server.start()
    executor = {"type": "rq", "url": server.url}
    house.pipeline(code=WHERE, **PLAIN, run={"executor": executor})
    command = [sys.executable, "-m", "fp_events.cli", "--project", str(house.folder), "worker", "rq"]
    worker = subprocess.Popen([*command, "--num-workers", "2"], stderr=subprocess.DEVNULL)
    try:
        yield executor
    finally:
        worker.terminate()
        worker.wait()
        server.kill()


@pytest.mark.parametrize("executor", ["local", "threadpool", "processpool", "dask", "ray", "rq"])
async def test_a_hundred_runs_of_one_pipeline_at_once(house: House, executor: str) -> None:
    """A hundred messages in one breath: each has its own result, under every executor."""
    if executor in PACKAGES:
        require_extra(executor)
    if executor == "ray" and not ALL:
        pytest.skip("CLUSTERS=all; tests/executors/test_clusters.py has the same without a daemon")
    with rq(house) if executor == "rq" else nullcontext({"type": executor}) as settings:
        limit = {} if executor in {"local", "rq"} else {"max_workers": 2}
        house.pipeline(code=WHERE, **PLAIN, run={"executor": {**settings, **limit}})
        async with house.serving() as daemon:
            for n in range(100):
                house.publish("in/work", n)
            async with asyncio.timeout(50):
                while len(house.published("out/work")) < 100:
                    await asyncio.sleep(0.02)
            ended = [record.outcome.value for record in daemon.ended]
            results = house.published("out/work")
            if executor == "dask":
                await _reloaded(house, daemon, settings | limit)

    assert ["succeeded"] * 100 == ended
    assert list(range(100)) == sorted(result["n"] for result in results)
    # In this process, or in several others.
    inside = {result["process"] for result in results} == {os.getpid()}
    assert (executor in {"local", "threadpool"}) is inside


async def _reloaded(house: House, daemon: Daemon, executor: dict[str, Any]) -> None:
    """Workers take over what a reload has: the next run is of the new code, and says which version that is."""
    house.pipeline(code=WHERE.replace('"n": n,', '"n": -n,'), **PLAIN, run={"executor": executor})
    await daemon.ask("reload")
    before = daemon.ended[-1]
    answer = await daemon.ask("run", pipeline="work", inputs={"n": 1}, wait=True)

    assert -1 == answer["values"]["result"]["n"]
    assert before.version != daemon.ended[-1].version
