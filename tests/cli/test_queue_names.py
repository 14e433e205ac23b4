"""Runs chosen by RQ's queue: of all pipelines that use it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fp_events.cli.main import main
from tests.support import require_program

from .conftest import Daemon

QUEUES = {"press": "hall", "lathe": "hall", "oven": "kitchen"}


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """Three pipelines with a finished and a waiting run each, which no daemon holds; their ids tell whose they are."""
    require_program("mosquitto")
    (tmp_path / "conf/pipelines").mkdir(parents=True)
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "conf/project.yml").write_text("name: plant\n")
    for name in QUEUES:
        (tmp_path / f"pipelines/{name}.py").write_text("def doubled(n: int) -> int:\n    return 2 * n\n")
    monkeypatch.chdir(tmp_path)
    daemon = Daemon(tmp_path)
    try:
        daemon.serving()
        for name in QUEUES:
            assert main(["trigger", name, "-i", "n=1", "--run-id", f"{name}-ended", "--wait"]) == 0
            assert main(["trigger", name, "-i", "n=1", "--run-id", f"{name}-waits", "--run-in", "1h"]) == 0
        daemon.end()
    finally:
        daemon.kill()
    for name, queue in QUEUES.items():
        settings = f"run: {{executor: {{type: rq, queue: {queue}}}}}\n"
        (tmp_path / f"conf/pipelines/{name}.yml").write_text(settings)
    capsys.readouterr()
    return tmp_path


def test_runs_are_listed_cancelled_and_deleted_by_queue(plant: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With other filters, and alone; a queue that nobody uses is named, with those there are."""

    def said(*line: str) -> tuple[int, list[str], str]:
        code = main(["runs", *line])
        out, err = capsys.readouterr()
        return code, sorted(out.split()), err

    listed = said("list", "--queue-name", "hall", "--format", "ids")
    waiting = said("list", "--queue-name", "hall", "--state", "waiting", "--format", "ids")
    cancelled = said("cancel", "--queue-name", "hall", "--yes", "--format", "ids")
    deleted = said("purge", "--all", "--queue-name", "kitchen", "--yes")
    left = said("list", "--format", "ids")
    wrong = said("list", "--queue-name", "hal")
    both = said("cancel", "--queue-name", "hall", "--pipeline", "press", "--yes")

    assert (0, ["lathe-ended", "lathe-waits", "press-ended", "press-waits"], "") == listed
    assert (0, ["lathe-waits", "press-waits"], "") == waiting == cancelled
    assert (0, [], "1 run deleted\n") == deleted
    assert (0, ["lathe-ended", "lathe-waits", "oven-waits", "press-ended", "press-waits"], "") == left
    assert (64, [], "error: no pipeline uses the queue 'hal'; known here: hall, kitchen\n") == wrong
    assert (64, [], "error: --pipeline and --queue-name choose pipelines both; leave one of them out\n") == both
