"""Single runs that execute elsewhere than their pipeline's, and a hundred runs at once under every executor."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
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


def result(n: int) -> dict:
    return {"n": n, "process": os.getpid()}
"""
#: Where runs are taken by default here: in this process.
PLAIN: dict[str, Any] = {"triggers": [{"topic": "in/work", "map": {"n": "payload.n"}}]}


async def where(daemon: Daemon, **arguments: Any) -> int:
    """The process that a run of `work` executed in."""
    answer = await daemon.ask("run", pipeline="work", inputs={"n": 1}, wait=True, **arguments)
    assert "succeeded" == answer["outcome"], answer
    return int(answer["values"]["result"]["process"])


async def test_a_run_executes_where_it_asks_to(house: House) -> None:
    """By type, or with a number of workers; the others stay where their pipeline's are."""
    house.pipeline(code=WHERE, **PLAIN)
    async with house.serving() as daemon:
        assert os.getpid() != await where(daemon, executor="processpool")
        assert os.getpid() != await where(daemon, executor={"type": "processpool", "max_workers": 1})
        assert os.getpid() == await where(daemon)
        status = await daemon.ask("status")

    assert ['{"type": "processpool"}', '{"max_workers": 1, "type": "processpool"}'] == list(status["other_executors"])


async def test_the_executor_of_a_run_holds_after_a_restart(house: House) -> None:
    """It is stored with the run."""
    house.use_sqlite()
    house.pipeline(code=WHERE, **PLAIN)
    async with house.serving() as daemon:
        await daemon.ask("pause", pipeline="work")
        await daemon.ask("run", pipeline="work", inputs={"n": 1}, run_id="kept", executor="processpool")
        await daemon.stop()
    async with house.serving() as daemon:
        await daemon.ask("resume", pipeline="work")
        assert ["succeeded"] == await daemon.outcomes(1)
        shown = await daemon.ask("runs.show", run_id="kept")

    assert os.getpid() != shown["values"]["result"]["process"]


async def test_a_run_shares_the_executor_that_another_pipeline_has(house: House) -> None:
    """A type alone means that executor as the project configures it."""
    house.pipeline(code=WHERE, **PLAIN)
    house.pipeline("other", code=WHERE, triggers=[], run={"executor": {"type": "processpool", "max_workers": 1}})
    async with house.serving() as daemon:
        answer = await daemon.ask("run", pipeline="other", inputs={"n": 1}, wait=True)
        process = answer["values"]["result"]["process"]

        assert process == await where(daemon, executor="processpool")
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
    schedule = {"interval": "1s", "inputs": {"n": 1}, "executor": {"type": "processpool", "max_workers": 1}}
    house.pipeline(code=WHERE, **PLAIN, schedule=schedule)
    async with house.serving() as daemon:
        await daemon.outcomes(1)
        values = json.loads(daemon.ended[0].values or b"{}")
        added = await daemon.ask(
            "schedules.add", pipeline="work", schedule_id="s", interval="1h", inputs={"n": 1}, executor="processpool"
        )

    assert os.getpid() != values["result"]["process"]
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
    house.pipeline("other", code=WHERE, triggers=[], run={"executor": {"type": "processpool", "max_workers": 1}})
    replies = "fp/house/reply/run"
    async with house.serving() as daemon:
        for executor in ("processpool", "local", {"type": "processpool", "max_workers": 64}):
            asked = {"pipeline": "work", "inputs": {"n": 1}, "executor": executor, "sent_at": time.time()}
            house.broker.publish("fp/house/control/run", json.dumps(asked))
        await daemon.until(lambda: len(house.published(replies)) == 3)
        await daemon.outcomes(1)

    assert [True, False, False] == [reply["ok"] for reply in house.published(replies)]
    assert "there are: processpool" == house.published(replies)[1]["error"]["mend"]
    assert os.getpid() != json.loads(daemon.ended[0].values or b"{}")["result"]["process"]


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

    assert ["succeeded"] * 100 == ended
    assert list(range(100)) == sorted(result["n"] for result in house.published("out/work"))
    # In this process, or in several others.
    inside = {result["process"] for result in house.published("out/work")} == {os.getpid()}
    assert (executor in {"local", "threadpool"}) is inside


async def test_workers_take_over_what_a_reload_has(house: House) -> None:
    """The next run is of the new code, and its result says which version that is."""
    require_extra("dask")
    settings = {**PLAIN, "run": {"executor": {"type": "dask", "max_workers": 1}}}
    house.pipeline(code=WHERE, **settings)
    async with house.serving() as daemon:
        house.publish("in/work", 1)
        await daemon.outcomes(1)
        house.pipeline(code=WHERE.replace('"n": n,', '"n": 10 * n,'), **settings)
        await daemon.ask("reload")
        house.publish("in/work", 1)
        await daemon.outcomes(2)

        values = [json.loads(record.values or b"{}")["result"] for record in daemon.ended]
        assert [1, 10] == [each["n"] for each in values]
        assert 1 == len({each["process"] for each in values})
        assert 2 == len({record.version for record in daemon.ended})
