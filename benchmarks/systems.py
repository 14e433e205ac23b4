"""What is measured: each a process that turns readings on `in/#` into results on `out/#`, at QoS 1 both ways."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path

#: Five nodes, the work of every system.
MODULE = """\
def celsius(reading: float) -> float:
    return (reading - 32.0) / 1.8


def scaled(celsius: float, factor: float) -> float:
    return celsius * factor


def offset(scaled: float) -> float:
    return scaled + 0.5


def level(offset: float) -> str:
    return "high" if offset > 40.0 else "normal"


def result(i: int, offset: float, level: str) -> dict:
    return {"i": i, "value": offset, "level": level}
"""

PEER = """\
import asyncio, json, sys
import aiomqtt
from hamilton import async_driver
import plan

async def main(port):
    driver = await async_driver.Builder().with_modules(plan).build()
    async with aiomqtt.Client("127.0.0.1", port, identifier="peer") as client:
        await client.subscribe("in/#", qos=1)
        print("ready", flush=True)
        async for message in client.messages:
            data = json.loads(message.payload)
            values = await driver.execute(["result"], inputs={**data, "factor": 1.5})
            await client.publish("out/peer", json.dumps(values["result"]), qos=1)

asyncio.run(main(int(sys.argv[1])))
"""

PROJECT = """\
name: bench
mqtt: {{url: "mqtt://127.0.0.1:{port}"}}
ledger: {{url: "{ledger}"}}
log: {{level: WARNING}}
"""

PIPELINE = """\
triggers:
  - {{topic: "in/{{line}}", map: {{i: payload.i, reading: payload.reading}}, concurrency: 256}}
outputs:
  - {{node: result, topic: "out/{{line}}"}}
params: {{factor: 1.5}}
run: {{executor: {executor}}}
"""


class System(ABC):
    """A process under measurement."""

    #: How it is called in the table.
    name: str
    #: Whether what it has acknowledged survives `kill -9`.
    keeps: bool

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.process: subprocess.Popen[str] | None = None

    @abstractmethod
    def start(self, port: int) -> None:
        """Start, and return when it is subscribed."""

    def cpu(self) -> float:
        """Seconds of CPU of the process, user and system."""
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """End the process."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self._folder.cleanup()

    def write(self, files: dict[str, str]) -> Path:
        """The system's files, in a folder of its own."""
        for name, text in files.items():
            path = Path(self._folder.name, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Path(self._folder.name)


class Ours(System):
    """`fp-events serve` with default settings, or with another executor or ledger."""

    def __init__(self, executor: str, *, ledger: str = "sqlite:///.fp-events/ledger.db") -> None:
        super().__init__()
        self.keeps = ledger != "memory:"
        self.name = f"fp-events, {executor}{'' if self.keeps else ', ledger in memory'}"
        self._executor = executor
        self._ledger = ledger

    def start(self, port: int) -> None:
        """Start `serve`."""
        folder = self.write(
            {
                "conf/project.yml": PROJECT.format(port=port, ledger=self._ledger),
                "conf/pipelines/bench.yml": PIPELINE.format(executor=self._executor),
                "pipelines/bench.py": MODULE,
            }
        )
        command = [sys.executable, "-m", "fp_events.cli", "--project", str(folder), "serve"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
        status = [sys.executable, "-m", "fp_events.cli", "--project", str(folder), "status", "--format", "json"]
        for _ in range(100):
            answer = subprocess.run(status, capture_output=True, text=True, check=False).stdout
            if '"connected": true' in answer or '"connected":true' in answer:
                return
            time.sleep(0.05)
        raise SystemExit("serve does not connect")


class Peer(System):
    """aiomqtt and Hamilton's AsyncDriver, as a user would write it: thirty lines, nothing kept."""

    name = "aiomqtt + AsyncDriver"
    keeps = False

    def start(self, port: int) -> None:
        """Start the script."""
        folder = self.write({"plan.py": MODULE, "peer.py": PEER})
        self.process = subprocess.Popen(
            [sys.executable, str(folder / "peer.py"), str(port)],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "HAMILTON_TELEMETRY_ENABLED": "false"},
        )
        assert self.process.stdout is not None
        while "ready" not in self.process.stdout.readline():
            if self.process.poll() is not None:
                raise SystemExit("the peer ended")
