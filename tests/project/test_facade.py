"""Runs of a project from Python."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fp_events import Project, RunConfig, RunFailed
from fp_events.domain.errors import ConfigError, PipelineNotFound, UsageError
from fp_events.domain.observation import RunRecord
from fp_events.domain.run import Outcome
from tests.endtoend.harness import write_project

EVERY = pytest.mark.parametrize("executor", ["local", "threadpool", "processpool"])

FILES = {
    "conf/project.yml": "name: plant\n",
    "conf/pipelines/tank.yml": "params: {factor: 2}\n",
    "pipelines/tank.py": """
from dataclasses import dataclass

import pandas as pd


@dataclass
class Level:
    mm: float


def level(mm: float, factor: int) -> Level:
    return Level(mm * factor)


def table(rows: pd.DataFrame | None = None) -> pd.DataFrame:
    return pd.DataFrame({"mm": [1, 2]}) if rows is None else rows * 2


def names(level: Level) -> set[str]:
    return {"north", "south"}
""",
    "pipelines/flaky.py": """
import os
import time
from pathlib import Path


class Shy(Exception):
    pass


def tried(file: str) -> int:
    with Path(file).open("a") as counting:
        counting.write("x")
    count = len(Path(file).read_text())
    if count < 3:
        raise Shy(f"try {count}")
    return count


def pid() -> int:
    return os.getpid()


def slept(seconds: float) -> float:
    time.sleep(seconds)
    return seconds
""",
    "pipelines/waiting.py": """
import asyncio


async def waited(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds
""",
}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.load(write_project(tmp_path, FILES)) as loaded:
        yield loaded


@EVERY
def test_values_and_inputs_are_the_objects_that_they_are(project: Project, executor: str) -> None:
    """Classes of the project, sets and tables, under every executor of this machine; what comes out can go in."""
    result = project.run("tank", inputs={"mm": 2.5}, final_vars=["level", "names", "table"], executor=executor)
    again = project.run("tank", inputs={"rows": result["table"]}, final_vars=["table"], executor=executor)

    assert (5.0, "Level") == (result["level"].mm, type(result["level"]).__name__)
    assert {"north", "south"} == result["names"]
    assert ([1, 2], [2, 4]) == (result["table"]["mm"].tolist(), again["table"]["mm"].tolist())
    assert Outcome.SUCCEEDED is result.report.outcome


def test_a_failure_names_node_and_error(project: Project, tmp_path: Path) -> None:
    """One sentence, and the facts in the report."""
    with pytest.raises(RunFailed) as failed:
        project.run("flaky", inputs={"file": str(tmp_path / "tries")}, final_vars=["tried"])

    assert "pipeline flaky: the run failed: node tried: pipelines.flaky.Shy: try 1" == str(failed.value)
    assert (Outcome.FAILED, 1) == (failed.value.report.outcome, failed.value.report.attempts)
    failure = failed.value.report.failure
    assert failure is not None
    assert ("tried", True) == (failure.node, "raise Shy" in failure.traceback)


def test_retries_of_one_call(project: Project, tmp_path: Path) -> None:
    """Three attempts; and none more for an exception that is not among those to retry."""
    given = RunConfig(inputs={"file": str(tmp_path / "tries")}, final_vars=["tried"], max_retries=5, retry_delay="1ms")
    result = project.run("flaky", given, retry_exceptions=["Shy"])
    assert ({"tried": 3}, 3) == (result, result.report.attempts)

    (tmp_path / "tries").unlink()
    with pytest.raises(RunFailed) as failed:
        project.run("flaky", given, retry_exceptions=[ValueError])
    assert 1 == failed.value.report.attempts


def test_a_timeout_of_one_call(project: Project) -> None:
    """The attempt is stopped, the outcome says so."""
    with pytest.raises(RunFailed) as failed:
        project.run(
            "flaky",
            inputs={"seconds": 30.0},
            final_vars=["slept"],
            timeout=0.2,
            executor={"type": "processpool", "max_workers": 1},
        )

    assert Outcome.TIMED_OUT is failed.value.report.outcome


def test_settings_come_as_options_or_as_a_run_config(project: Project) -> None:
    """In either place; options go first."""
    chosen = RunConfig(inputs={"mm": 1.0}, final_vars=["level"], executor="local")

    assert 2.0 == project.run("tank", chosen)["level"].mm
    assert 2.0 == project.run("tank", config=chosen)["level"].mm
    assert 6.0 == project.run("tank", run_config=chosen, inputs={"mm": 3.0})["level"].mm


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"input": {}}, "there is no option 'input'; there are"),
        ({"inputs": {"millimetres": 1}}, "pipeline 'tank' has no input 'millimetres'; it knows"),
        ({"final_vars": ["lvel"]}, "pipeline 'tank' has no node 'lvel'; did you mean 'level'?"),
        ({"executor": "thread"}, "there is no executor 'thread'; there are local"),
        ({"executor": {"type": "local", "workers": 1}}, "a run's executor has no 'workers'; it has type"),
        ({"inputs": 3}, "inputs is a dict of inputs by name, not 3"),
        ({"final_vars": "level"}, "final_vars is a list of names, not 'level'"),
        ({"max_retries": "3"}, "max_retries is a whole number from 0, not '3'"),
        ({"jitter_factor": 2}, "jitter_factor is a number from 0 to 1, not 2"),
        ({"retry_exceptions": [3]}, "retry_exceptions is a list of classes or names of exceptions, not [3]"),
        ({"on_success": 3}, "on_success is a function, not 3"),
        ({"timeout": "soon"}, "timeout 'soon' is no duration; give seconds, or text such as '90s'"),
    ],
)
def test_what_is_wrong_with_a_call_is_said(project: Project, options: dict[str, Any], told: str) -> None:
    """One sentence, before anything runs."""
    with pytest.raises(UsageError) as refused:
        project.run("tank", **options)

    assert str(refused.value).startswith(told)


def test_callbacks_of_one_call(project: Project, tmp_path: Path) -> None:
    """They get the record that the daemon's get."""
    told: list[RunRecord] = []
    project.run("tank", inputs={"mm": 1.0}, on_success=told.append)
    with pytest.raises(RunFailed):
        project.run("flaky", inputs={"file": str(tmp_path / "t")}, final_vars=["tried"], on_failure=told.append)

    assert [("tank", Outcome.SUCCEEDED), ("flaky", Outcome.FAILED)] == [(each.pipeline, each.outcome) for each in told]


async def test_it_runs_while_an_event_loop_runs(project: Project) -> None:
    """As in a notebook: `run` waits, `run_async` lets others go on."""
    assert {"waited": 0.0} == project.run("waiting", inputs={"seconds": 0.0})

    began = time.monotonic()
    results = await asyncio.gather(*(project.run_async("waiting", inputs={"seconds": 0.3}) for _ in range(20)))

    assert [{"waited": 0.3}] * 20 == results
    assert time.monotonic() - began < 3


async def test_a_caller_that_is_cancelled_stops_its_run(project: Project) -> None:
    """The process of a run that nobody waits for is killed."""
    run = asyncio.create_task(
        project.run_async(
            "flaky", inputs={"seconds": 30.0}, final_vars=["slept"], executor={"type": "processpool", "max_workers": 1}
        )
    )
    await asyncio.sleep(1)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run

    # The only worker is free again.
    again = project.run_async("flaky", final_vars=["pid"], executor={"type": "processpool", "max_workers": 1})
    assert await asyncio.wait_for(again, 20)


def test_executors_stay_between_runs_and_end_with_the_project(tmp_path: Path) -> None:
    """The same worker process twice; none afterwards."""
    pool = {"type": "processpool", "max_workers": 1}
    with Project.load(write_project(tmp_path, FILES)) as project:
        pids = {project.run("flaky", final_vars=["pid"], executor=pool)["pid"] for _ in range(3)}
    assert 1 == len(pids)
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pids.copy().pop()}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{pids.pop()}").exists()


