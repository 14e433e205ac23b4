"""The bar of nodes: on a terminal, in the foreground, and nowhere else."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from fp_events.app.adapting import adapters_of
from fp_events.domain.errors import ConfigError

from .conftest import Plant

RUN = [sys.executable, "-m", "fp_events.cli", "run", "work", "-i", "n=7", "--with-adapter", '{"progressbar": true}']


def on_terminal(folder: Path) -> str:
    """What a command writes to a terminal as its standard error."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        RUN, cwd=folder, stdout=subprocess.DEVNULL, stderr=theirs, env=os.environ | {"COLUMNS": "200"}
    ) as process:
        os.close(theirs)
        written = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:
                break
            if not part:
                break
            written += part
        assert 0 == process.wait()
    os.close(ours)
    return written.decode()


def test_a_terminal_shows_a_bar_of_nodes(plant: Plant) -> None:
    """All three of them in the end; what runs stands behind it."""
    shown = on_terminal(plant.folder)

    assert "3/3" in shown
    assert "work" in shown
    assert "succeeded" in shown


def test_without_a_terminal_nothing_is_shown(plant: Plant) -> None:
    """The run's last line is all there is."""
    done = subprocess.run(RUN, cwd=plant.folder, capture_output=True, text=True, check=True)

    assert 1 == len(done.stderr.splitlines())
    assert "succeeded" in done.stderr


def test_a_daemon_has_no_bar(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even one with a terminal: its runs are nobody's to watch."""
    plant.pipeline(run={"with_adapter": {"progressbar": True}})
    config = plant.config()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    found = [len(adapters_of(config, config.pipelines["work"], in_foreground=watched)({})) for watched in (False, True)]

    assert [0, 1] == found


def test_hamilton_ui_that_is_not_installed_is_asked_for() -> None:
    """`fp-events ui` says how to get it."""
    from fp_events.adapters.ui import find

    with pytest.raises(ConfigError) as refused:
        find()

    assert "Hamilton UI is not installed; pip install 'fp-events[ui]'" == str(refused.value)


UI_COMMANDS = """
def execute_from_command_line(arguments):
    print(*arguments, sep=" ")


def run(port, base_dir, no_migration, no_open, settings_file, config_file):
    print(base_dir, no_open)
    execute_from_command_line(["manage.py", "migrate", "--settings=x"])
    execute_from_command_line(["manage.py", "runserver", "--settings=x", f"0.0.0.0:{port}", "--insecure"])
"""


@pytest.mark.parametrize(("given", "host"), [([], "127.0.0.1"), (["--host", "::1"], "[::1]")])
def test_hamilton_ui_listens_where_it_is_told(plant: Plant, tmp_path: Path, given: list[str], host: str) -> None:
    """Its own command, here one that prints what it is to do, would listen on every interface."""
    package = tmp_path / "stand_in" / "hamilton_ui"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "commands.py").write_text(UI_COMMANDS)
    environ = os.environ | {"PYTHONPATH": str(package.parent)}

    done = subprocess.run(
        [sys.executable, "-m", "fp_events.cli", "ui", "--port", "8555", *given],
        cwd=plant.folder,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )

    expected = [
        f"{plant.folder}/.fp-events/hamilton-ui True",
        "manage.py migrate --settings=x",
        f"manage.py runserver --settings=x --insecure {host}:8555 --noreload",
    ]
    assert expected == done.stdout.splitlines()
