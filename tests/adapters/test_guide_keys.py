"""Keys of FlowerPower's guide that show only in what users see elsewhere."""

from __future__ import annotations

from typing import Any

import mlflow
from mlflow.tracking import MlflowClient

from fp_events.adapters.sender import flush_all

from .collectors import hamilton_ui
from .conftest import Plant


async def test_links_in_the_log_lead_to_where_people_look(plant: Plant, told: Any) -> None:
    """`ui_url`; a server may take what is tracked at another address."""
    with hamilton_ui() as (port, ui):
        tracker = {
            "username": "me",
            "project_id": 7,
            "api_url": f"http://127.0.0.1:{port}",
            "ui_url": "http://ui.example/",
        }
        plant.project(adapter={"hamilton_tracker": tracker}, run={"with_adapter": {"hamilton_tracker": True}})

        await plant.run(7)
        links = [facts["url"] for event, facts in told() if event == "run_tracked"]

    ((number, _),) = ui.runs.items()
    assert [f"http://ui.example/dashboard/project/7/runs/{number}"] == links


async def test_artifacts_go_where_a_new_experiment_has_them(plant: Plant) -> None:
    """`artifact_location`, for an experiment that is not there yet."""
    place = plant.folder / "kept"
    plant.pipeline(
        run={"with_adapter": {"mlflow": True}},
        adapter={"mlflow": {"tracking_uri": "mlruns", "artifact_location": place.as_uri(), "experiment_name": "new"}},
    )

    await plant.run(7)
    flush_all()

    found = MlflowClient((plant.folder / "mlruns").as_uri()).get_experiment_by_name("new")
    assert found is not None
    assert place.as_uri() == found.artifact_location
    assert {"text.txt"} == {path.name for path in place.rglob("*") if path.is_file()}


async def test_models_are_registered_where_the_registry_is(plant: Plant) -> None:
    """`registry_uri`, for what a node registers while `autolog` makes the run the current one."""
    registry = f"sqlite:///{plant.folder / 'registry.db'}"
    plant.pipeline(
        code="import mlflow\n\ndef where(n: int) -> str:\n    return mlflow.get_registry_uri()\n",
        run={"with_adapter": {"mlflow": True}},
        adapter={"mlflow": {"tracking_uri": "mlruns", "autolog": True, "registry_uri": registry}},
    )

    try:
        report = await plant.run(7)
    finally:
        mlflow.set_registry_uri("")

    assert {"where": registry} == report.values
