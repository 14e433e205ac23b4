"""Which adapters a run has: by the project, the pipeline, the run; and what is refused."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fp_events import config as configuration
from fp_events.adapters import mlflow_runs
from fp_events.adapters.sender import flush_all
from fp_events.app.building import check
from fp_events.cli.main import main
from fp_events.domain.errors import CommandRefused, ConfigError, UsageError
from fp_events.domain.run import Ended
from tests.runtime.conftest import House

from .conftest import Plant, attempt
from .test_mlflow import recorded

TRACKER = {"username": "me", "project_id": 7}


def test_a_pipeline_is_laid_over_its_project(plant: Plant) -> None:
    """Key by key, in tags too; the environment is above both."""
    tracker = {**TRACKER, "tags": {"site": "north", "team": "a"}}
    plant.project(
        adapter={"hamilton_tracker": tracker, "opentelemetry": {"port": 4317}}, run={"with_adapter": {"mlflow": True}}
    )
    plant.pipeline(
        run={"with_adapter": {"mlflow": False, "opentelemetry": True}},
        adapter={"hamilton_tracker": {"project_id": 8, "tags": {"team": "b"}}},
    )
    environ = {
        "FP_EVENTS_ADAPTER__HAMILTON_TRACKER__API_KEY": "secret-of-all",
        "FP_EVENTS_PIPELINES__WORK__RUN__WITH_ADAPTER__RAY": "true",
    }

    pipeline = configuration.load(plant.folder, environ=environ).pipelines["work"]

    found = pipeline.adapter["hamilton_tracker"]
    assert ("opentelemetry", "ray") == pipeline.adapters
    assert ("me", 8, "secret-of-all") == tuple(found[name] for name in ("username", "project_id", "api_key"))
    assert {"site": "north", "team": "b"} == found["tags"]
    assert 4317 == pipeline.adapter["opentelemetry"]["port"]


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"adapter": {"mlflow": {"run_name": "x_{time}"}}}, "no placeholder {time}"),
        ({"adapter": {"mlflow": {"run_name": "x_{timestamp:%Q"}}}, "cannot be filled"),
        ({"adapter": {"mlflow": {"tags": {"a": [1]}}}}, "expected text or a number"),
        ({"adapter": {"hamilton_tracker": {"verify": 3}}}, "true, false or a PEM file"),
        ({"adapter": {"hamilton_tracker": {"api_url": "ui"}}}, "expected a URL"),
        ({"adapter": {"opentelemetry": {"protocol": "thrift"}}}, "expected http or grpc"),
        ({"adapter": {"jaeger": {}}}, "unknown key 'adapter.jaeger'"),
        ({"run": {"with_adapter": {"tracker": True}}}, "rename it"),
        ({"run": {"with_adapter": {"hamilton_tracker": True}}}, "username is missing"),
        ({"schedule": {"interval": 5, "with_adapter": {"mlfow": True}}}, "mlflow"),
    ],
)
def test_what_is_wrong_is_named(plant: Plant, settings: dict[str, Any], what: str) -> None:
    """With the file and line."""
    plant.pipeline(**settings)

    with pytest.raises(ConfigError) as refused:
        plant.config()

    assert what in str(refused.value)
    assert "conf/pipelines/work.yml:1" in str(refused.value)


def test_a_key_in_a_file_is_warned_of(plant: Plant) -> None:
    """Once, where it stands; not where it comes from a variable."""
    plant.project(adapter={"hamilton_tracker": {"api_key": "abc"}})
    plant.pipeline("other")

    (warning,) = plant.config().warnings
    plant.project(adapter={"hamilton_tracker": {"api_key": "${KEY}"}})
    hidden = configuration.load(plant.folder, environ={"KEY": "abc"})

    assert "plain text" in warning.what
    assert "conf/project.yml:1" == warning.where
    assert () == hidden.warnings


class _Missing:
    """Finds no module of some packages."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def find_spec(self, name: str, *_: Any) -> None:
        if name.partition(".")[0] in self._names:
            raise ModuleNotFoundError(name)


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Any:
    """As if packages were not installed."""

    def hide(*names: str) -> None:
        for module in [name for name in sys.modules if name.partition(".")[0] in names]:
            monkeypatch.delitem(sys.modules, module)
        monkeypatch.setattr(sys, "meta_path", [_Missing(*names), *sys.meta_path])

    return hide


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("hamilton_tracker", "hamilton_sdk", "fp-events[tracker]"),
        ("mlflow", "mlflow", "fp-events[mlflow]"),
        ("opentelemetry", "opentelemetry", "fp-events[opentelemetry]"),
        ("ray", "ray", "fp-events[ray]"),
    ],
)
def test_an_adapter_that_is_not_installed_is_refused_at_the_start(
    plant: Plant, without: Any, name: str, package: str, extra: str
) -> None:
    """With the command that installs it; also where one run asks for it."""
    without(package)
    plant.project(adapter={"hamilton_tracker": TRACKER})
    plant.pipeline(run={"with_adapter": {name: True}})
    plant.pipeline("other")

    problems = check(plant.config())

    (problem,) = [problem for problem in problems if not problem.warning]
    assert f"the adapter '{name}' needs the package {package}" in problem.what
    assert (f"pip install '{extra}'", "conf/pipelines/work.yml:1") == (problem.mend, problem.where)


