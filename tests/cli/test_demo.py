"""The demonstration, as a visitor starts it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import require_program

from .conftest import call


def test_the_demonstration_shows_alerts_and_leaves_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 0 means alerts were seen and nothing failed; what ran can be looked at afterwards.

    The settings of a real project in the environment are not the demonstration's.
    """
    require_program("mosquitto")
    monkeypatch.setenv("FP_EVENTS_MQTT__URL", "mqtt://a-plant-that-is-real.invalid")
    ended = call(["demo", "--seconds", "2", "--rate", "40", "--no-tty"], tmp_path)
    assert ended.code == 0, ended.out + ended.err
    assert "2 daily summaries" in ended.out
    assert "latency p50" in ended.out
    monkeypatch.delenv("FP_EVENTS_MQTT__URL")
    folder = tmp_path / ".fp-events-demo"
    found = call(["runs", "list", "-p", "temperature_alerts", "-n", "1000", "--json"], folder).json
    assert {run["outcome"] for run in found} == {"succeeded"}
    assert len(found) > 120
    keys = call(["state", "list", "-p", "temperature_alerts", "--format", "ids"], folder).out.split()
    assert keys == ["mill", "oven", "press", "pump"]


def test_ctrl_c_ends_the_demonstration_with_its_summary(tmp_path: Path) -> None:
    """And its daemon and broker with it."""
    require_program("mosquitto")
    with subprocess.Popen(
        [sys.executable, "-m", "fp_events.cli", "demo", "--seconds", "40", "--rate", "60", "--no-tty"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if "alert" in line and " 0 alerts," not in line:
                    break
            process.send_signal(signal.SIGINT)
            rest = process.stdout.read()
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert "Try there:" in rest
    assert call(["status"], tmp_path / ".fp-events-demo").code == 69
    assert call(["tap"], tmp_path / ".fp-events-demo").code == 69
