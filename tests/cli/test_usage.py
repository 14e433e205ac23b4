"""Exit codes, errors in one sentence, and global options anywhere on the line."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from fp_events.cli.invocation import globals_first
from fp_events.cli.main import main


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints it and ends well."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"fp-events {version('fp-events')}\n"


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["runs"], ["dlq", "--help"]])
def test_help_is_no_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A group without a command explains itself."""
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert "Usage:" in captured.out
    assert captured.err == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nope"], "error: No such command 'nope'; see `fp-events --help`"),
        (["serve", "--foo"], "error: No such option: --foo; see `fp-events serve --help`"),
        (["runs", "show"], "error: Missing argument 'RUN'; see `fp-events runs show --help`"),
    ],
)
def test_a_wrong_command_line_ends_with_64(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence on stderr names the fault and where help is."""
    assert main(arguments) == 64
    captured = capsys.readouterr()
    assert captured.err == sentence + "\n"
    assert captured.out == ""


def test_without_a_project_the_mend_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command that needs a project says how to get one."""
    monkeypatch.chdir(tmp_path)
    assert main(["pipelines", "list"]) == 64
    assert capsys.readouterr().err == (
        f"error: no project here: neither {tmp_path} nor a folder above it has conf/project.yml; "
        "make one with `fp-events init NAME`, or name its folder with --project\n"
    )


def test_the_nearest_project_upwards_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command works in any folder of a project."""
    monkeypatch.chdir(tmp_path)
    assert main(["init", "home"]) == 0
    monkeypatch.chdir(tmp_path / "home" / "pipelines")
    capsys.readouterr()
    assert main(["pipelines", "list", "--format", "ids"]) == 0
    assert capsys.readouterr().out == "hello\n"


def test_global_options_may_stand_anywhere() -> None:
    """They are moved to the front; `--json` is a format; what follows `--` is left alone."""
    line = ["runs", "--project", "p", "list", "--debug", "--json", "--env=x", "--", "--debug", "--json"]
    expected = (
        ["--project", "p", "--debug", "--env=x"],
        ["runs", "list", "--format", "json", "--", "--debug", "--json"],
    )
    assert expected == globals_first(line)


def test_wrong_configuration_ends_with_78_and_every_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All problems are told at once, each on a line with its file and line."""
    main(["init", str(tmp_path / "p")])
    (tmp_path / "p" / "conf" / "project.yml").write_text("name: p\nmqqt: {}\nlog: {levle: INFO}\n")
    capsys.readouterr()
    assert main(["--project", str(tmp_path / "p"), "pipelines", "list"]) == 78
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["error", "error"]
    assert ["conf/project.yml:2" in lines[0], "conf/project.yml:3" in lines[1]] == [True, True]
    assert ["mqtt" in lines[0], "level" in lines[1]] == [True, True]


def test_a_traceback_is_shown_on_demand_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--debug` adds it, wherever it stands."""
    main(["pipelines", "list", "--project", str(tmp_path)])
    assert "Traceback" not in capsys.readouterr().err
    main(["pipelines", "list", "--project", str(tmp_path), "--debug"])
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    """`fp-events … | head` ends quietly."""
    main(["init", str(tmp_path / "p")])
    command = f"{sys.executable} -m fp_events.cli config show | true; echo ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], cwd=tmp_path / "p", capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("0\n", "")


def test_help_imports_nothing_heavy() -> None:
    """The program's own start loads neither the daemon's libraries nor the user's."""
    heavy = "{'hamilton', 'pandas', 'numpy', 'pydantic', 'aiomqtt', 'paho', 'yaml', 'rich', 'sqlite3'}"
    code = f"import sys, fp_events.cli.main; print(sorted({heavy} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
