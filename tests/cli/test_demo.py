"""The demonstration, as a visitor starts it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import require_program

from .conftest import Program, call


@pytest.fixture(scope="module")
def long_one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A demonstration that goes on for minutes, and the folder it was started in. It plays beside the other test."""
    require_program("mosquitto")
    folder = tmp_path_factory.mktemp("long")
    with subprocess.Popen(
        [sys.executable, "-m", "fp_events.cli", "demo", "--seconds", "300", "--rate", "60", "--no-tty"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield folder, process
        finally:
            process.kill()


@pytest.mark.usefixtures("long_one")
def test_the_demonstration_shows_alerts_and_leaves_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: Program
) -> None:
    """Exit code 0 means alerts were seen and nothing failed; what ran can be looked at afterwards.

    The settings of a real project in the environment are not the demonstration's.
    """
    monkeypatch.setenv("FP_EVENTS_MQTT__URL", "mqtt://a-plant-that-is-real.invalid")
    ended = call(["demo", "--seconds", "2", "--rate", "40", "--no-tty"], tmp_path)
    assert ended.code == 0, ended.out + ended.err
    assert "2 daily summaries" in ended.out
    assert "latency p50" in ended.out
    monkeypatch.delenv("FP_EVENTS_MQTT__URL")
    folder = tmp_path / ".fp-events-demo"
    found = program(["runs", "list", "-p", "temperature_alerts", "-n", "1000", "--json"], folder).json
    assert {run["outcome"] for run in found} == {"succeeded"}
    assert len(found) > 120
    keys = program(["state", "list", "-p", "temperature_alerts", "--format", "ids"], folder).out.split()
    assert keys == ["mill", "oven", "press", "pump"]


def test_ctrl_c_ends_the_demonstration_with_its_summary(
    long_one: tuple[Path, subprocess.Popen[str]], program: Program
) -> None:
    """And its daemon and broker with it."""
    folder, process = long_one
    assert process.stdout is not None
    for line in process.stdout:
        if "alert" in line and " 0 alerts," not in line:
            break
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    assert process.wait(30) == 0
    assert "Try there:" in rest
    assert program(["status"], folder / ".fp-events-demo").code == 69
    assert program(["tap"], folder / ".fp-events-demo").code == 69
