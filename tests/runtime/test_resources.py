"""Resources: opened once per worker, given by name, closed at a drain and when a changed version takes over."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fp_events import app, config
from fp_events.adapters.sender import flush_all
from tests.brokers import mosquitto
from tests.endtoend.harness import Listener, send, serving, write_project
from tests.executors.rq_parts import RedisServer

from .conftest import House

#: Writes a line per opening and closing.
OPENERS = '''
"""What runs need."""

import asyncio
import contextlib
import json
import os
import pathlib

FOLDER = pathlib.Path(__file__).parent.parent


def note(event, name):
    with (FOLDER / "notes.jsonl").open("a") as file:
        file.write(json.dumps([event, name, os.getpid()]) + "\\n")


class Pool:
    def __init__(self, name):
        note("open", name)
        self.name = name

    def ask(self, n):
        return f"{self.name} {n}"

    def close(self):
        note("close", self.name)


def plain(dsn, size=3):
    return Pool(f"plain {dsn} {size}")


def generated(dsn):
    pool = Pool(f"generated {dsn}")
    try:
        yield pool
    finally:
        pool.close()


@contextlib.contextmanager
def managed():
    note("open", "managed")
    yield Pool("inner")
    note("close", "managed")


class Manager:
    """Closed by leaving it, not by a method."""

    def __enter__(self):
        note("open", "manager")
        return Pool("entered")

    def __exit__(self, *_):
        note("close", "manager")


class Loop(Pool):
    """Works on the event loop that it was opened on."""

    def __init__(self, name):
        super().__init__(name)
        self.loop = asyncio.get_running_loop()

    async def aclose(self):
        assert self.loop is asyncio.get_running_loop()
        await asyncio.sleep(0)
        self.close()


async def awaited(dsn):
    await asyncio.sleep(0.01)
    return Loop(f"awaited {dsn}")


async def streamed():
    pool = Loop("streamed")
    yield pool
    await pool.aclose()


@contextlib.asynccontextmanager
async def entered_later():
    yield Loop("entered later")
    note("close", "entered later")


class Clumsy(Pool):
    def close(self):
        super().close()
        raise ConnectionError("it was gone already")


def clumsy():
    return Clumsy("clumsy")


def fragile():
    if not (FOLDER / "ready").exists():
        raise ConnectionRefusedError("nobody at home")
    return Pool("fragile")
'''
SYNC_PY = "def result(n: int, db: object) -> dict:\n    return {'answer': db.ask(n)}\n"
ASYNC_PY = "async def result(n: int, db: object) -> dict:\n    return {'answer': db.ask(n)}\n"
SETTINGS = """\
triggers: [{{topic: in/{name}, map: {{n: payload.n}}}}]
outputs: [{{node: result, topic: out/{name}}}]
resources: {{db: hooks.openers:{opener}}}
params: {params}
run: {{executor: {executor}}}
"""
#: Pipeline -> executor, opener, module.
PLACES = {
    "threads": ("{type: threadpool, max_workers: 4}", "plain", SYNC_PY),
    "procs": ("{type: processpool, max_workers: 2}", "generated", SYNC_PY),
    "loop": ("local", "awaited", ASYNC_PY),
    "loops": ("{type: threadpool, max_workers: 2}", "streamed", ASYNC_PY),
    "forks": ("{type: processpool, max_workers: 2}", "entered_later", ASYNC_PY),
}


def notes(folder: Path, event: str) -> list[tuple[str, int]]:
    """(name, process) of what was opened, or closed."""
    file = folder / "notes.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [(name, process) for kind, name, process in lines if kind == event]


async def test_each_worker_opens_once_and_closes_at_a_drain(tmp_path: Path) -> None:
    """A process for threads, a process each for processes, a loop for what is async; all are closed where they were."""
    async with mosquitto() as broker, Listener(broker.port, "out/#") as listener:
        files = {
            "conf/project.yml": f'name: pools\nmqtt: {{url: "mqtt://127.0.0.1:{broker.port}"}}\n',
            "hooks/openers.py": OPENERS,
        }
        for name, (executor, opener, module) in PLACES.items():
            params = "{}" if opener in ("streamed", "entered_later") else f"{{dsn: {name}}}"
            settings = SETTINGS.format(name=name, executor=executor, opener=opener, params=params)
            files |= {f"conf/pipelines/{name}.yml": settings, f"pipelines/{name}.py": module}
        async with serving(write_project(tmp_path, files)) as daemon:
            for number in range(5):
                for name in PLACES:
                    await send(broker.port, f"in/{name}", {"n": number})
            answers = {name: await listener.next(f"out/{name}", 5) for name in PLACES}
            pid = daemon.pid
            assert await daemon.stop() == 0

    opened = notes(tmp_path, "open")
    assert {"plain threads 3", "generated procs", "awaited loop", "streamed", "entered later"} == {n for n, _ in opened}
    assert {f"plain threads 3 {n}" for n in range(5)} == {message.json["answer"] for message in answers["threads"]}
    assert [("plain threads 3", pid)] == [each for each in opened if each[0].startswith("plain")]
    assert [("awaited loop", pid)] == [each for each in opened if each[0].startswith("awaited")]
    assert {pid} == {process for name, process in opened if name == "streamed"}
    workers = [process for name, process in opened if name == "generated procs"]
    assert len(set(workers)) == len(workers) <= 2
    assert pid not in workers
    # Whatever was opened was closed, in its process.
    assert sorted(opened) == sorted(each for each in notes(tmp_path, "close") if each in opened)


def project(folder: Path, opener: str, module: str = SYNC_PY, **settings: Any) -> Any:
    """A pipeline `p` whose `db` is opened by `opener`."""
    (folder / "ready").touch()
    given = {"resources": {"db": f"hooks.openers:{opener}"}, "params": {"dsn": "d"}, **settings}
    files = {
        "conf/project.yml": "name: pools\n",
        "conf/pipelines/p.yml": json.dumps(given),
        "pipelines/p.py": module,
        "hooks/openers.py": OPENERS,
    }
    return config.load(write_project(folder, files), environ={})


@pytest.mark.parametrize("executor", ["threadpool", "local"])
@pytest.mark.parametrize(
    ("opener", "answer", "closed"),
    [
        ("plain", "plain d 3 1", ["plain d 3"]),
        ("generated", "generated d 1", ["generated d"]),
        ("managed", "inner 1", ["managed"]),
        ("Manager", "entered 1", ["manager"]),
        ("awaited", "awaited d 1", ["awaited d"]),
        ("streamed", "streamed 1", ["streamed"]),
        ("entered_later", "entered later 1", ["entered later"]),
    ],
)
def test_openers_of_all_kinds(tmp_path: Path, executor: str, opener: str, answer: str, closed: list[str]) -> None:
    """Functions, generators and context managers, plain ones and async ones, for ordinary functions."""
    loaded = project(tmp_path, opener, run={"executor": executor})

    report = app.run_pipeline(loaded, app.Call(pipeline="p", inputs={"n": 1}))

    assert {"result": {"answer": answer}} == report.values
    assert closed == [name for name, _ in notes(tmp_path, "close")]


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ({}, "plain d 3 1"),
        ({"params": {"dsn": "d", "db": None, "size": 8}}, "plain d 8 1"),
        ({"run": {"inputs": {"dsn": "of inputs"}}}, "plain of inputs 3 1"),
        ({"run": {"inputs": {"db": "inputs"}}}, "inputs"),
    ],
)
def test_who_gives_an_input_that_is_a_resource(tmp_path: Path, given: dict[str, Any], answer: str) -> None:
    """`run.inputs` before the resource, the resource before `params`, from which it has its own arguments."""
    module = SYNC_PY.replace("db.ask(n)", "db.ask(n) if hasattr(db, 'ask') else db")
    loaded = project(tmp_path, "plain", module, **given)

    report = app.run_pipeline(loaded, app.Call(pipeline="p", inputs={"n": 1}))

    assert {"result": {"answer": answer}} == report.values


def test_an_error_of_closing_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It changes no outcome."""
    loaded = project(tmp_path, "clumsy")

    report = app.run_pipeline(loaded, app.Call(pipeline="p", inputs={"n": 1}))

    assert "succeeded" == report.outcome.value
    told = "resource 'db' (hooks.openers:clumsy) did not close properly: ConnectionError: it was gone already"
    assert [told] == [record.getMessage() for record in caplog.records if record.name == "fp_events.resources"]


