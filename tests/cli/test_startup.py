"""What a command loads before it does anything: start-up is quick because the rest is left alone."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.brokers import mosquitto

#: Tens of milliseconds each, or more.
HAMILTON = {"hamilton", "pandas", "numpy"}
CONNECTION = {"aiomqtt", "paho", "amqtt", "mqtt5", "uvloop"}
SETTINGS = {"pydantic", "pydantic_settings", "fsspec", "yaml", "cbor2", "msgpack"}
RUNNING = {"asyncio", "anyio", "structlog", "sqlite3", "multiprocessing", "concurrent"}

CODE = "def doubled(value: float) -> float:\n    return 2 * value\n"
PIPELINE = "triggers: [{topic: in/x, map: {value: payload.value}}]\noutputs: [{node: doubled, topic: out/x}]\n"


def loaded(*command: str) -> set[str]:
    """Every module that an interpreter loads for a command, which must succeed, and their top-level names."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return named(done.stderr)


def named(told: str) -> set[str]:
    """Modules in what `-X importtime` writes, and their top-level names."""
    names = re.findall(r"^import time: +\d+ \| +\d+ \| +([\w.]+)$", told, re.MULTILINE)
    return {name.partition(".")[0] for name in names} | set(names)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one pipeline that asks for no library."""
    for name, text in {"project.yml": "name: quick\n", "pipelines/double.yml": PIPELINE}.items():
        path = tmp_path / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "double.py").write_text(CODE)
    return tmp_path


def test_importing_the_command_line_draws_nothing() -> None:
    """Rich is loaded by what prints a table, not by the declaration of commands; the rest later still."""
    heavy = HAMILTON | CONNECTION | SETTINGS | RUNNING | {"rich"}
    assert set() == loaded("-c", "import fp_events.cli.main") & heavy


@pytest.mark.parametrize("command", [["--help"], ["--version"], ["runs", "list", "--help"]])
def test_help_needs_typer_and_rich_alone(command: list[str]) -> None:
    """Asking what there is does not load what does it."""
    # Typer itself looks for pydantic where a command has options, to know the types of both.
    heavy = (HAMILTON | CONNECTION | SETTINGS | RUNNING) - {"pydantic"}
    assert set() == loaded("-m", "fp_events.cli", *command) & heavy


def test_configuration_is_shown_without_a_runtime(project: Path) -> None:
    """`config show` reads files; it compiles and connects nothing."""
    heavy = HAMILTON | CONNECTION | {"sqlite3", "structlog"}
    assert set() == loaded("-m", "fp_events.cli", "--project", str(project), "config", "show") & heavy


def test_check_opens_no_connection_and_no_ledger(project: Path) -> None:
    """`check` compiles pipelines; what runs them stays away."""
    heavy = CONNECTION | {"sqlite3", "structlog"}
    assert set() == loaded("-m", "fp_events.cli", "--project", str(project), "check") & heavy


def test_a_daemons_parts_wait_for_its_configuration() -> None:
    """Which transport, ledger and executor it needs is known then: importing `serve` loads none of them."""
    assert set() == loaded("-c", "import fp_events.app.serving") & (HAMILTON | CONNECTION | {"sqlite3"})


async def test_serve_loads_one_mqtt_library(project: Path) -> None:
    """A daemon on MQTT 5 pays neither for aiomqtt and paho, nor for executors that no pipeline uses."""
    async with mosquitto() as broker:
        (project / "conf" / "project.yml").write_text(f'name: quick\nmqtt: {{url: "mqtt://127.0.0.1:{broker.port}"}}\n')
        daemon = await asyncio.create_subprocess_exec(
            *(sys.executable, "-X", "importtime", "-m", "fp_events.cli", "--project", str(project), "serve"),
            stderr=asyncio.subprocess.PIPE,
        )
        assert daemon.stderr is not None
        said = []
        async with asyncio.timeout(45):
            async for line in daemon.stderr:
                said.append(line.decode())
                if '"event":"serving"' in said[-1]:
                    daemon.terminate()
            assert 0 == await daemon.wait(), said
    names = named("".join(said))
    assert {"mqtt5", "hamilton", "sqlite3"} <= names
    assert set() == names & {"aiomqtt", "paho", "amqtt", "fp_events.executors.processpool", "multiprocessing"}
