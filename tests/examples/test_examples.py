"""Each example is a project without problems, and the commands of its README work as they are written there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fp_events import app, config
from fp_events.cli.main import main
from tests.cli.conftest import Daemon
from tests.docs.pages import blocks
from tests.support import require_program

ROOT = Path(__file__).resolve().parents[2] / "examples"
EXAMPLES = sorted(folder for folder in ROOT.iterdir() if (folder / "README.md").is_file())
PROJECTS = [folder for folder in EXAMPLES if (folder / "conf").is_dir() or (folder / "pipelines").is_dir()]
#: What stands in for the output of a command, and what only a shell understands.
_NESTED = re.compile(r"\$\((fp-events [^)]*)\)")
_SHELL = re.compile(r"[|<>;$`]|&&")


@dataclass(frozen=True)
class Line:
    """A command of a README, and what it is shown to print."""

    command: str
    shown: tuple[str, ...] = ()

    @property
    def code(self) -> int:
        """How it is to end: ``# exit code 1`` behind it."""
        found = re.search(r"# exit code (\d+)$", self.command)
        return int(found[1]) if found else 0

    @property
    def words(self) -> list[str]:
        """What it consists of."""
        return shlex.split(self.command, comments=True)


def lines(page: Path) -> Iterator[Line]:
    """The commands of a page, one after the other: those of `sh` blocks, and those behind ``$`` of `console` blocks."""
    for block in blocks(page):
        text = block.text.replace("\\\n", " ")
        if block.language == "sh":
            yield from (Line(line) for line in text.splitlines() if line.strip() and not line.startswith("#"))
        elif block.language == "console":
            for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
                command, *shown = part.splitlines()
                yield Line(command, tuple(line for line in shown if line.strip()))


class Session:
    """The README's reader, who types its lines in a copy of its folder."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder = folder
        self._capsys = capsys
        self._daemon: Daemon | None = None

    def type(self, line: Line) -> None:
        """Run a line, and compare."""
        words = line.words
        if words[:2] == ["fp-events", "serve"]:
            require_program("mosquitto")
            self._daemon = Daemon(self._folder, *(word for word in words[2:] if word != "&"))
            self._daemon.serving()
            return
        code, said = self._run(line.command, words)
        assert (line.code, line.command) == (code, line.command), said
        printed = said.splitlines()
        missing = [text for text in line.shown if not any(_is_shown(text, one) for one in printed)]
        assert ([], line.command) == (missing, line.command), said

    def _run(self, command: str, words: list[str]) -> tuple[int, str]:
        command = _NESTED.sub(lambda found: self._main(shlex.split(found[1])[1:])[1].strip(), command)
        if words[0] == "fp-events" and not _SHELL.search(command):
            code, out, err = self._main(shlex.split(command, comments=True)[1:])
            return code, out + err
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        ended = subprocess.run(
            ["bash", "-c", command],
            cwd=self._folder,
            env={**os.environ, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=50,
        )
        return ended.returncode, ended.stdout

    def _main(self, words: list[str]) -> tuple[int, str, str]:
        """The program, in this process."""
        code = main(words)
        return code, *self._capsys.readouterr()

    def end(self) -> None:
        """End the daemon."""
        if self._daemon is not None:
            self._daemon.end()
            self._daemon.kill()


def _is_shown(text: str, printed: str) -> bool:
    """Whether a line is printed as it is shown; ``…`` stands for anything."""
    pattern = ".*".join(re.escape(part) for part in text.strip().split("…"))
    return re.fullmatch(pattern, printed.strip()) is not None


def test_the_index_names_every_example() -> None:
    """Each folder has a README, and stands in examples/README.md with a line."""
    index = (ROOT / "README.md").read_text(encoding="utf-8")
    folders = sorted(
        folder.name for folder in ROOT.iterdir() if folder.is_dir() and not folder.name.startswith((".", "_"))
    )
    assert folders == [folder.name for folder in EXAMPLES]
    assert folders == sorted(re.findall(r"^\| \[(\w+)\]\(\1\) \|", index, re.M))


@pytest.mark.parametrize("folder", PROJECTS, ids=[folder.name for folder in PROJECTS])
def test_an_example_has_no_problems(folder: Path) -> None:
    """`check` finds nothing but that a plan goes by Hamilton's driver."""
    problems = [problem for problem in app.check(config.load(folder, environ={})) if "driver" not in problem.what]

    assert [] == [str(problem) for problem in problems]


@pytest.mark.parametrize("folder", EXAMPLES, ids=[folder.name for folder in EXAMPLES])
def test_the_commands_of_a_readme_work(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They end as they should, and print what is shown."""
    copy = tmp_path / folder.name
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(".fp-events", "__pycache__"))
    monkeypatch.chdir(copy)
    session = Session(copy, capsys)
    typed = list(lines(folder / "README.md"))
    try:
        for line in typed:
            session.type(line)
    finally:
        session.end()

    assert typed
