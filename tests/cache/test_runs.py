"""Kept values under a daemon: in threads, on the loop, in processes, over restarts, and as a run asks for them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from fp_events.cli.main import main
from fp_events.domain.errors import CommandRefused
from tests.brokers import mosquitto
from tests.endtoend.harness import Daemon, Listener, cli, send, serving, write_project
from tests.support import require_program

CODE = '''\
"""Looks a line up, and weighs it."""

from fp_events import cached


{define} looked_up(line: str) -> tuple:
    """Dear."""
    return (line, len(line))


@cached(ttl="1h", key=lambda looked_up: looked_up[0])
{define} weight(looked_up: tuple) -> float:
    """Dear as well."""
    return looked_up[1] / 2


def result(weight: float, value: float) -> dict:
    """Of each message."""
    return {{"weight": weight, "value": value}}
'''
SETTINGS = """\
triggers: [{{topic: "in/{name}/{{line}}", map: {{value: payload, line: topic.line}}}}]
outputs: [{{node: result, topic: "out/{name}"}}]
run: {{executor: {executor}, cache: {{only: [looked_up]}}}}
"""
KINDS = {
    "threads": ("threadpool", "def"),
    "loop": ("local", "async def"),
    "processes": ("{type: processpool, max_workers: 2}", "def"),
}
#: What a run is given.
HERE = {"line": "a", "value": 1}
COMPUTED = {"looked_up": "succeeded", "weight": "succeeded", "result": "succeeded"}
CACHED = {"looked_up": "cached", "weight": "cached", "result": "succeeded"}


def project(folder: Path, port: int) -> Path:
    files = {"conf/project.yml": f'name: works\nmqtt: {{url: "mqtt://127.0.0.1:{port}"}}\n'}
    for name, (executor, define) in KINDS.items():
        files[f"conf/pipelines/{name}.yml"] = SETTINGS.format(name=name, executor=executor)
        files[f"pipelines/{name}.py"] = CODE.format(define=define)
    return write_project(folder, files)


def statuses(run: dict[str, Any]) -> dict[str, str]:
    return {node["node"]: node["status"] for node in run["nodes"]}


async def asked(daemon: Daemon, name: str, cache: Any = None) -> dict[str, str]:
    """What happened to the nodes of a run that is asked for."""
    run = await daemon.ask("run", pipeline=name, inputs={"line": "north", "value": 3}, cache=cache, wait=True)
    return statuses(await daemon.ask("runs.show", run_id=run["run_id"]))


async def test_values_are_kept_wherever_runs_execute(tmp_path: Path) -> None:
    """The second message of a line computes what is its own; so does the first one after a restart."""
    async with mosquitto() as broker, Listener(broker.port, "out/#") as listener:
        folder = project(tmp_path, broker.port)
        async with serving(folder) as daemon:
            for number in range(2):
                for name in KINDS:
                    await send(broker.port, f"in/{name}/north", number)
                    await listener.next(f"out/{name}", number + 1)
            found = {name: [statuses(run) for run in await daemon.runs(name, 2)] for name in KINDS}
            assert {name: [COMPUTED, CACHED] for name in KINDS} == found
            assert await daemon.stop() == 0
        async with serving(folder) as daemon:
            for name in KINDS:
                assert CACHED == await asked(daemon, name)
                assert COMPUTED == await asked(daemon, name, False)
                anew = await asked(daemon, name, {"recompute": ["looked_up"], "disable": False})
                assert {"looked_up": "succeeded", "weight": "cached", "result": "succeeded"} == anew
            # A process of its own beside the daemon's.
            cleared = await cli(folder, "cache", "clear", "-p", "loop", "--node", "weight")
            again = await cli(folder, "cache", "clear", "-p", "loop", "--node", "weight")
            mistyped = await cli(folder, "cache", "clear", "--node", "wieght")
            assert {**CACHED, "weight": "succeeded"} == await asked(daemon, "loop")
            added = await daemon.ask("schedules.add", pipeline="loop", interval="1h", inputs=HERE, cache={"ttl": "5m"})
            with pytest.raises(CommandRefused, match="belongs to the pipeline's configuration"):
                await daemon.ask("run", pipeline="loop", cache={"url": "memory://x"})
            wrong = await daemon.ask("run", pipeline="loop", inputs=HERE, cache={"only": ["x"]}, wait=True)
            status = await daemon.ask("status")
            assert await daemon.stop() == 0

    assert "deleted 1 value" in cleared.err
    assert (0, True) == (again.code, "deleted 0 values" in again.err)
    sentence = "error: no values of a node 'wieght' are in the cache; there are looked_up, weight\n"
    assert (64, sentence) == (mistyped.code, mistyped.err)
    assert {"inputs": HERE, "cache": {"ttl": "5m"}} == added["request"]
    assert "`cache.only` names 'x'" in wrong["error"]
    assert 2 <= status["cache"]["threads"]["hits"]


async def test_a_run_is_drawn_from_what_the_daemon_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By its id, in the colours of what happened; not as a run of another pipeline."""
    require_program("dot")
    async with mosquitto() as broker:
        folder = project(tmp_path, broker.port)
        async with serving(folder) as daemon:
            run = {"pipeline": "threads", "inputs": {"line": "north", "value": 3}, "wait": True}
            for _ in range(2):
                run_id = (await daemon.ask("run", **run))["run_id"]
            codes = []
            for verb in (["show", "threads"], ["show", "loop"], ["save", "threads", "-o", str(tmp_path / "run.svg")]):
                words = ["--project", str(folder), "graph", *verb, "--run", run_id]
                codes.append(await asyncio.to_thread(main, words))
            said = capsys.readouterr()
            assert await daemon.stop() == 0

    assert [0, 64, 0] == codes
    assert f"threads, run {run_id}: succeeded" == said.out.splitlines()[0]
    assert 2 == said.out.count("  cached in ")
    assert f"run {run_id} is one of threads" in said.err
    svg = (tmp_path / "run.svg").read_text()
    assert (7, 2, 1) == (svg.count('class="node"'), svg.count('fill="#bfdbfe"'), svg.count('fill="#bbf7d0"'))


async def test_a_store_that_fails_fails_no_run(tmp_path: Path) -> None:
    """A file in the folder's place: each run computes, it is said once in the log and counted in `status`."""
    async with mosquitto() as broker, Listener(broker.port, "out/#") as listener:
        folder = project(tmp_path, broker.port)
        (folder / ".fp-events").mkdir(mode=0o700)
        (folder / ".fp-events" / "cache").write_text("in the way")
        async with serving(folder) as daemon:
            for number in range(3):
                await send(broker.port, "in/threads/north", number)
                await listener.next("out/threads", number + 1)
            runs = await daemon.runs("threads", 3)
            status = await daemon.ask("status")
            assert await daemon.stop() == 0

    assert ["succeeded"] * 3 == [run["outcome"] for run in runs]
    assert [COMPUTED] * 3 == [statuses(run) for run in runs]
    assert status["cache"]["threads"]["failed"] > 3
    told = [line for line in daemon.log if "runs go on without it" in line["event"]]
    assert 0 < len(told) <= 2
