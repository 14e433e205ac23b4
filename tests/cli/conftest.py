"""A project, its daemon as a process, and the program called as a user calls it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from fp_events.cli.main import main
from tests.support import require_program

COUNTING_PY = '''
"""Counts readings by source, and refuses the negative ones."""

def count(value: float, previous_count: int | None) -> int:
    if value < 0:
        raise ValueError("a reading below zero")
    return (previous_count or 0) + 1


def doubled(value: float) -> float:
    return 2 * value


def total(source: str, count: int, value: float) -> dict:
    return {"source": source, "count": count, "value": value}
'''

COUNTING_YML = """
triggers:
  - topic: in/{source}
    map: {value: payload.value, source: topic.source}
    key: "{source}"
state: {count: previous_count}
outputs:
  - {node: total, topic: "out/{value.source}"}
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """What a call of the program gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output, parsed."""
        return json.loads(self.out)


def call(arguments: Sequence[str], cwd: Path, stdin: str = "") -> Ended:
    """The program as a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-m", "fp_events.cli", *arguments],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=45,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


class Daemon:
    """`fp-events serve` as a process."""

    def __init__(self, project: Path, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fp_events.cli", "serve", *options],
            cwd=project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def serving(self) -> dict[str, Any]:
        """Wait for the event of that name; its fields."""
        lines = []
        for line in self._stderr:
            lines.append(line)
            if '"event":"serving"' in line:
                found: dict[str, Any] = json.loads(line)
                return found
        raise AssertionError(f"serve ended with {self._process.wait()}: {''.join(lines)}")

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; the exit code, and what it still said."""
        self._process.send_signal(number)
        said = self._stderr.read()
        return self._process.wait(30), said

    def kill(self) -> None:
        """Make sure that it is gone."""
        self._process.kill()
        self._stderr.close()
        self._process.wait()

    @property
    def _stderr(self) -> IO[str]:
        assert self._process.stderr is not None
        return self._process.stderr


def counting_project(folder: Path) -> Path:
    """A project that takes commands by MQTT and counts what comes on in/+."""
    for name, text in {
        "conf/project.yml": "name: counting\ncontrol: {mqtt: true, allow: {counting: {inputs: [value, source]}}}\n",
        "conf/pipelines/counting.yml": COUNTING_YML,
        "pipelines/counting.py": COUNTING_PY,
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a project whose daemon runs on the embedded broker."""
    require_program("mosquitto")
    folder = counting_project(tmp_path_factory.mktemp("live"))
    daemon = Daemon(folder)
    try:
        daemon.serving()
        yield folder
        daemon.end()
    finally:
        daemon.kill()


class Program:
    """The program in this process, which is much quicker than a process of its own."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, arguments: Sequence[str], cwd: Path) -> Ended:
        """Call it in a folder."""
        self._monkeypatch.chdir(cwd)
        self._capsys.readouterr()
        code = main(arguments)
        captured = self._capsys.readouterr()
        return Ended(code, captured.out, captured.err)


@pytest.fixture
def program(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Program:
    """Call the program in this process."""
    return Program(capsys, monkeypatch)


@pytest.fixture
def fp(live: Path, program: Program) -> Callable[..., Ended]:
    """Call the program in the live project."""
    return lambda *arguments: program(arguments, live)


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's environment is part of a test."""
    for name in [name for name in os.environ if name.startswith("FP_EVENTS_")]:
        monkeypatch.delenv(name)