def test_adapters_as_objects(tmp_path: Path) -> None:
    """Those of a project and those of a call, in this process; elsewhere they are refused."""
    from hamilton.lifecycle import NodeExecutionHook

    class Noting(NodeExecutionHook):  # type: ignore[misc]  # Hamilton ships no types
        def __init__(self) -> None:
            self.nodes: list[str] = []

        def run_before_node_execution(self, *, node_name: str, **_: Any) -> None:
            self.nodes.append(node_name)

        def run_after_node_execution(self, **_: Any) -> None:
            pass

    always, once = Noting(), Noting()
    with Project.load(write_project(tmp_path, FILES), adapters=[always]) as project:
        project.run("tank", inputs={"mm": 1.0}, final_vars=["names"], adapters=[once])
        project.run("tank", inputs={"mm": 1.0}, final_vars=["level"])
        with pytest.raises(UsageError, match="adapters are objects of this process, and executor 'processpool' runs"):
            project.run("tank", inputs={"mm": 1.0}, executor="processpool")

    assert ["level", "names", "level"] == always.nodes
    assert ["level", "names"] == once.nodes


def test_the_trace_of_a_run(project: Project) -> None:
    """Each node with how it ended."""
    report = project.run("tank", inputs={"mm": 1.0}, final_vars=["names"]).report

    assert [("level", "succeeded"), ("names", "succeeded")] == [(node.node, node.status) for node in report.trace]


