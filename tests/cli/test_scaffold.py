"""`init`, `new` and `delete`: what they write works at once, and what is there is left alone."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fp_events import config
from fp_events.cli.main import main
from fp_events.cli.sample import copy_sample, sample_folder

from .conftest import Program


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new project, which is also the working folder."""
    folder = tmp_path / "plant"
    assert main(["init", str(folder)]) == 0
    monkeypatch.chdir(folder)
    return folder


def test_a_new_projects_own_tests_pass(project: Path) -> None:
    """Plain pytest, without a broker and without fp-events' own settings."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:asyncio", "-p", "no:cacheprovider"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, "2 passed" in ended.stdout) == (0, True), ended.stdout + ended.stderr


def test_a_new_project_is_called_like_its_folder(tmp_path: Path) -> None:
    """In letters that topics and client ids may have."""
    assert main(["init", str(tmp_path / "My Plant!")]) == 0
    assert config.load(tmp_path / "My Plant!", environ={}).name == "my-plant"


def test_every_option_shown_in_comments_exists(project: Path) -> None:
    """The commented lines, uncommented, are a valid configuration."""
    for file in ("conf/project.yml", "conf/pipelines/hello.yml"):
        path = project / file
        lines = path.read_text().splitlines()
        path.write_text("\n".join(re.sub(r"^(\s*)# ?(?=\s*-?\s*[a-z_]+:( |$))", r"\1", line) for line in lines))
        assert path.read_text().count("#") < "\n".join(lines).count("#")
    (project / "secret").write_text("x")
    text = (project / "conf/project.yml").read_text().replace("/run/secrets/mqtt", str(project / "secret"))
    (project / "conf/project.yml").write_text(text)
    loaded = config.load(project, environ={})
    assert (loaded.control.mqtt, loaded.mqtt.username) == (True, "someone")
    assert (loaded.pipelines["hello"].retry.max_retries, loaded.pipelines["hello"].timeout) == (3, 30.0)


def test_a_folder_that_is_not_empty_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing is written to it."""
    (tmp_path / "notes.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    assert main(["init", "."]) == 64
    assert capsys.readouterr().err == (
        f"error: {tmp_path} is not empty; name a new folder, or add what is missing with --force\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_force_adds_what_is_missing_and_overwrites_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Changed files keep their changes."""
    (project / "pipelines" / "hello.py").write_text("# mine\n")
    (project / "README.md").unlink()
    capsys.readouterr()
    assert main(["init", str(project), "--force"]) == 0
    assert capsys.readouterr().out == "made README.md\n"
    assert (project / "pipelines" / "hello.py").read_text() == "# mine\n"


def test_a_folder_that_cannot_be_made_ends_with_74(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The path and the reason are told."""
    (tmp_path / "file").write_text("")
    assert main(["init", str(tmp_path / "file" / "p")]) == 74
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}/file/p/")


def test_a_new_pipeline_is_found(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`new` makes a module and its YAML, which load."""
    assert main(["new", "flow"]) == 0
    pipeline = config.load(project, environ={}).pipelines["flow"]
    assert [trigger.topic for trigger in pipeline.triggers] == ["flow/{source}"]
    assert "made pipelines/flow.py\nmade conf/pipelines/flow.yml\n" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["1st", "class", "a-b", "../up", "ünder"])
def test_a_name_that_is_no_modules_is_refused(project: Path, name: str) -> None:
    """Names become Python modules, and never paths."""
    assert main(["new", name]) == 64
    assert main(["delete", name, "--yes"]) == 64
    assert sorted(path.name for path in (project / "pipelines").iterdir()) == ["hello.py"]


def test_new_overwrites_nothing(project: Path) -> None:
    """Neither when only one of the two files is there."""
    (project / "pipelines" / "flow.py").write_text("# mine\n")
    assert main(["new", "flow"]) == 64
    assert (project / "pipelines" / "flow.py").read_text() == "# mine\n"
    assert not (project / "conf" / "pipelines" / "flow.yml").exists()


def test_delete_asks_first(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal to answer, only --yes deletes."""
    assert main(["delete", "hello"]) == 64
    assert "add --yes" in capsys.readouterr().err
    assert main(["delete", "hello", "--yes"]) == 0
    assert list((project / "pipelines").iterdir()) + list((project / "conf" / "pipelines").iterdir()) == []


def test_deleting_names_the_nearest_pipeline(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A typo is met with a guess."""
    assert main(["delete", "helo", "--yes"]) == 64
    assert "there is no pipeline 'helo'; did you mean 'hello'?" in capsys.readouterr().err


def test_the_sample_project_is_copied_and_loads(tmp_path: Path) -> None:
    """What `demo` runs is the repository's own conf/ and pipelines/."""
    copy_sample(tmp_path)
    loaded = config.load(tmp_path, environ={})
    assert sorted(loaded.pipelines) == ["energy_daily", "temperature_alerts", "vibration_health"]
    for path in (path for part in ("conf", "pipelines") for path in (tmp_path / part).rglob("*") if path.is_file()):
        assert path.read_bytes() == (sample_folder() / path.relative_to(tmp_path)).read_bytes()


def test_copying_the_sample_again_keeps_changes(tmp_path: Path) -> None:
    """A visitor's edits survive the next demonstration."""
    copy_sample(tmp_path)
    changed = tmp_path / "pipelines" / "energy_daily.py"
    changed.write_text("# mine\n")
    copy_sample(tmp_path)
    assert changed.read_text() == "# mine\n"


def test_new_hook_makes_functions_that_work(program: Program, tmp_path: Path) -> None:
    """The settings that it prints are right as they stand, and its functions are called."""
    program(["init", "p"], tmp_path)
    folder = tmp_path / "p"

    ended = program(["new", "--hook", "audit"], folder)

    assert (0, "made hooks/audit.py\n") == (ended.code, ended.out)
    settings = ended.err[ended.err.index("hooks:") :]
    with (folder / "conf/project.yml").open("a") as file:
        file.write(settings)
    assert 0 == program(["check", "--strict"], folder).code
    ran = program(["run", "hello", "-i", "celsius=21", "-i", "room=a", "--log-level", "INFO"], folder)
    assert 0 == ran.code
    assert "of hello: succeeded" in ran.err
    again = program(["new", "--hook", "audit"], folder)
    assert (64, True) == (again.code, "hooks/audit.py exists already" in again.err)
    assert "'a-b' is no name for a module" in program(["new", "--hook", "a-b"], folder).err
    assert "name the pipeline to make" in program(["new"], folder).err
