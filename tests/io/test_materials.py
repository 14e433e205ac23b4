"""`io`: loaders and savers that a pipeline's settings name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fp_events import Project
from fp_events.domain.errors import ConfigError
from tests.brokers import mosquitto
from tests.endtoend.harness import Sink, publish, serving, write_project

MODULE = """
import pandas as pd


def doubled(rows: pd.DataFrame) -> pd.DataFrame:
    return rows * 2


def total(doubled: pd.DataFrame, site: str = "here") -> dict:
    return {"site": site, "total": int(doubled["level"].sum())}
"""

FILES = {
    "conf/project.yml": "name: plant\n",
    "pipelines/shift.py": MODULE,
    "conf/pipelines/shift.yml": """
triggers: [{topic: 'shift/{site}', map: {site: topic.site, file: payload.file}}]
params: {file: data/rows.csv}
io:
  load:
    rows: {csv: {path: {source: file}}}
  save:
    stored: {node: doubled, csv: {path: made/doubled.csv, index: false}}
    summed: {node: total, json: made/total.json}
    told: {node: total, mqtt: {topic: 'totals/{site}'}}
""",
    "data/rows.csv": "level\n1\n2\n",
}


def test_inputs_are_loaded_and_values_saved(tmp_path: Path) -> None:
    """As decorators would; arguments are values, or come from inputs."""
    with Project.load(write_project(tmp_path, FILES)) as project:
        facts = project.run("shift", final_vars=["stored", "summed", "total"])
        assert {"total": {"site": "here", "total": 6}} == {"total": facts["total"]}
        assert ["rows", "stored", "summed", "told"] == [
            node.name for node in project.pipelines.nodes("shift") if node.name in ("rows", "stored", "summed", "told")
        ]

    assert "level\n2\n4\n" == (tmp_path / "made/doubled.csv").read_text()
    assert {"site": "here", "total": 6} == json.loads((tmp_path / "made/total.json").read_text())


async def test_under_the_daemon_all_of_them_run(tmp_path: Path) -> None:
    """Savers of the settings are outputs, also beside `final_vars`."""
    settings = FILES["conf/pipelines/shift.yml"] + "run: {final_vars: [total]}\n"
    files = {**FILES, "conf/pipelines/shift.yml": settings, "data/late.csv": "level\n10\n"}
    async with mosquitto() as broker, Sink(broker.port, "totals/#") as sink:
        environ = {"FP_EVENTS_MQTT__URL": f"mqtt://127.0.0.1:{broker.port}"}
        async with serving(write_project(tmp_path, files), environ) as daemon:
            await publish(broker.port, "shift/north", ['{"file": "data/late.csv"}'])
            await sink.until(lambda messages: len(messages) == 1, 20)
            assert 0 == await daemon.stop()

    [(topic, payload, _)] = sink.messages
    assert ("totals/north", {"site": "north", "total": 20}) == (topic, json.loads(payload))
    assert "level\n20\n" == (tmp_path / "made/doubled.csv").read_text()


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ({"load": {"rows": "x.csv"}}, "io.load.rows: expected a loader such as {csv: {path: data/rows.csv}}, got"),
        ({"load": {"rows": {"csvv": "x"}}}, "there is no loader 'csvv'; did you mean 'csv'?"),
        ({"load": {"rows": {"csv": {"pth": "x"}}}}, "the loader 'csv' has no argument 'pth'; did you mean 'path'?"),
        ({"load": {"rows": {"csv": {}}}}, "the loader 'csv' needs 'path'; add it"),
        ({"load": {"row": {"csv": "x"}}}, "no function takes 'row'; name a parameter of a function"),
        ({"load": {"total": {"json": "x"}}}, "'total' is a function of the module; load an input"),
        ({"load": {"rows": {"json": "x", "csv": "y"}}}, "io.load.rows: expected a loader such as"),
        ({"save": {"s": {"csv": "x"}}}, "io.save.s: it does not say which node it saves: a saver such as"),
        (
            {"save": {"s": {"node": "totl", "json": "x"}}},
            "there is no function 'totl' to save the value of; did you mean",
        ),
        ({"save": {"total": {"node": "total", "json": "x"}}}, "'total' is a function of the module; give the saver"),
        ({"save": {"s": {"node": "total", "csv": "x"}}}, "the saver 'csv' does not know dict; use another one"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, block: dict[str, Any], told: str) -> None:
    """Before anything runs."""
    text = "enabled: true\nio: " + json.dumps(block) + "\n"
    write_project(tmp_path, {**FILES, "conf/pipelines/shift.yml": text})
    with pytest.raises(ConfigError) as refused, Project.load(tmp_path) as project:
        project.pipelines.nodes("shift")

    assert str(refused.value).startswith(f"conf/pipelines/shift.yml:2: {told}")


def test_settings_are_shown_without_passwords(tmp_path: Path) -> None:
    """As they were written."""
    text = "io: {load: {rows: {sql: {query_or_table: t, db_connection: 'postgresql://me:hush@host/db'}}}}\n"
    with Project.load(write_project(tmp_path, {**FILES, "conf/pipelines/shift.yml": text})) as project:
        shown = project.pipelines.show("shift")["io"]["load"]["rows"]

    assert {"sql": {"query_or_table": "t", "db_connection": "postgresql://***@host/db"}} == shown


def test_another_file_is_another_version(tmp_path: Path) -> None:
    """What a plan loads is part of it."""
    versions = []
    for path in ("data/a.csv", "data/a.csv", "data/b.csv"):
        text = "io: {load: {rows: {csv: '" + path + "'}}}\n"
        write_project(tmp_path, {**FILES, "conf/pipelines/shift.yml": text, path: "level\n1\n"})
        with Project.load(tmp_path) as project:
            versions.append(project.run("shift").report.version)

    assert (versions[0], True) == (versions[1], versions[1] != versions[2])
