"""What is measured: processes that turn readings on `in/#` into results on `out/#`, at QoS 1 both ways."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from . import install, projects
from .broker import Broker
from .processes import running

PEERS = Path(__file__).parent / "peers"


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """How to start one. Without a command there is none: the load goes to the sink directly."""

    name: str
    #: Whether what it has acknowledged survives `kill -9`.
    keeps: bool = False
    #: Port and folder to the command line; files may be written into the folder, which is the working directory.
    command: Callable[[int, Path], list[str | Path]] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    #: A file of (index, time) that it writes in place of results.
    runs: str | None = None
    #: What a reader has to know beside the numbers.
    note: str = ""
    #: Why it cannot be measured here; empty if it can.
    missing: str = ""

    @contextmanager
    def started(self, broker: Broker, folder: Path) -> Iterator[int | None]:
        """Its process id, once it has subscribed. Raises RuntimeError with the end of its log."""
        if self.command is None:
            yield None
            return
        log = folder / "system.log"
        with running(self.command(broker.port, folder), cwd=folder, env=self.env, log=log) as process:
            try:
                broker.wait_subscribed("in/", process)
            except RuntimeError as error:
                raise RuntimeError(f"{self.name}: {error}\n{log.read_text()[-1000:]}") from error
            yield process.pid


def ours(name: str, *, keeps: bool = True, **settings: object) -> System:
    """`fp-events serve` on a project with these settings."""

    wanted = projects.Settings(**settings)  # type: ignore[arg-type]  # passed on by name
    return System(name=f"fp-events, {name}", keeps=keeps, command=partial(_ours, wanted))


def _ours(settings: projects.Settings, port: int, folder: Path) -> list[str | Path]:
    projects.write(folder, port, settings)
    return projects.serve(folder)


def script(name: str, file: str, *, python: str | Path = sys.executable, **more: object) -> System:
    """One of the scripts in `peers/`, which import the five nodes from there."""

    def command(port: int, _: Path) -> list[str | Path]:
        return [python, PEERS / file, str(port)]

    env = {"HAMILTON_TELEMETRY_ENABLED": "false", "PYTHONPATH": str(PEERS)}
    return System(name=name, command=command, env=env, **more)  # type: ignore[arg-type]  # passed on by name


def _flowerpower(port: int, folder: Path) -> list[str | Path]:
    for name in ("conf/pipelines", "pipelines", "hooks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "conf/project.yml").write_text("name: bench\n")
    (folder / "conf/pipelines/bench.yml").write_text(
        "run:\n  final_vars: [result]\n  executor: {type: synchronous}\n  log_level: ERROR\n"
    )
    (folder / "pipelines/bench.py").write_text((PEERS / "flowerpower_plan.py").read_text())
    return [install.python_of("flowerpower"), PEERS / "flowerpower_app.py", str(port)]


def _node_red(port: int, folder: Path) -> list[str | Path]:
    source = PEERS / "node_red"
    (folder / "flows.json").write_text((source / "flows.json").read_text().replace("$PORT", str(port)))
    (folder / "settings.js").write_text((source / "settings.js").read_text())
    bin_ = install.CACHE / "node_red" / "node_modules"
    return [bin_ / ".bin/node", bin_ / "node-red/red.js", "--userDir", folder, "--settings", folder / "settings.js"]


NODE_RED = "Node-RED"
DRIVER = "aiomqtt + AsyncDriver"
ECHO = "codec echo"
LOCAL = "fp-events, local, no events"
POOL = "fp-events, default executor, no events"
LOCAL_EVENTS = "fp-events, local, status events"
DEFAULT = "fp-events, default settings"
EXECUTED = "fp-events, when_executed, local, no events"


def all_systems(scratch: Path) -> list[System]:
    """Every system, in the order of the table; `scratch` is for asking our configuration what it accepts."""
    at_receipt = "acknowledges at receipt"
    executed = projects.Settings(executor="local", events="none", acknowledge="when_executed")
    return [
        ours("local, no events", executor="local", events="none"),
        ours("default executor, no events", events="none"),
        ours("local, status events", executor="local"),
        ours("default settings"),
        ours("ledger in memory, local, no events", keeps=False, executor="local", events="none", ledger="memory:"),
        System(
            name=EXECUTED,
            command=partial(_ours, executed),
            note="the broker keeps it",
            missing="" if projects.accepted(scratch, executed) else "this version does not accept the setting",
        ),
        script(DRIVER, "aiomqtt_driver.py", note=at_receipt),
        script(
            "FastStream 0.7",
            "faststream_app.py",
            python=install.python_of("faststream"),
            missing=install.missing("faststream"),
        ),
        System(
            name="flowerpower-mqtt 0.2",
            command=_flowerpower,
            env={"HAMILTON_TELEMETRY_ENABLED": "false", "FP_LOG_LEVEL": "ERROR", "LOGURU_LEVEL": "ERROR"},
            runs="runs",
            note=f"publishes nothing: runs; {at_receipt}",
            missing=install.missing("flowerpower"),
        ),
        System(name=NODE_RED, command=_node_red, note=at_receipt, missing=install.missing("node_red")),
        script(ECHO, "codec_echo.py", note="limit of the client"),
        System(name="Mosquitto to sink", note="limit of the broker"),
    ]
