"""A daemon that takes newer pipelines over: by command, by signal, by itself."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import require_program

from .conftest import COUNTING_PY, COUNTING_YML, Daemon, Program, counting_project


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Path]:
    """The folder of a project whose daemon watches its files."""
    require_program("mosquitto")
    folder = counting_project(tmp_path)
    daemon = Daemon(folder, "--watch")
    try:
        daemon.serving()
        yield folder
        daemon.end()
    finally:
        daemon.kill()


def until_version_is_another(program: Program, folder: Path, old: str) -> str:
    """The version that is served, once it is not `old`."""
    limit = time.monotonic() + 20
    while (now := version(program, folder)) == old:
        assert time.monotonic() < limit
        time.sleep(0.1)
    return now


def version(program: Program, folder: Path) -> str:
    (row,) = program(["status", "--json"], folder).json["pipelines"]
    return str(row["version"])


def test_files_a_signal_and_a_command_change_what_runs(watched: Path, program: Program) -> None:
    """What is broken, or wants a restart, is refused with its sentence, and the old version runs on."""
    code, settings = watched / "pipelines/counting.py", watched / "conf/pipelines/counting.yml"
    first = version(program, watched)
    code.write_text(COUNTING_PY.replace("or 0) + 1", "or 0) + 2"))
    second = until_version_is_another(program, watched, first)

    code.write_text(COUNTING_PY.replace("or 0) + 1", "or 0) + 3"))
    os.kill(program(["status", "--json"], watched).json["pid"], signal.SIGHUP)
    third = until_version_is_another(program, watched, second)
    assert (0, "no pipeline has changed\n") == ((same := program(["reload"], watched)).code, same.err)

    settings.write_text(COUNTING_YML.replace("in/{source}", "elsewhere/{source}"))
    refused = program(["reload"], watched)
    assert (64, True) == (refused.code, "pipeline 'counting' has other triggers" in refused.err)
    settings.write_text(COUNTING_YML)
    code.write_text("def count(:\n")
    broken = program(["reload"], watched)
    assert (64, True) == (broken.code, broken.err.startswith("error: pipelines/counting.py:1: "))
    assert third == version(program, watched)


def test_without_a_daemon_there_is_nothing_to_reload(tmp_path: Path, program: Program) -> None:
    """Nobody answers."""
    assert 69 == program(["reload"], counting_project(tmp_path)).code
