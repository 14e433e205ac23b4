"""Runs in MLflow, in a folder of its own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from fp_events.adapters.sender import flush_all
from fp_events.app.single import Call
from fp_events.domain.pipeline import ExecutorSpec

from .conftest import Plant


def recorded(folder: Path, experiment: str = "work") -> list[Run]:
    """The runs of an experiment of the project there."""
    flush_all()
    client = MlflowClient((folder / "mlruns").as_uri())
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return list(client.search_runs([found.experiment_id], max_results=1000))


def files(run: Run) -> dict[str, str]:
    """A run's files by name."""
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    return {path.name: path.read_text() for path in folder.rglob("*") if path.is_file()}


async def test_a_run_is_recorded_with_inputs_numbers_and_files(plant: Plant) -> None:
    """Numbers in dicts too; project's tags and the pipeline's; what tells which run of ours it was."""
    plant.project(adapter={"mlflow": {"tracking_uri": "mlruns", "tags": {"site": "north", "version": 1.2}}})
    plant.pipeline(
        run={"with_adapter": {"mlflow": True}, "final_vars": ["doubled", "report", "text"], "config": {"mode": "fast"}},
        adapter={
            "mlflow": {
                "experiment_name": "churn",
                "experiment_description": "who leaves",
                "experiment_tags": {"team": "data"},
                "run_name": "{pipeline_name}_{timestamp:%Y%m%d}_{attempt}",
                "run_description": "daily",
                "tags": {"version": "1.3"},
            }
        },
    )

    report = await plant.run(7)

    (run,) = recorded(plant.folder, "churn")
    assert "succeeded" == report.outcome.value
    assert "FINISHED" == run.info.status
    assert {"n": "7", "mode": "fast"} == run.data.params
    assert {"doubled": 14.0, "report.loss": 1.4} == run.data.metrics
    assert {"report.json": '{\n  "loss": 1.4,\n  "name": "a"\n}', "text.txt": "loss 1.4"} == files(run)
    assert re.fullmatch(r"work_\d{8}_1", run.info.run_name or "")
    expected = {"site": "north", "version": "1.3", "fp_events.run_id": report.run_id, "fp_events.attempt": "1"}
    assert expected == {name: run.data.tags[name] for name in expected}
    assert "daily" == run.data.tags["mlflow.note.content"]
    experiment = MlflowClient((plant.folder / "mlruns").as_uri()).get_experiment_by_name("churn")
    assert experiment is not None
    assert {"team": "data", "mlflow.note.content": "who leaves"}.items() <= experiment.tags.items()


async def test_a_failed_run_says_why(plant: Plant) -> None:
    """It is FAILED there too, and each attempt is a run."""
    plant.pipeline(run={"with_adapter": {"mlflow": True}}, adapter={"mlflow": {"tracking_uri": "mlruns"}})

    report = await plant.run(3, max_retries=1, retry_delay=0.0)

    runs = recorded(plant.folder)
    assert "failed" == report.outcome.value
    assert ["FAILED", "FAILED"] == [run.info.status for run in runs]
    assert {"ValueError: six is refused"} == {run.data.tags["fp_events.error"] for run in runs}
    assert {"1", "2"} == {run.data.tags["fp_events.attempt"] for run in runs}


async def test_a_hundred_runs_at_once_do_not_mix(plant: Plant) -> None:
    """Each has its own inputs, numbers and end, though they share threads."""
    plant.pipeline(
        code="import time\n\ndef half(n: int) -> float:\n    time.sleep(0.01)\n    if n % 10 == 0:\n"
        "        raise ValueError(n)\n    return n / 2\n",
        run={"with_adapter": {"mlflow": True}},
        adapter={"mlflow": {"tracking_uri": "mlruns"}},
    )
    threads = ExecutorSpec("threadpool", 25)

    reports = await plant.runs(*(Call(pipeline="work", inputs={"n": n}, executor=threads) for n in range(100)))

    runs = {run.data.tags["fp_events.run_id"]: run for run in recorded(plant.folder)}
    assert {report.run_id for report in reports} == set(runs)
    for n, report in enumerate(reports):
        run = runs[report.run_id]
        assert str(n) == run.data.params["n"]
        assert ("FAILED" if n % 10 == 0 else "FINISHED") == run.info.status
        assert ({} if n % 10 == 0 else {"half": n / 2}) == run.data.metrics


async def test_workers_record_their_runs_before_they_end(plant: Plant) -> None:
    """Executor processpool: a process that Python does not clean up after."""
    plant.pipeline(run={"with_adapter": {"mlflow": True}}, adapter={"mlflow": {"tracking_uri": "mlruns"}})
    call = Call(pipeline="work", inputs={"n": 7}, executor=ExecutorSpec("processpool", 1))

    reports = await plant.runs(call)

    assert ["succeeded"] == [report.outcome.value for report in reports]
    assert ["FINISHED"] == [run.info.status for run in recorded(plant.folder)]


async def test_an_adapter_is_chosen_for_one_run(plant: Plant) -> None:
    """On where the pipeline has it off, and off where it has it on."""
    plant.project(adapter={"mlflow": {"tracking_uri": "mlruns"}}, run={"with_adapter": {"mlflow": True}})
    plant.pipeline("off", run={"with_adapter": {"mlflow": False}})

    await plant.run(1, with_adapter={"mlflow": False})
    await plant.run(2, with_adapter={"tracker": False})
    await plant.run(3, "off")
    await plant.run(4, "off", with_adapter={"mlflow": True})

    assert ["2"] == [run.data.params["n"] for run in recorded(plant.folder)]
    assert ["4"] == [run.data.params["n"] for run in recorded(plant.folder, "off")]


async def test_a_server_that_is_away_fails_no_run(plant: Plant, told: Any, monkeypatch: Any) -> None:
    """It is counted and told once."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    plant.pipeline(run={"with_adapter": {"mlflow": True}}, adapter={"mlflow": {"tracking_uri": "http://127.0.0.1:9"}})

    reports = await plant.runs(*(Call(pipeline="work", inputs={"n": n}) for n in (1, 2)))

    assert ["succeeded"] * 2 == [report.outcome.value for report in reports]
    ((event, facts),) = told()
    assert ("adapter_failed", "mlflow", "work") == (event, facts["adapter"], facts["pipeline"])
    assert "127.0.0.1" in facts["error"]


async def test_what_libraries_log_belongs_to_the_run(plant: Plant) -> None:
    """With autolog, MLflow's own functions log to the run of their thread."""
    plant.pipeline(
        code="import mlflow\n\ndef fitted(n: int) -> int:\n    mlflow.log_metric('r2', n / 100)\n    return n\n",
        run={"with_adapter": {"mlflow": True}},
        adapter={"mlflow": {"tracking_uri": "mlruns", "autolog": True}},
    )
    threads = ExecutorSpec("threadpool", 4)

    await plant.runs(*(Call(pipeline="work", inputs={"n": n}, executor=threads) for n in range(8)))

    runs = recorded(plant.folder)
    assert 8 == len(runs)
    assert all(
        {"r2": int(r.data.params["n"]) / 100, "fitted": float(r.data.params["n"])} == r.data.metrics for r in runs
    )
