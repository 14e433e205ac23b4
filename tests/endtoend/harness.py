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
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fp_events.runtime.socket_door import ask
from tests.support import require_program

#: The checkout: where `tests` can be imported.
ROOT = Path(__file__).resolve().parents[2]
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

    def __init__(self, project: Path, environ: Mapping[str, str] | None = None, options: Sequence[str] = ()) -> None:
        """`options`: of `serve`."""
        self.project = project
        #: What it has written to its log, over all its lives.
        self.log: list[dict[str, Any]] = []
        #: Lines that are no log lines: the banner, errors.
        self.text: list[str] = []
        self._environ = dict(environ or {})
        self._options = options
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._silent = True
        self._changed = asyncio.Condition()

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """It was started, and its end has not been waited for."""
        return self._process is not None

    async def start(
        self, *, until: str = "connected", environ: Mapping[str, str] | None = None, under: Sequence[str] = ()
    ) -> None:
        """Start, and wait for a log line; empty: for none. `environ` is for this life, `under` a program around it."""
        seen = len(self.log)
        self._process = await asyncio.create_subprocess_exec(
            *under,
            sys.executable,
            "-m",
            "fp_events.cli",
            "--project",
            str(self.project),
            "serve",
            *self._options,
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            env={**os.environ, **self._environ, **(environ or {})},
            limit=1 << 26,
        )
        self._silent = False
        self._reader = asyncio.create_task(self._read(self._process))
        if until:
            await self.logged(until, after=seen)

    async def logged(self, event: str, *, after: int = 0, where: Callable[[dict[str, Any]], bool] | None = None) -> Any:
        """Wait for a log line of an event; the line."""
        async with asyncio.timeout(PATIENCE), self._changed:
            while True:
                for line in self.log[after:]:
                    if line.get("event") == event and (where is None or where(line)):
                        return line
                if self._silent:
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
        self.signal(number)
        return await self.ended()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            # Not its `send_signal`, which would reap a process that has just died behind the back of asyncio.
            os.kill(self._process.pid, number)

    async def ended(self) -> int:
        """Wait for the end; the exit code."""
        process, reader = self._process, self._reader
        assert process is not None
        assert reader is not None
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

    async def run_ended(self, run_id: str) -> dict[str, Any]:
        """Wait until a run is FINISHED; the whole of it."""
        async with asyncio.timeout(PATIENCE):
            while True:
                run = await self.ask("runs.show", run_id=run_id)
                if run["state"] == "finished":
                    return run
                await asyncio.sleep(0.02)

    async def runs(self, pipeline: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until a pipeline has `count` runs, all FINISHED; the whole of them, oldest first."""
        async with asyncio.timeout(PATIENCE):
            while True:
                rows = (await self.ask("runs.list", pipeline=pipeline))["runs"]
                if len(rows) >= count and all(row["state"] == "finished" for row in rows):
                    return [await self.ask("runs.show", run_id=row["run_id"]) for row in reversed(rows)]
                await asyncio.sleep(0.02)

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
            self._silent = True
            self._changed.notify_all()


@contextlib.asynccontextmanager
async def serving(
    project: Path, environ: Mapping[str, str] | None = None, options: Sequence[str] = ()
) -> AsyncIterator[Daemon]:
    """A running daemon, killed at the end if it still runs."""
    daemon = Daemon(project, environ, options)
    try:
        await daemon.start()
        yield daemon
    finally:
        if daemon.running:
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


async def publish(port: int, topic: str, lines: Iterable[str], *, protocol: str = "5", qos: int = 1) -> None:
    """One message per line, by paho; returns when the broker has all of them."""
    # A file: nothing has to feed it while it publishes.
    with tempfile.TemporaryFile() as source:
        source.write("".join(f"{line}\n" for line in lines).encode())
        source.seek(0)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.lines", "--port", str(port), "--topic", topic),
            *("--qos", str(qos), "--protocol", protocol),
            stdin=source,
            cwd=ROOT,
        )
    try:
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


@dataclass(frozen=True)
class Received:
    """A message as `mosquitto_sub` saw it."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    #: As mosquitto names them: `content-type`, `correlation-data`, `message-expiry-interval`, …
    properties: dict[str, Any]
    #: When it arrived here, seconds since 1970.
    at: float = 0.0

    @property
    def user(self) -> dict[str, str]:
        """User properties."""
        found = self.properties.get("user-properties", {})
        # An object, or since Mosquitto 2.1 a list of objects.
        return dict(found) if isinstance(found, dict) else {name: text for one in found for name, text in one.items()}

    @property
    def json(self) -> Any:
        """The payload, parsed."""
        return json.loads(self.payload)


class Listener:
    """`mosquitto_sub` without a session: what arrives while it runs, with all properties.

    After its block `messages` holds everything that the broker had at the block's end.
    """

    def __init__(self, port: int, *filters: str, protocol: str = "5") -> None:
        self._port = port
        self._filters = filters
        self._protocol = protocol
        self.messages: list[Received] = []
        self._changed = asyncio.Condition()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._probe = f"listener/{os.getpid()}/{id(self)}"
        self._probes = 0

    async def __aenter__(self) -> Listener:
        # mosquitto_sub does not say when it is subscribed: a retained message, asked for last, does.
        await send(self._port, self._probe, "0", protocol=self._protocol, retain=True)
        self._process = await asyncio.create_subprocess_exec(
            require_program("mosquitto_sub"),
            *("-p", str(self._port), "-q", "1", "-F", "%t\x1f%x\x1f%j"),
            *("-V", "mqttv5" if self._protocol == "5" else "mqttv311"),
            *(part for text in (*self._filters, self._probe) for part in ("-t", text)),
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 26,
        )
        self._reader = asyncio.create_task(self._read(self._process))
        await self._probed(1)
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        assert self._process is not None
        assert self._reader is not None
        if kind is None:
            # Whatever the broker had by now has arrived when this has.
            await send(self._port, self._probe, "1", protocol=self._protocol)
            await self._probed(2)
        self._process.kill()
        await self._process.wait()
        await self._reader

    async def _probed(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: self._probes >= count)

    def on(self, topic: str) -> list[Received]:
        """What has come on one topic."""
        return [message for message in self.messages if message.topic == topic]

    async def all_of(self, count: int) -> None:
        """Wait until so many messages have come, on whatever topic."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: len(self.messages) >= count)

    async def next(self, topic: str, count: int = 1) -> list[Received]:
        """Wait until `count` messages have come on a topic; all that have come on it."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: len(self.on(topic)) >= count)
        return self.on(topic)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for raw in process.stdout:
            topic, payload, rest = raw.decode(errors="replace").split("\x1f", 2)
            if topic.startswith("listener/"):
                async with self._changed:
                    self._probes += topic == self._probe
                    self._changed.notify_all()
                continue
            facts = json.loads(rest, strict=False)
            received = Received(
                topic=topic,
                payload=bytes.fromhex(payload),
                qos=facts["qos"],
                retain=bool(facts["retain"]),
                properties=facts.get("properties", {}),
                at=time.time(),
            )
            async with self._changed:
                self.messages.append(received)
                self._changed.notify_all()


async def send(
    port: int,
    topic: str,
    payload: bytes | str | object = b"",
    *,
    protocol: str = "5",
    qos: int = 1,
    retain: bool = False,
    properties: Sequence[tuple[str, ...]] = (),
) -> None:
    """One message by `mosquitto_pub`; what is neither bytes nor text goes as JSON. Returns when the broker has it.

    `properties`: as for its `-D publish`, such as ``("content-type", "text/plain")``.
    """
    text = payload if isinstance(payload, bytes | str) else json.dumps(payload)
    with tempfile.TemporaryFile() as source:
        source.write(text if isinstance(text, bytes) else text.encode())
        source.seek(0)
        process = await asyncio.create_subprocess_exec(
            require_program("mosquitto_pub"),
            *("-p", str(port), "-q", str(qos), "-t", topic, "-V", "mqttv5" if protocol == "5" else "mqttv311"),
            *(("-s",) if text else ("-n",)),
            *(("-r",) if retain else ()),
            *(part for given in properties for part in ("-D", "publish", *given)),
            stdin=source,
        )
    async with asyncio.timeout(PATIENCE):
        assert await process.wait() == 0


async def request(port: int, topic: str, body: bytes | str | object, *, response: str, correlation: str) -> Received:
    """A request by `mosquitto_rr`, MQTT 5, with response topic and correlation data; the reply."""
    process = await asyncio.create_subprocess_exec(
        require_program("mosquitto_rr"),
        *("-p", str(port), "-q", "1", "-V", "mqttv5", "-t", topic, "-e", response, "-W", "20"),
        *("-m", body if isinstance(body, bytes | str) else json.dumps(body)),
        *("-D", "publish", "correlation-data", correlation, "-F", "%x %j"),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        out, _ = await process.communicate()
    assert out, f"no reply to {topic}"
    payload, _, rest = out.decode().partition(" ")
    facts = json.loads(rest, strict=False)
    return Received(facts["topic"], bytes.fromhex(payload), facts["qos"], bool(facts["retain"]), facts["properties"])


@dataclass(frozen=True)
class Called:
    """What a call of the program gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output, parsed."""
        return json.loads(self.out)


async def cli(project: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> Called:
    """`fp-events` as a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fp_events.cli", "--project", str(project), *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(environ or {})},
    )
    try:
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert process.returncode is not None
    return Called(process.returncode, out.decode(), err.decode())


def unfinished(project: Path) -> int:
    """Runs in the ledger that are not finished, read beside or after the daemon."""
    with contextlib.closing(sqlite3.connect(project / ".fp-events" / "ledger.db")) as ledger:
        (count,) = ledger.execute("SELECT count(*) FROM runs WHERE state != 'finished'").fetchone()
    return int(count)
