"""Command lines as FlowerPower's guide writes them, with our verbs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from fp_events.cli.main import main
from tests.support import require_program

from .conftest import Daemon

MODULE = """
from hamilton.function_modifiers import config


@config.when(region="emea")
def report__emea(date: str) -> str:
    return f"EMEA {date}"


@config.when_not(region="emea")
def report__other(date: str) -> str:
    return date


def length(report: str) -> int:
    return len(report)
"""


def project(folder: Path) -> Path:
    """One pipeline, without a word of settings."""
    (folder / "conf").mkdir(parents=True)
    (folder / "pipelines").mkdir()
    (folder / "conf/project.yml").write_text("name: plant\n")
    (folder / "pipelines/my_data_pipeline.py").write_text(MODULE)
    return folder


def test_a_run_takes_json_as_the_guide_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--inputs`, `--final-vars` and `--config` as JSON; a second one adds to the first."""
    line = ["run", "my_data_pipeline", "--inputs", '{"date": "2023-01-15"}', "--final-vars", '["report"]', "--log-level",
            "DEBUG", "--config", '{"region": "emea"}', "--max-retries", "2", "--retry-delay", "0", "--jitter-factor",
            "0.1", "--executor", "threadpool"]  # fmt: skip

    one = main([*line, "--project", str(project(tmp_path / "plant"))])
    first = capsys.readouterr().out
    two = main([*line, "--final-var", "length", "--config", "region=apac", "--project", str(tmp_path / "plant")])
    second = capsys.readouterr().out

    assert (0, 'report = "EMEA 2023-01-15"\n') == (one, first)
    assert (0, 'report = "2023-01-15"\nlength = 10\n') == (two, second)


def test_a_project_is_made_by_name_and_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`init --name`, with or without `--base-dir`; a name that topics cannot have is spelt so that they can."""
    monkeypatch.chdir(tmp_path)

    codes = [main(["init", *line]) for line in (["--name", "plant-7", "--base-dir", "sub"], ["--name", "plant-8"],
                                                ["there", "--name", "My Plant"])]  # fmt: skip

    capsys.readouterr()
    made = [yaml.safe_load((tmp_path / folder / "conf/project.yml").read_text())["name"]
            for folder in ("sub/plant-7", "plant-8", "there")]  # fmt: skip
    assert ([0, 0, 0], ["plant-7", "plant-8", "my-plant"]) == (codes, made)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (["init"], "name the folder to make; write `fp-events init plant`, or `.` for this folder"),
        (["init", "a", "--base-dir", "b"], "--base-dir goes with --name, not with a folder; leave one of them out"),
        (
            ["run", "my_data_pipeline", "--final-vars", "[report"],
            ("--final-vars is not JSON: Expecting value: line 1 column 2 (char 1); write --final-vars '[\"alert\"]', or"
            " --final-var alert"),
        ),
        (
            ["run", "my_data_pipeline", "--config", "{region"],
            ("--config is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1); write"
            " --config '{\"value\": 1}'"),
        ),
    ],
)  # fmt: skip
def test_a_wrong_line_is_one_sentence(
    line: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is missing, or no JSON, and how to write it."""
    options = [] if line[0] == "init" else ["--project", str(project(tmp_path / "plant"))]

    assert (64, f"error: {sentence}\n") == (main([*line, *options]), capsys.readouterr().err)


COUNTED = """
import os
import pathlib
import threading


def lookup(n: int) -> int:
    with pathlib.Path("calls").open("a") as file:
        file.write("x")
    return n * n


def where(lookup: int) -> list:
    return [os.getpid(), threading.current_thread() is threading.main_thread()]
"""


def test_one_run_has_its_own_cache_and_executor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--cache true`, `false` or the nodes to compute anew; `--executor` as a word or as JSON."""
    folder = project(tmp_path / "plant")
    (folder / "pipelines/my_data_pipeline.py").write_text(COUNTED)
    monkeypatch.chdir(folder)
    calls = []
    for value in ("true", "true", '{"recompute": ["lookup"]}', "false"):
        line = ["run", "my_data_pipeline", "--inputs", '{"n": 3}', "--final-vars", '["lookup"]', "--cache", value]
        assert main(line) == 0
        calls.append(len((folder / "calls").read_text()))
    capsys.readouterr()
    places = []
    for value in ("local", '{"type": "threadpool", "max_workers": 4}', '{"type": "processpool", "max_workers": 1}'):
        assert main(["run", "my_data_pipeline", "-i", "n=3", "--executor", value, "--json"]) == 0
        process, on_the_main_thread = yaml.safe_load(capsys.readouterr().out)["where"]
        places.append((process == os.getpid(), on_the_main_thread))

    assert [1, 1, 2, 3] == calls
    assert [(True, True), (True, False), (False, True)] == places


def test_the_daemons_level_is_said_on_its_line(tmp_path: Path) -> None:
    """It goes before `log.level`, by which nothing would be told."""
    require_program("mosquitto")
    folder = project(tmp_path / "plant")
    (folder / "conf/project.yml").write_text("name: plant\nlog: {level: CRITICAL}\n")
    daemon = Daemon(folder, "--log-level", "INFO")
    try:
        told = daemon.serving()
        code, _ = daemon.end()
    finally:
        daemon.kill()

    assert ("info", 0) == (told["level"], code)