async def test_a_run_cannot_turn_on_what_is_missing(plant: Plant, without: Any) -> None:
    """Nor what there is none of, nor the tracker without its user."""
    with pytest.raises(UsageError, match="no adapter 'mlfow'"):
        await plant.run(1, with_adapter={"mlfow": True})
    with pytest.raises(ConfigError, match="username"):
        await plant.run(1, with_adapter={"tracker": True})
    without("mlflow")
    with pytest.raises(ConfigError, match="pip install 'fp-events"):
        await plant.run(1, with_adapter={"mlflow": True})


def test_run_is_refused_as_check_is(plant: Plant, without: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """With the same sentence and exit code; a run that turns the adapter off is none of it."""
    without("mlflow")
    plant.pipeline(run={"with_adapter": {"mlflow": True}})
    project, run = ["--project", str(plant.folder)], ["run", "work", "-i", "n=1"]
    said = {}

    for verb in (["check"], run):
        code = main([*project, *verb])
        said[verb[0]] = (code, [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")])
    turned_off = main([*project, *run, "--with-adapter", '{"mlflow": false}'])

    sentence = (
        "error: conf/pipelines/work.yml:1: the adapter 'mlflow' needs the package mlflow, which is not installed; "
        "pip install 'fp-events[mlflow]'"
    )
    assert {"check": (78, [sentence]), "run": (78, [sentence])} == said
    assert 0 == turned_off


async def test_a_command_chooses_adapters_and_a_restart_remembers(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run waits while the daemon restarts, and is recorded then; its schedule's runs are as well."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    house.project(adapter={"mlflow": {"tracking_uri": "mlruns"}})
    house.pipeline()
    on = {"with_adapter": {"mlflow": True}}
    async with house.serving() as daemon:
        await daemon.ask("run", pipeline="work", inputs={"n": 1, "do": []}, run_id="kept", run_in=0.3, **on)
        await daemon.ask("run", pipeline="work", inputs={"n": 2, "do": []}, run_id="plain", wait=True)
        await daemon.stop()
    async with house.serving() as daemon:
        await daemon.ask("runs.wait", run_id="kept")
        await daemon.ask("schedules.add", pipeline="work", interval=1, inputs={"n": 3, "do": []}, **on)
        await daemon.outcomes(2)
        with pytest.raises(CommandRefused, match="no adapter 'mlfow'"):
            await daemon.ask("run", pipeline="work", with_adapter={"mlfow": True})
        await daemon.stop()

    flush_all()
    runs = recorded(house.folder)
    assert {"1", "3"} == {run.data.params["n"] for run in runs}
    assert "kept" in {run.data.tags["fp_events.run_id"] for run in runs}


async def test_by_mqtt_adapters_can_only_be_turned_off(house: House) -> None:
    """Nobody at the broker makes the daemon talk to other servers."""
    house.project(control={"mqtt": True, "allow": {"work": {"inputs": ["n", "do"]}}})
    house.pipeline()
    async with house.serving() as daemon:
        for with_adapter in ({"mlflow": True}, "mlflow", {"mlflow": False}):
            request = {"pipeline": "work", "inputs": {"n": 1, "do": []}, "sent_at": time.time()}
            house.broker.publish("fp/house/control/run", json.dumps({**request, "with_adapter": with_adapter}))
        await daemon.until(lambda: 3 <= len(house.published("fp/house/reply/run")))

    replies = house.published("fp/house/reply/run")
    assert [False, False, True] == [reply["ok"] for reply in replies]
    assert "only turn adapters off" in str(replies[0]["error"])


def test_a_failed_adapter_is_no_failed_attempt(plant: Plant, monkeypatch: pytest.MonkeyPatch, told: Any) -> None:
    """Whatever a hook raises."""
    plant.pipeline(
        run={"with_adapter": {"mlflow": True}},
        adapter={"mlflow": {"tracking_uri": "mlruns"}},
        triggers=[{"topic": "in/x", "map": {"n": "payload.n"}}],
    )
    handler = plant.handler()
    monkeypatch.setattr(mlflow_runs, "run_name", lambda *_, **__: 1 / 0)

    result = handler.handle(attempt({"n": 1}))

    ((event, facts),) = told()
    assert Ended.RETURNED == result.ended
    assert ("adapter_failed", "ZeroDivisionError: division by zero") == (event, facts["error"])


def test_a_missing_package_is_told_with_its_command(plant: Plant, without: Any, told: Any) -> None:
    """Where it goes away under a daemon: runs go on without the adapter."""
    without("mlflow")
    plant.pipeline(run={"with_adapter": {"mlflow": True}}, triggers=[{"topic": "in/x", "map": {"n": "payload.n"}}])

    result = plant.handler().handle(attempt({"n": 1}))

    ((event, facts),) = told()
    assert (Ended.RETURNED, "adapter_failed") == (result.ended, event)
    assert facts["error"].endswith("; pip install 'fp-events[mlflow]'")


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A project with a broker in memory."""
    return House(tmp_path)
