"""The documentation says what is so."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from fp_events import app, config
from fp_events.cli.main import app as program
from fp_events.runtime.commands import COMMANDS

from .pages import NAMES, PAGES, ROOT, anchors, blocks, commands, links, project

EACH = pytest.mark.parametrize("page", PAGES, ids=NAMES)
PROJECTS = [page for page in PAGES if any(file.endswith(".py") for file in project(page))]


def verbs(group: Any = None, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """Every command of the program: its words, and what Typer knows of it."""
    group = group or typer.main.get_command(program)
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        found |= verbs(command, (*path, name)) if hasattr(command, "commands") else {" ".join((*path, name)): command}
    return found


def write(files: dict[str, str], folder: Path) -> None:
    """Put a page's files into a folder."""
    for name, text in {"conf/project.yml": "name: plant\n", **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


@EACH
def test_links_and_anchors_lead_somewhere(page: Path) -> None:
    """A link names a file of the project, and a heading in it where it has an anchor."""
    broken = []
    for path, anchor in links(page):
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(f"{path}#{anchor}")
    assert [] == broken


@EACH
def test_commands_exist_with_their_options(page: Path) -> None:
    """Whatever is shown of `fp-events` is a command of the program, with options that it has."""
    known = verbs()
    groups = {name.split()[0] for name in known if " " in name}
    shared = {"--project", "--env", "--debug", "--json", "--version", "--help"}
    wrong = []
    for line in commands(page):
        words = shlex.split(line, comments=True)[1:]
        options = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        name = " ".join(words[:2]) if words[0] in groups else words[0]
        if words[0].startswith(("-", "<")):
            continue
        if name not in known or options - shared - {text for each in known[name].params for text in each.opts}:
            wrong.append(line)
    assert [] == wrong


@EACH
def test_examples_are_well_formed(page: Path) -> None:
    """Python compiles, YAML and JSON parse."""
    for block in blocks(page, "python"):
        compile(block.text, page.name, "exec")
    for block in blocks(page, "yaml"):
        assert yaml.safe_load(block.text) is not None
    for block in blocks(page, "json"):
        assert json.loads(block.text) is not None


@pytest.mark.parametrize("page", PROJECTS, ids=[page.name for page in PROJECTS])
def test_examples_are_a_project_without_problems(page: Path, tmp_path: Path) -> None:
    """The files of a page pass `check`, and their tests pass."""
    files = project(page)
    write(files, tmp_path)

    assert [] == [str(problem) for problem in app.check(config.load(tmp_path, environ={}))]
    if any(name.startswith("tests/") for name in files):
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", "."]
        subprocess.run([*command, "-o", "pythonpath=.", "tests"], cwd=tmp_path, check=True, capture_output=True)


def test_settings_of_the_topics_page_load(tmp_path: Path) -> None:
    """Control by MQTT, as it is shown there."""
    write(
        {**project(ROOT / "docs/topics.md"), "pipelines/boiler.py": "def kelvin(celsius: float) -> float: ..."},
        tmp_path,
    )

    control = config.load(tmp_path, environ={}).control

    assert (True, ["celsius"]) == (control.mqtt, list(control.allow["boiler"].inputs))


def test_every_verb_is_in_the_table() -> None:
    """docs/commands.md names all commands of the program, each with the first sentence of its help."""
    rows = dict(re.findall(r"^\| `fp-events ([^`]+)` \| (.*) \|$", (ROOT / "docs/commands.md").read_text(), re.M))
    assert {name: command.help.splitlines()[0] for name, command in verbs().items()} == rows


def test_every_command_of_a_daemon_is_in_the_table() -> None:
    """docs/commands.md has the command table: arguments, what needs a daemon, what changes something."""
    text = (ROOT / "docs/commands.md").read_text()
    rows = re.findall(r"^\| `([a-z.]+)` \| (.*) \| (yes)? ?\| (yes)? ?\|$", text, re.M)
    written = {name: (tuple(re.findall(r"`(\w+)`", names)), live == "yes", changes == "yes")
               for name, names, live, changes in rows}  # fmt: skip
    assert {name: (row.arguments, row.live, row.changes) for name, row in COMMANDS.items()} == written


def test_the_glossary_is_that_of_the_code() -> None:
    """Each word's place is a name of a module."""
    places = re.findall(r"\| `([\w.]+):(\w+)` \|$", (ROOT / "docs/glossary.md").read_text(), re.M)
    missing = [f"{module}:{name}" for module, name in places
               if not hasattr(importlib.import_module(f"fp_events.{module}"), name)]  # fmt: skip
    assert (True, []) == (len(places) > 25, missing)


@EACH
def test_files_that_are_named_exist(page: Path) -> None:
    """Modules and folders of the repository, as far as they are named with their path."""
    text = page.read_text(encoding="utf-8")
    named = re.findall(
        r"`((?:domain|runtime|transports|ledgers|plans|app|config|tests)/[\w/*]+(?:\.py)?)(?::\w+)?`", text
    )
    missing = [name for name in named if not any([*ROOT.glob(name), *(ROOT / "fp_events").glob(name)])]
    assert [] == missing


def test_states_and_outcomes_are_all_explained() -> None:
    """docs/run-states.md has every state and every outcome."""
    from fp_events.domain.run import Outcome, RunState

    text = (ROOT / "docs/run-states.md").read_text()
    assert [] == [state.name for state in RunState if state.name not in text]
    assert [] == [outcome.value for outcome in Outcome if f"`{outcome.value}`" not in text]


def test_the_index_names_every_page() -> None:
    """Whoever starts at docs/index.md finds all pages."""
    index = (ROOT / "docs/index.md").read_text()
    assert [] == [
        page.name
        for page in PAGES
        if page.parent.name == "docs" and f"]({page.name})" not in index and page.name != "index.md"
    ]
