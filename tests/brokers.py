"""A real Mosquitto of one's own, on a free loopback port, for as long as a block lasts.

async with mosquitto() as broker:
    ...            # broker.host, broker.port
    await broker.kill()
    await broker.start()
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from tests.support import free_port, require_program

#: What every broker of ours is set to; a line given to `mosquitto` comes after these.
DURABLE = (
    "persistence true",
    "autosave_interval 1",
    "max_queued_messages 0",
    "max_inflight_messages 0",
    # What MQTT and paho allow; the default of Mosquitto 2.1 is 2 MB.
    "max_packet_size 268435455",
    "set_tcp_nodelay true",
    "log_dest stderr",
)
#: Seconds that a broker may take to start or to stop.
PATIENCE = 10


class Mosquitto:
    """A Mosquitto process that can be stopped, killed and started again on the same port."""

    host = "127.0.0.1"

    def __init__(self, folder: Path, lines: Sequence[str], *, listener: str | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        #: Everything it has logged, over all its lives.
        self.log: list[str] = []
        self._lines = lines
        self._listener = listener
        self._logged = asyncio.Condition()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the process and wait until it accepts connections."""
        program = require_program("mosquitto")
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join(self._config()) + "\n")
        seen = len(self.log)
        self._process = await asyncio.create_subprocess_exec(
            program, "-c", str(config), stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL
        )
        self._reader = asyncio.create_task(self._read_log(self._process), name="mosquitto-log")
        await self.logged(" running", after=seen)
        await self._listens()

    async def stop(self) -> None:
        """SIGTERM: it says goodbye to clients and saves its database."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """SIGKILL."""
        await self._end(signal.SIGKILL)

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    async def logged(self, text: str, *, after: int = 0) -> str:
        """Wait for a log line with `text` in it, `after` so many lines; the line."""
        async with asyncio.timeout(PATIENCE), self._logged:
            while True:
                for line in self.log[after:]:
                    if text in line:
                        return line
                if self._reader is None or self._reader.done():
                    raise RuntimeError(f"mosquitto ended without logging {text!r}: {self.log[after:]}")
                await self._logged.wait()

    def _config(self) -> list[str]:
        listener = self._listener or f"listener {self.port} {self.host}"
        own = {line.split()[0] for line in self._lines}
        lines = [line for line in DURABLE if line.split()[0] not in own]
        lines += [f"persistence_location {self.folder}/", f"user {getpass.getuser()}"]
        if not own & {"per_listener_settings", "allow_anonymous", "password_file"}:
            lines.append("allow_anonymous true")
        return [*lines, listener.format(port=self.port), *self._lines]

    async def _listens(self) -> None:
        """Mosquitto 2.1 says that it runs a moment before it listens."""
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(ConnectionRefusedError):
                    _, writer = await asyncio.open_connection(self.host, self.port)
                    writer.close()
                    return
                await asyncio.sleep(0.01)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def _end(self, number: signal.Signals) -> None:
        process, reader = self._process, self._reader
        if process is None or reader is None:
            return
        self._process = self._reader = None
        async with asyncio.timeout(PATIENCE):
            while process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    # Not `process.send_signal`: it reaps the child behind the back of asyncio, which then warns.
                    os.kill(process.pid, number)
                    os.kill(process.pid, signal.SIGCONT)
                # A SIGTERM in the moment between its "running" and its main loop is forgotten: send another.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), 0.5)
            await reader

    async def _read_log(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            async with self._logged:
                self.log.append(line.decode(errors="replace").rstrip())
                self._logged.notify_all()
        async with self._logged:
            # Whoever waits for a line that can no longer come is told so by `logged`.
            self._reader = None
            self._logged.notify_all()


@contextlib.asynccontextmanager
async def mosquitto(lines: Sequence[str] = (), *, listener: str | None = None) -> AsyncIterator[Mosquitto]:
    """A running broker with `lines` added to its configuration; they follow the listener's line.

    `listener` replaces that line and what is particular to it; ``{port}`` in it is the broker's port.
    """
    with tempfile.TemporaryDirectory(prefix="mosquitto-") as folder:
        broker = Mosquitto(Path(folder), lines, listener=listener)
        try:
            await broker.start()
        except RuntimeError:
            # Somebody else took the port between looking and listening.
            broker.port = free_port()
            await broker.start()
        try:
            yield broker
        finally:
            await broker.kill()


def password_lines(folder: Path, users: dict[str, str]) -> list[str]:
    """Configuration lines that ask clients for a password; the file is written to `folder`."""
    import subprocess

    path = folder / "passwords"
    path.write_text("".join(f"{name}:{password}\n" for name, password in users.items()))
    path.chmod(0o600)
    subprocess.run([require_program("mosquitto_passwd"), "-U", str(path)], check=True)
    return ["allow_anonymous false", f"password_file {path}"]


def acl_lines(folder: Path, rules: Sequence[str]) -> list[str]:
    """Configuration lines that allow only what `rules` say, such as ``topic readwrite plant/#``."""
    path = folder / "acl"
    path.write_text("\n".join(rules) + "\n")
    path.chmod(0o600)
    return [f"acl_file {path}"]
