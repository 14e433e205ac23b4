"""Nodes on Ray, a real one on this machine."""

from __future__ import annotations

import os
from typing import Any

import pytest

from fp_events.adapters.ray_nodes import _cluster
from fp_events.app.building import check
from fp_events.app.single import Call
from fp_events.domain.errors import ConfigError

from .conftest import Plant
from .test_mlflow import recorded

ON = {"with_adapter": {"ray": True}}
CODE = """
import os
from pipelines._helpers import Reading


def reading(n: int) -> Reading:
    return Reading(n)


def doubled(reading: Reading) -> int:
    if reading.n == 3:
        raise ValueError("three is refused")
    return 2 * reading.n


def process(reading: Reading) -> int:
    return os.getpid()


def report(doubled: int, process: int) -> dict:
    return {"doubled": doubled, "process": process}
"""
HELPERS = "from dataclasses import dataclass\n\n@dataclass\nclass Reading:\n    n: int\n"


async def test_nodes_run_in_rays_processes(plant: Plant) -> None:
    """With the project's own classes between them; errors are the node's; Ray ends with the last run.

    Other adapters go on: what they do for a run is done here.
    """
    ray = pytest.importorskip("ray") if os.environ.get("CI") != "true" else __import__("ray")
    here = {"num_cpus": 1}
    plant.project(
        adapter={
            "ray": {"ray_init_config": here, "shutdown_ray_on_completion": True},
            "mlflow": {"tracking_uri": "mlruns"},
            "opentelemetry": {"port": 9},
        }
    )
    on = {"ray": True, "mlflow": True, "opentelemetry": True}
    plant.pipeline(code=CODE, run={"with_adapter": on, "final_vars": ["report"]})
    plant._write("pipelines/_helpers.py", HELPERS)

    reports = await plant.runs(*(Call(pipeline="work", inputs={"n": n}) for n in (1, 2, 3, 4)))

    assert ["succeeded", "succeeded", "failed", "succeeded"] == [report.outcome.value for report in reports]
    assert [2, 4, 8] == [r.values["report"]["doubled"] for r in reports if r.values]
    assert os.getpid() not in {r.values["report"]["process"] for r in reports if r.values}
    failure = reports[2].failure
    assert failure is not None
    assert ("ValueError", "three is refused") == (
        failure.type.removeprefix("builtins."),
        failure.message.split("\n")[0],
    )
    assert not ray.is_initialized()
    assert {"1": 2.0, "2": 4.0, "4": 8.0} == {
        run.data.params["n"]: run.data.metrics["report.doubled"]
        for run in recorded(plant.folder)
        if run.info.status == "FINISHED"
    }


async def test_without_ray_nodes_run_here(plant: Plant, told: Any) -> None:
    """A cluster that cannot be reached fails no run: it is counted and told."""
    plant.project(adapter={"ray": {"ray_init_config": {"address": "127.0.0.1:9", "_node_ip_address": 3}}})
    plant.pipeline(run=ON)

    report = await plant.run(7)

    ((event, facts),) = told()
    assert "succeeded" == report.outcome.value
    assert ("adapter_failed", "ray") == (event, facts["adapter"])
    assert 0 == _cluster._runs


def test_functions_that_await_cannot_go_there(plant: Plant) -> None:
    """It is an error of the configuration, found by `check` and at the start."""
    plant.pipeline(code="async def late(n: int) -> int:\n    return n\n", run=ON)

    (problem,) = check(plant.config())
    with pytest.raises(ConfigError, match="async"):
        plant.handler()

    assert "functions of the plan are async" in problem.what
