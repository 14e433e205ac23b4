"""A daemon, its project and foreign MQTT clients as processes, for tests from a topic to a result."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from fp_events.runtime.socket_door import ask
from tests.support import require_program

#: Seconds that one step of a test may take at the most.
PATIENCE = 45


def write_project(folder: Path, files: Mapping[str, str]) -> Path:
    """A project of the given files."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


class Daemon:
    """`fp-events serve` as a process."""

    def __init__(self, project: Path, environ: Mapping[str, str] | None = None) -> None:
        self.project = project
        #: What it has written to its log, over all its lives.
        self.log: list[dict[str, Any]] = []
        #: Lines that are no log lines: the banner, errors.
        self.text: list[str] = []
        self._environ = dict(environ or {})
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        assert self._process is not None
        return self._process.pid

    async def start(self, *, until: str = "connected") -> None:
        """Start, and wait for a log line."""
        seen = len(self.log)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "fp_events.cli",
            "--project",
            str(self.project),
            "serve",
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **self._environ},
        )
        self._reader = asyncio.create_task(self._read(self._process))
        await self.logged(until, after=seen)

    async def logged(self, event: str, *, after: int = 0, where: Callable[[dict[str, Any]], bool] | None = None) -> Any:
        """Wait for a log line of an event; the line."""
        async with asyncio.timeout(PATIENCE), self._changed:
            while True:
                for line in self.log[after:]:
                    if line.get("event") == event and (where is None or where(line)):
                        return line
                if self._reader is None or self._reader.done():
                    raise RuntimeError(f"serve ended without {event!r}: {self.log[after:]} {self.text}")
                await self._changed.wait()

    async def kill(self) -> None:
        """SIGKILL."""
        await self.end(signal.SIGKILL)

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        return await self.end(signal.SIGTERM)

    async def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; the exit code."""
        process, reader = self._process, self._reader
        assert process is not None
        assert reader is not None
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            code = await process.wait()
            await reader
        self._process = None
        return code

    async def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Ask the daemon through its socket."""
        return await ask(self.project / ".fp-events", command, arguments)

    async def until(self, true: Callable[[dict[str, Any]], bool], *, every: float = 0.01) -> dict[str, Any]:
        """Ask for `status` until it is as wanted; the status."""
        async with asyncio.timeout(PATIENCE):
            while True:
                status = await self.ask("status")
                if true(status):
                    return status
                await asyncio.sleep(every)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        async for raw in process.stderr:
            line = raw.decode(errors="replace").rstrip()
            async with self._changed:
                try:
                    self.log.append(json.loads(line))
                except ValueError:
                    self.text.append(line)
                self._changed.notify_all()
        async with self._changed:
            self._reader = None
            self._changed.notify_all()


@contextlib.asynccontextmanager
async def serving(project: Path, environ: Mapping[str, str] | None = None) -> AsyncIterator[Daemon]:
    """A running daemon, killed at the end if it still runs."""
    daemon = Daemon(project, environ)
    await daemon.start()
    try:
        yield daemon
    finally:
        if daemon._process is not None:
            await daemon.kill()


class Sink:
    """`mosquitto_sub` with a session of its own: what arrives, in order, over restarts of the broker."""

    def __init__(self, port: int, *filters: str, protocol: str = "5") -> None:
        self._port = port
        self._filters = filters
        self._protocol = protocol
        #: (topic, payload, user properties).
        self.messages: list[tuple[str, bytes, dict[str, str]]] = []
        self._changed = asyncio.Condition()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Sink:
        properties = "%P" if self._protocol == "5" else ""
        command = [
            require_program("mosquitto_sub"),
            *("-p", str(self._port), "-q", "1", "-i", f"sink-{os.getpid()}-{id(self)}", "-c"),
            *("-V", "mqttv5" if self._protocol == "5" else "mqttv311"),
            *(("-x", "3600") if self._protocol == "5" else ()),
            *(part for text in self._filters for part in ("-t", text)),
        ]
        # Ends once it is subscribed; the session stays.
        first = await asyncio.create_subprocess_exec(*command, "-E")
        async with asyncio.timeout(PATIENCE):
            assert await first.wait() == 0
        self._process = await asyncio.create_subprocess_exec(
            *command, "-F", f"%t\x1f%x\x1f{properties}", stdout=asyncio.subprocess.PIPE, limit=1 << 26
        )
        self._reader = asyncio.create_task(self._read(self._process))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._reader is not None
        self._process.kill()
        await self._process.wait()
        await self._reader

    async def until(self, true: Callable[[list[tuple[str, bytes, dict[str, str]]]], bool], patience: float) -> None:
        """Wait until what has arrived is as wanted; looked at whenever something arrives."""
        async with asyncio.timeout(patience), self._changed:
            await self._changed.wait_for(lambda: true(self.messages))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for raw in process.stdout:
            topic, payload, properties = raw.rstrip(b"\n").split(b"\x1f")
            pairs = dict(part.split(":", 1) for part in properties.decode().split(" ") if ":" in part)
            async with self._changed:
                self.messages.append((topic.decode(), bytes.fromhex(payload.decode()), pairs))
                self._changed.notify_all()


async def publish(port: int, topic: str, lines: Iterable[str], *, protocol: str = "5") -> None:
    """One message per line, at QoS 1, by `mosquitto_pub`; returns when the broker has all of them."""
    version = "mqttv5" if protocol == "5" else "mqttv311"
    # A file: mosquitto_pub hangs on the socket that asyncio gives a child for standard input.
    with tempfile.TemporaryFile() as source:
        source.write("".join(f"{line}\n" for line in lines).encode())
        source.seek(0)
        process = await asyncio.create_subprocess_exec(
            require_program("mosquitto_pub"),
            *("-p", str(port), "-q", "1", "-t", topic, "-V", version, "-l"),
            stdin=source,
        )
    try:
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


def unfinished(project: Path) -> int:
    """Runs in the ledger that are not finished, read beside or after the daemon."""
    with contextlib.closing(sqlite3.connect(project / ".fp-events" / "ledger.db")) as ledger:
        (count,) = ledger.execute("SELECT count(*) FROM runs WHERE state != 'finished'").fetchone()
    return int(count)