async def test_what_cannot_be_opened_fails_attempts_until_it_can(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening is not tried again at every message, and is once its time has come."""
    monkeypatch.setattr("fp_events.runtime.holding._PAUSE", 0.2)
    (house.folder / "hooks").mkdir()
    (house.folder / "hooks" / "openers.py").write_text(OPENERS)
    house.pipeline(
        code=SYNC_PY,
        triggers=[{"topic": "in/work", "map": {"n": "payload.n"}}],
        resources={"db": "hooks.openers:fragile"},
        run={"max_retries": 1, "retry_delay": 0.01},
    )
    async with house.serving() as daemon:
        house.publish("in/work", 1)
        house.publish("in/work", 2)
        assert ["failed", "failed"] == await daemon.outcomes(2)
        failure = daemon.ended[0].failure
        (house.folder / "ready").touch()
        house.publish("in/work", 3)
        await daemon.outcomes(3)
        await asyncio.sleep(0.2)
        house.publish("in/work", 4)
        await daemon.until(lambda: house.published("out/work"))
        assert await daemon.stop()

    assert failure is not None
    assert "fp_events.domain.errors.ResourceUnavailable" == failure.type
    assert "ConnectionRefusedError" in failure.lineage
    assert failure.message.startswith(
        "resource 'db' (hooks.openers:fragile at hooks/openers.py:100) cannot be opened: "
        "ConnectionRefusedError: nobody at home; it is tried again after 0."
    )
    assert [{"answer": "fragile 4"}] == house.published("out/work")
    assert ["fragile"] == [name for name, _ in notes(house.folder, "open")]
    assert ["fragile"] == [name for name, _ in notes(house.folder, "close")]


async def test_a_reload_closes_what_has_changed_and_nothing_else(house: House) -> None:
    """The new one is opened for the next run; the old one is closed when no run of it is under way any more."""
    (house.folder / "hooks").mkdir()
    openers = house.folder / "hooks" / "openers.py"
    openers.write_text(OPENERS)
    code = """
from tests.runtime import gates

def result(n: int, do: list | None, db: object) -> dict:
    gates.act(n, do)
    return {"answer": db.ask(n)}
"""
    house.project(resources={"db": "hooks.openers:plain"})
    for name in ("work", "other"):
        house.pipeline(name, code, params={"dsn": name})
    async with house.serving() as daemon:
        for name in ("work", "other"):
            house.publish(f"in/{name}", 1)
        await daemon.outcomes(2)
        house.publish("in/work", 2, "gate")
        await house.steering.gates[2].entered()
        openers.write_text(OPENERS.replace("async def awaited", "async def renamed"))
        await daemon.ask("reload")
        assert [] == notes(house.folder, "close")
        house.pipeline("work", code, params={"dsn": "moved"})
        await daemon.ask("reload")
        house.publish("in/work", 3)
        await daemon.outcomes(3)
        assert [] == notes(house.folder, "close")
        house.steering.gates[2].open()
        await daemon.outcomes(4)
        await daemon.until(lambda: notes(house.folder, "close"))
        assert ["plain work 3"] == [name for name, _ in notes(house.folder, "close")]
        assert await daemon.stop()

    expected = ["plain moved 3", "plain other 3", "plain work 3"]
    assert expected == sorted(name for name, _ in notes(house.folder, "open"))
    assert expected == sorted(name for name, _ in notes(house.folder, "close"))
    answers = {"plain work 3 1", "plain work 3 2", "plain moved 3 3"}
    assert answers == {message["answer"] for message in house.published("out/work")}


async def test_resources_are_in_no_record(house: House) -> None:
    """Neither values nor what hooks are told hold them."""
    (house.folder / "hooks").mkdir()
    (house.folder / "hooks" / "openers.py").write_text(
        OPENERS + "\n\ndef seen(record):\n    note('seen', *record.inputs)\n"
    )
    house.pipeline(
        code=SYNC_PY,
        triggers=[{"topic": "in/work", "map": {"n": "payload.n"}}],
        params={"dsn": "secret"},
        resources={"db": "hooks.openers:plain"},
        hooks={"before_run": "hooks.openers:seen"},
    )
    async with house.serving() as daemon:
        asked = await daemon.ask("run", pipeline="work", inputs={"n": 1}, final_vars=["result", "db"], wait=True)

    assert {"result": {"answer": "plain secret 3 1"}} == asked["values"]
    assert ["n"] == [name for name, _ in notes(house.folder, "seen")]


async def test_jobs_of_rq_open_and_close_their_own(tmp_path: Path) -> None:
    """Hooks and resources are with the process of the job."""
    redis = RedisServer()
    redis.start()
    try:
        async with mosquitto() as broker, Listener(broker.port, "out/#") as listener:
            settings = SETTINGS.format(
                name="jobs", executor="{type: rq, url: URL}", opener="generated", params="{dsn: q}"
            )
            files = {
                "conf/project.yml": f'name: pools\nmqtt: {{url: "mqtt://127.0.0.1:{broker.port}"}}\n',
                "hooks/openers.py": OPENERS + "\n\ndef begin(record):\n    note('begin', record.run_id)\n",
                "conf/pipelines/jobs.yml": settings.replace("URL", f'"{redis.url}"')
                + "hooks: {before_run: hooks.openers:begin}\n",
                "pipelines/jobs.py": SYNC_PY,
            }
            folder = write_project(tmp_path, files)
            command = [sys.executable, "-m", "fp_events.cli", "--project", str(folder), "worker", "rq"]
            with subprocess.Popen(command, stderr=subprocess.DEVNULL) as worker:
                try:
                    async with serving(folder) as daemon:
                        await send(broker.port, "in/jobs", {"n": 1})
                        (answer,) = await listener.next("out/jobs")
                        (run,) = await daemon.runs("jobs")
                finally:
                    worker.kill()
    finally:
        redis.kill()

    assert {"answer": "generated q 1"} == answer.json
    (opened,) = notes(tmp_path, "open")
    assert [opened] == notes(tmp_path, "close")
    assert [(run["run_id"], opened[1])] == notes(tmp_path, "begin")
    assert opened[1] != worker.pid


def test_adapters_are_not_told_of_them(tmp_path: Path) -> None:
    """MLflow gets the other inputs as parameters."""
    pytest.importorskip("mlflow")
    adapter = {"mlflow": {"tracking_uri": "mlruns"}}
    loaded = project(tmp_path, "plain", run={"with_adapter": {"mlflow": True}}, adapter=adapter)

    report = app.run_pipeline(loaded, app.Call(pipeline="p", inputs={"n": 1}))
    flush_all()

    assert "succeeded" == report.outcome.value
    assert ["n"] == [file.name for file in tmp_path.glob("mlruns/*/*/params/*")]
