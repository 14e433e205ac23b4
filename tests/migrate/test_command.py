"""`fp-events migrate`: what it says, what it refuses, how it ends."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from fp_events.cli.main import main

from . import projects
from .conftest import Program


def test_a_dry_run_writes_nothing(tmp_path: Path, program: Program) -> None:
    """It tells of the same changes as the real thing."""
    old = projects.write(projects.MIDDLE, tmp_path / "old")

    dry = program("migrate", old, "--dry-run", "--json")
    there = (tmp_path / "old-fp-events").exists()
    wet = program("migrate", old, "--json")

    assert (0, 0, False) == (dry.code, wet.code, there)
    assert dry.json["changes"] == wet.json["changes"]
    assert dry.json["files"] == wet.json["files"]


def test_the_tables_say_file_line_key_old_and_new(tmp_path: Path, program: Program) -> None:
    """A line for each change, below what kind of change it is."""
    old = projects.write(projects.MIDDLE, tmp_path / "old")

    ended = program("migrate", old)

    [line] = [line for line in ended.out.splitlines() if "with_tracker" in line]
    assert [
        "conf/pipelines/report.yml:10", "run.with_tracker", "true", "run.with_adapter.hamilton_tracker: true"
    ] == re.split(r"  +", line.strip())  # fmt: skip
    headings = [
        "written otherwise",
        "means something else now",
        "left out, nothing to do",
        "no counterpart, or to be decided",
    ]
    assert headings == [line for line in ended.out.splitlines() if line in headings]
    assert "checked: 0 errors, 0 warnings" in ended.out


def test_what_check_finds_is_told_and_ends_with_78(tmp_path: Path, program: Program) -> None:
    """The new project is written all the same, to be mended."""
    files = {**projects.MIDDLE, "pipelines/report.py": "def report(line: str, shift: int) -> str: ...\n"}
    files["conf/pipelines/report.yml"] = "run: {inputs: {line: 7}}\n"
    old = projects.write(files, tmp_path / "old")

    ended = program("migrate", old)

    assert 78 == ended.code
    assert (
        "error: conf/pipelines/report.yml:4: `run.inputs` gives 'line' 7, but 'report' at pipelines/report.py:1 takes it"
        " as str; change the value or the type hint\n"
    ) == "".join(line + "\n" for line in ended.err.splitlines() if line.startswith("error"))
    assert (tmp_path / "old-fp-events/pipelines/report.py").is_file()


@pytest.mark.parametrize(
    ("files", "arguments", "code", "sentence"),
    [
        ({"README.md": "nothing"}, (), 64,
         ("error: there is no FlowerPower project in {old}: neither conf/project.yml nor conf/pipelines; name the folder"
         " that has `conf`\n")),
        (None, (), 64, "error: {old} is no folder; name the folder of a FlowerPower project, which has `conf`\n"),
        ({"conf/project.yml": "name: a\nmqtt:\n  url: embedded\n"}, (), 64,
         ("error: {old}: it is a project of fp-events already, as `mqtt.url` at conf/project.yml:3 says; try `fp-events"
         " check`\n")),
        ({"conf/project.yml": "# plant, migrated from FlowerPower; every key is in docs\nname: plant\n"}, (), 64,
         ("error: {old}: it is a project of fp-events already, migrated from FlowerPower, as conf/project.yml:1 says; try"
         " `fp-events check`\n")),
        ({"conf/pipelines/a.yml": "run: {}\ntriggers: []\n", "pipelines/a.py": ""}, (), 64,
         ("error: {old}: it is a project of fp-events already, as `triggers` at conf/pipelines/a.yml:2 says; try"
         " `fp-events check`\n")),
        ({"conf/project.yml": "name: a\n  b: [1\n"}, (), 78,
         "error: conf/project.yml:2: is not YAML: mapping values are not allowed in this context; mend the line\n"),
        ({"conf/project.yml": "name: a\nwhen: !!python/object/apply:datetime.timedelta [1]\n"}, (), 78,
         "error: conf/project.yml:2: has a Python tag, which is not read; write the value plainly\n"),
        ({"conf/project.yml": "a: &a [1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
            f"{c}: &{c} [*{b}, *{b}, *{b}, *{b}, *{b}, *{b}, *{b}, *{b}]\n" for b, c in zip("abcdef", "bcdefg", strict=True)
        )}, (), 78,
         "error: conf/project.yml: holds more than anybody writes, or contains itself, through an alias\n"),
        ({"conf/project.yml": "a: &a [*a]\n"}, (), 78,
         "error: conf/project.yml: holds more than anybody writes, or contains itself, through an alias\n"),
        ({"conf/project.yml": "name: a\nb: " + "[" * 100_000 + "\n"}, (), 78,
         "error: conf/project.yml:2: is nested more than 64 levels deep\n"),
        ({"conf/project.yml": "- a\n- b\n"}, (), 78,
         "error: conf/project.yml:1: is no block of keys such as 'name: value'\n"),
        ({"conf/project.yml": "name: a\n"}, ("--output", "{old}/new"), 64,
         "error: {old}/new is inside the old project; name a folder beside it with --output\n"),
        ({"conf/project.yml": "name: a\n"}, ("--output", "{old}/.."), 64,
         "error: {old}/.. is there already; name a new folder with --output, or remove it\n"),
        ({"conf/project.yml": "name: a\n"}, ("--mqtt-config", "{old}/mqtt.yml"), 64,
         "error: {old}/mqtt.yml is no file; name flowerpower-mqtt's configuration, mqtt_config.yml\n"),
        ({"conf/project.yml": "name: a\n"}, ("--format", "ids"), 64,
         "error: changes have no ids; use --format table, json or yaml\n"),
        ({"conf/pipelines/a.yml": "run: {}\n", "conf/pipelines/b-c.yml": "run: {}\n", "pipelines/b_c.py": "",
          "conf/pipelines/b_c.yml": "run: {}\n"}, (), 64,
         "error: pipelines 'b-c' and 'b_c' would both be 'b_c' here; rename one of them first\n"),
    ],
)  # fmt: skip
def test_a_wrong_input_is_one_sentence(
    files: dict[str, str] | None,
    arguments: tuple[str, ...],
    code: int,
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is written."""
    old = tmp_path / "old"
    if files is not None:
        projects.write(files, old)
    before = sorted(tmp_path.rglob("*"))

    ended = main(["migrate", str(old), *(argument.format(old=old) for argument in arguments)])

    assert (code, sentence.format(old=old)) == (ended, capsys.readouterr().err)
    assert before == sorted(tmp_path.rglob("*"))


