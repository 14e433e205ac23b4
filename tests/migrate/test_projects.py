"""Projects of every layout: migrated, checked, run; their values are those of Hamilton's driver."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fp_events import app, config
from tests.brokers import mosquitto
from tests.endtoend.harness import Daemon, publish

from . import projects
from .conftest import Program
from .driver import expected

LAYOUTS = {
    "early": (projects.EARLY, "FlowerPower 0.3 to 0.5"),
    "middle": (projects.MIDDLE, "FlowerPower 0.6 to 0.9"),
    "queue": (projects.QUEUE, "FlowerPower 0.10 and 0.11"),
    "today": (projects.TODAY, "FlowerPower 0.31 and later"),
    "plugin": (projects.PLUGIN, "FlowerPower 0.20 and later"),
    "built-in": (projects.BUILT_IN, "FlowerPower 0.20 and later"),
}


def digest(folder: Path) -> dict[str, str]:
    """Files of a folder, with what is in them."""
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*") if path.is_file()}  # fmt: skip


@pytest.mark.parametrize(("files", "layout"), LAYOUTS.values(), ids=LAYOUTS)
def test_what_is_made_passes_check(files: Mapping[str, str], layout: str, tmp_path: Path, program: Program) -> None:
    """Of each layout: its name is told, the new project has no errors, the old one is as it was."""
    old = projects.write(files, tmp_path / "old")
    before = digest(old)

    ended = program("migrate", old, "--json")

    told = ended.json
    assert (0, "") == (ended.code, ended.err)
    assert told["layout"].startswith(layout)
    assert [] == [problem for problem in told["problems"] if not problem["warning"]]
    assert [] == [str(p) for p in app.check(config.load(tmp_path / "old-fp-events", environ={})) if not p.warning]
    assert before == digest(old)
    assert sorted(told["files"]) == sorted(digest(tmp_path / "old-fp-events"))


@pytest.mark.parametrize(
    ("files", "pipeline", "module", "final_vars", "inputs"),
    [
        (projects.EARLY, "spend", "pipelines/spend.py", ["average", "total"], {"values": [10, 20, 30, 40]}),
        (projects.MIDDLE, "report", "pipelines/report.py", ["report"], {"line": "7"}),
        (
            projects.TODAY, "reports_daily_sum", "pipelines/reports/daily_sum.py", ["spread", "high"],
            {"values": [1, 2, 3, 6], "limit": 4},
        ),
    ],
    ids=["early", "middle", "today"],
)  # fmt: skip
def test_values_are_those_of_the_driver(
    files: Mapping[str, str],
    pipeline: str,
    module: str,
    final_vars: list[str],
    inputs: dict[str, Any],
    tmp_path: Path,
    program: Program,
) -> None:
    """The old module by Hamilton's driver, and the new project by `fp-events run` without a word more."""
    old = projects.write(files, tmp_path / "old")
    values = expected(old, module, final_vars, inputs=inputs, config={})
    assert program("migrate", old).code == 0

    ended = program("run", pipeline, "--project", tmp_path / "old-fp-events", "--json")

    assert (0, values) == (ended.code, ended.json)


def test_parameters_of_the_guide_are_injected_by_name(tmp_path: Path, program: Program) -> None:
    """YAML 1.1 is read as FlowerPower reads it: `1_000` is a number; a date is told to be text now."""
    old = projects.write(projects.QUEUE, tmp_path / "old")
    told = program("migrate", old, "--json").json

    ended = program("run", "my_data_pipeline", "--project", tmp_path / "old-fp-events", "--json")

    assert ended.json == {
        "final_output": {"sum": 6000, "model": "linear", "since": "2024-01-31"},
        "transformed_data": [1000, 2000, 3000],
    }
    dates = [change["note"] for change in told["changes"] if change["key"] == "params.since"]
    assert ["YAML 1.2 has no dates: the function is given text"] == dates


def test_environments_become_overlays(tmp_path: Path, program: Program) -> None:
    """`run.<pipeline>.prod` is the pipeline's own block, `dev` what is different with FP_EVENTS_ENV=dev."""
    old = projects.write(projects.EARLY, tmp_path / "old")
    assert program("migrate", old).code == 0

    ended = program("run", "spend", "--project", tmp_path / "old-fp-events", "--env", "dev", "--json")

    loaded = config.load(tmp_path / "old-fp-events", environ={})
    assert {"average": 2.0} == ended.json
    assert ("*/5 * * * *", "Europe/Berlin") == (
        loaded.pipelines["spend"].schedules[0].spec.expression, loaded.pipelines["spend"].schedules[0].spec.zone
    )  # fmt: skip


async def test_a_plugin_project_runs_on_its_topics(tmp_path: Path, program: Program) -> None:
    """flowerpower-mqtt's subscriptions, against a broker: a message is a run, its value a message."""
    async with mosquitto() as broker:
        files = dict(projects.PLUGIN)
        files["mqtt_config.yml"] = (
            files["mqtt_config.yml"]
            .replace("broker.example", "127.0.0.1")
            .replace("port: 1883", f"port: {broker.port}")
            .replace("  username: edge\n  password: secret-word\n", "")
        )
        old = projects.write(files, tmp_path / "old")
        assert program("migrate", old).code == 0
        daemon = Daemon(tmp_path / "old-fp-events")
        await daemon.start()
        await publish(broker.port, "sensors/4/temperature", ['{"celsius": 20}'])
        await publish(broker.port, "alerts/critical", ['{"text": "hot"}'], qos=2)
        [temperature] = await daemon.runs("temperature")
        [alert] = await daemon.runs("alert")
        assert await daemon.stop() == 0

    year = alert["message"]["received_at"][:4]
    reading = {"from": "sensors/4/temperature", "kelvin": 293.15, "in": year}
    assert ("succeeded", {"reading": reading}) == (temperature["outcome"], temperature["values"])
    assert ("succeeded", {"told": f"sync 2 hot {year}"}) == (alert["outcome"], alert["values"])


async def test_the_built_in_plugins_topic_and_hook_are_taken_over(tmp_path: Path, program: Program) -> None:
    """A hook chooses the function by the message; the payload comes as bytes."""
    async with mosquitto() as broker:
        files = dict(projects.BUILT_IN)
        address = f"host: 127.0.0.1, port: {broker.port}, transport: tcp"
        files["conf/project.yml"] = files["conf/project.yml"].replace(
            "host: broker.example, port: 9001, transport: websockets", address
        )
        old = projects.write(files, tmp_path / "old")
        assert program("migrate", old).code == 0
        daemon = Daemon(tmp_path / "old-fp-events")
        await daemon.start()
        await publish(broker.port, "plant/a/level", ['{"mm": 5}', '{"inch": 2}'])
        runs = await daemon.runs("tank", 2)
        assert await daemon.stop() == 0

    assert [{"level": "a 5"}, {"level": "a 50.8"}] == [run["values"] for run in runs]
