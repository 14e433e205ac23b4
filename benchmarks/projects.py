"""Projects of ours, as a user would write them."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PEERS = Path(__file__).parent / "peers"
PROGRAM = Path(sys.executable).with_name("fp-events")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What differs between measured projects; None leaves a key to its default."""

    executor: str | None = None
    events: str | None = None
    ledger: str | None = None
    acknowledge: str | None = None
    concurrency: int | None = None
    retention: str | None = None
    key: str | None = None
    #: Topic filters, each a trigger.
    triggers: Sequence[str] = ("in/{line}",)
    #: Copies of the pipeline; its triggers' filters may hold `%d` for the number of the copy.
    pipelines: int = 1
    #: Source of the module; the five nodes if empty.
    module: str = ""


def write(folder: Path, port: int, settings: Settings) -> None:
    """Write the project's files."""
    project = [f"mqtt: {{url: 'mqtt://127.0.0.1:{port}', client_id: bench}}", "name: bench", "log: {level: WARNING}"]
    ledger = [f"url: {json.dumps(settings.ledger)}"] if settings.ledger else []
    ledger += [f"retention: {settings.retention}"] if settings.retention else []
    project += [f"ledger: {{{', '.join(ledger)}}}"] if ledger else []
    project += [f"events: {{status: {settings.events}}}"] if settings.events else []
    files = {"conf/project.yml": "\n".join(project) + "\n"}
    for number in range(settings.pipelines):
        name = f"bench{number}" if settings.pipelines > 1 else "bench"
        files[f"conf/pipelines/{name}.yml"] = _pipeline(settings, number)
        files[f"pipelines/{name}.py"] = settings.module or (PEERS / "plan.py").read_text()
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _pipeline(settings: Settings, number: int) -> str:
    lines = ["triggers:"]
    for topic in settings.triggers:
        lines.append(f"  - topic: {json.dumps(topic.replace('%d', str(number)))}")
        lines.append("    map: {i: payload.i, reading: payload.reading}")
        lines += [
            f"    {name}: {json.dumps(value)}"
            for name, value in (
                ("acknowledge", settings.acknowledge),
                ("concurrency", settings.concurrency),
                ("key", settings.key),
            )
            if value is not None
        ]
    lines += ['outputs: [{node: result, topic: "out/bench"}]', "params: {factor: 1.5}"]
    lines += [f"run: {{executor: {settings.executor}}}"] if settings.executor else []
    return "\n".join(lines) + "\n"


def command(folder: Path, *words: str) -> list[str | Path]:
    """The program's command line for a project."""
    return [PROGRAM, "--project", folder, *words]


def serve(folder: Path) -> list[str | Path]:
    """The daemon's command line."""
    return command(folder, "serve")


def accepted(scratch: Path, settings: Settings) -> bool:
    """Whether this version accepts these settings."""
    folder = scratch / "accepted"
    write(folder, 1883, settings)
    check = [str(word) for word in command(folder, "check")]
    return subprocess.run(check, capture_output=True, timeout=60, check=False).returncode == 0


class Control:
    """The socket of a daemon that is starting or runs, whose log is `system.log` in its folder.

    Raises RuntimeError where it does not answer.
    """

    def __init__(self, folder: Path, process: subprocess.Popen[str], *, seconds: float = 60.0) -> None:
        from fp_events.runtime.socket_door import socket_path

        path = socket_path(folder / ".fp-events")
        self._process = process
        self._seconds = seconds
        self._log = folder / "system.log"
        self._wait(lambda: self._connect(path), f"answer on {path}")
        self._replies = self._link.makefile("rb")

    def ask(self, name: str, **arguments: object) -> dict[str, Any]:
        """A command's whole reply."""
        self._link.sendall(json.dumps({"command": name, "arguments": arguments}).encode() + b"\n")
        reply: dict[str, Any] = json.loads(self._replies.readline())
        return reply

    def status(self) -> dict[str, Any]:
        """The daemon's status."""
        reply = self.ask("status")
        if not reply["ok"]:
            raise RuntimeError(f"the daemon refuses `status`: {reply['error']}")
        result: dict[str, Any] = reply["result"]
        return result

    def wait_subscribed(self) -> None:
        """Wait until the broker has granted its subscriptions, all of them where they come in several packets."""
        granted: list[int] = [0]

        def settled() -> bool:
            granted.append(len(self.status()["broker"]["granted"]))
            return 0 < granted[-1] == granted[-2]

        self._wait(settled, "subscribe", pause=0.2)

    def wait_received(self, count: int) -> None:
        """Wait until so many messages were received since its start."""
        self._wait(lambda: int(self.status()["totals"]["received"]) >= count, f"receive {count:,} messages", pause=0.2)

    def close(self) -> None:
        """Hang up."""
        self._replies.close()
        self._link.close()

    def _said(self) -> str:
        lines = self._log.read_text().strip().splitlines() if self._log.exists() else []
        return f": {lines[-1]}" if lines else ""

    def _connect(self, path: Path) -> bool:
        self._link = socket.socket(socket.AF_UNIX)
        self._link.settimeout(self._seconds)
        try:
            self._link.connect(str(path))
        except OSError:
            self._link.close()
            return False
        return True

    def _wait(self, done: Callable[[], bool], what: str, *, pause: float = 0.02) -> None:
        deadline = time.monotonic() + self._seconds
        while not done():
            if self._process.poll() is not None:
                raise RuntimeError(f"the daemon ended with exit code {self._process.returncode}{self._said()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"the daemon does not {what} within {self._seconds:g} s")
            time.sleep(pause)