def test_the_new_folder_may_be_named(tmp_path: Path, program: Program) -> None:
    """The project keeps its name, whatever the folder is called."""
    old = projects.write(projects.TODAY, tmp_path / "old")

    assert program("migrate", old, "--output", tmp_path / "elsewhere").code == 0

    assert "name: hello\n" in (tmp_path / "elsewhere/conf/project.yml").read_text()


def test_secrets_are_neither_shown_nor_left_in_the_open(tmp_path: Path, program: Program) -> None:
    """A broker's password goes into a file that only its owner reads, and that is not put under version control."""
    old = projects.write(projects.EARLY, tmp_path / "old")

    ended = program("migrate", old)

    file = tmp_path / "old-fp-events/conf/mqtt-password"
    assert [] == [word for word in ("secret-word", "secret-key", "edge:edge") if word in ended.out + ended.err]
    assert ("secret-word\n", 0o600) == (file.read_text(), stat.S_IMODE(file.stat().st_mode))
    assert "conf/mqtt-password" in (tmp_path / "old-fp-events/.gitignore").read_text().splitlines()
    assert "secret-word" not in (tmp_path / "old-fp-events/conf/project.yml").read_text()


def test_what_is_no_configuration_is_copied(tmp_path: Path, program: Program) -> None:
    """Hooks, helpers, data; not environments, caches and what begins with a dot."""
    extra = {"hooks/h.py": "", "data/in.csv": "a\n", "src/lib.py": "X = 1\n", "pipelines/__init__.py": "",
             ".env": "A=1\n", "__pycache__/x.pyc": "", "venv/pyvenv.cfg": "", "venv/lib.py": "",
             "scripts/start.py": "from flowerpower.flowerpower import FlowerPowerProject\n"}  # fmt: skip
    old = projects.write({**projects.TODAY, **extra}, tmp_path / "old")

    told = program("migrate", old, "--json").json

    assert {"hooks/h.py", "data/in.csv", "src/lib.py", "pipelines/__init__.py", "scripts/start.py"} <= set(
        told["files"]
    )
    assert [] == [name for name in told["files"] if name.startswith((".env", "venv", "__pycache__"))]
    notes = {change["where"]: change["note"] for change in told["changes"] if change["kind"] == "todo"}
    assert "`from fp_events import Project` has `run`, `run_async` and `submit`" == notes["scripts/start.py:1"]
    assert "variables are taken from the environment alone: export them before `fp-events serve`" == notes[".env"]


def test_a_module_in_another_encoding_is_named(tmp_path: Path, program: Program) -> None:
    """Nothing is written."""
    old = projects.write(projects.TODAY, tmp_path / "old")
    (old / "pipelines/umlaut.py").write_bytes(b"# -*- coding: latin-1 -*-\n# W\xe4rme\n")

    ended = program("migrate", old)

    assert (78, "error: pipelines/umlaut.py: is not UTF-8 text; save it as UTF-8\n") == (ended.code, ended.err)
    assert not (tmp_path / "old-fp-events").exists()