def test_reload_takes_changed_files(project: Project, tmp_path: Path) -> None:
    """With the option, or by itself; without either, the code stays."""
    assert 2.0 == project.run("tank", inputs={"mm": 1.0}, final_vars=["level"])["level"].mm
    (tmp_path / "conf/pipelines/tank.yml").write_text("params: {factor: 300}\n")
    assert 2.0 == project.run("tank", inputs={"mm": 1.0}, final_vars=["level"])["level"].mm
    assert 300.0 == project.run("tank", inputs={"mm": 1.0}, final_vars=["level"], reload=True)["level"].mm

    module = tmp_path / "pipelines/tank.py"
    module.write_text(module.read_text().replace("mm * factor", "mm + factor"))
    project.reload()
    assert 301.0 == project.run("tank", inputs={"mm": 1.0}, final_vars=["level"])["level"].mm
    assert 301.0 == project.run("tank", inputs={"mm": 1.0}, final_vars=["level"], executor="processpool")["level"].mm


def test_a_project_that_was_created_runs_at_once(tmp_path: Path) -> None:
    """It has a name, a pipeline, and nothing wrong."""
    with Project.create(tmp_path / "plant-7", name="north") as project:
        assert ("north", ["hello"], []) == (project.name, project.pipelines.list(), project.check())
        assert project.run("hello", inputs={"celsius": 100.0, "room": "lab"})
    with pytest.raises(UsageError, match="is not empty"):
        Project.create(tmp_path / "plant-7")


def test_pipelines_are_a_mapping(project: Project) -> None:
    """Names, settings, nodes and drawings."""
    assert ["flaky", "tank", "waiting"] == list(project.pipelines)
    assert {"factor": 2} == project.pipelines["tank"].params
    assert {"factor": 2} == project.pipelines.show("tank")["params"]
    assert {"level", "names", "table"} == {node.name for node in project.pipelines.nodes("tank") if not node.is_input}
    assert project.pipelines.graph("tank").startswith("flowchart LR")
    with pytest.raises(PipelineNotFound, match="did you mean 'tank'"):
        project.pipelines["tnak"]
    assert (None, "tank") == (project.pipelines.get("tnak"), project.pipelines.get("tank").name)


def test_pipelines_are_made_drawn_and_removed(project: Project, tmp_path: Path) -> None:
    """As the program does it; the project sees it when it reloads."""
    made = project.pipelines.new("pump")
    project.reload()
    assert ("pump" in project.pipelines, 2) == (True, len(made))
    assert project.run("pump", inputs={"source": "test", "value": 21.0})
    drawn = project.pipelines.save_graph("pump", tmp_path / "pump.mmd")
    assert drawn.read_text().startswith("flowchart LR")
    with pytest.raises(UsageError, match=r"the ending of .*pump\.jpg does not say how to draw"):
        project.pipelines.save_graph("pump", tmp_path / "pump.jpg")
    assert set(made) == set(project.pipelines.delete("pump"))
    project.reload()
    assert "pump" not in project.pipelines


def test_settings_above_all_others(tmp_path: Path) -> None:
    """Keyword arguments of `load` stand above files; a wrong one is named."""
    folder = write_project(tmp_path, FILES)
    with Project.load(folder, pipelines={"tank": {"params": {"factor": 10}}}) as project:
        assert 10.0 == project.run("tank", inputs={"mm": 1.0}, final_vars=["level"])["level"].mm
    with pytest.raises(ConfigError, match="nane"):
        Project.load(folder, nane="x")


def test_a_node_cannot_wait_for_the_loop_that_it_runs_on(tmp_path: Path) -> None:
    """A pipeline that calls its own project on the loop is told so, instead of waiting for ever."""
    files = {
        "pipelines/outer.py": "from fp_events import Project\n\nPROJECT: list[Project] = []\n\n\n"
        "def inner(project: object) -> dict:\n    return project.run('other')\n",
        "pipelines/other.py": "def one() -> int:\n    return 1\n",
        "conf/project.yml": "name: plant\n",
    }
    with Project.load(write_project(tmp_path, files)) as project:
        assert {"inner": {"one": 1}} == project.run("outer", inputs={"project": project})
        with pytest.raises(RunFailed, match="cannot wait for another run"):
            project.run("outer", inputs={"project": project}, executor="local")


def test_a_script_ends_without_closing_its_project(tmp_path: Path) -> None:
    """Whatever executor it has used, the interpreter is not held."""
    folder = write_project(tmp_path, FILES)
    script = (
        "from fp_events import Project\n"
        f"project = Project.load({str(folder)!r})\n"
        "print([project.run('flaky', final_vars=['pid'], executor=e)['pid'] > 0 for e in ('threadpool', 'processpool')])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)

    assert (0, "[True, True]\n", "") == (done.returncode, done.stdout, done.stderr)


def test_the_nearest_folder_upwards_is_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for the program."""
    write_project(tmp_path, FILES)
    monkeypatch.chdir(tmp_path / "pipelines")
    with Project.load() as project:
        assert ("plant", str(tmp_path)) == (project.name, os.path.realpath(project.config.root))
