"""Mosquitto's clients as the users of mosquitto/acl.example."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.brokers import password_lines
from tests.support import require_program

ROOT = Path(__file__).resolve().parents[2]
#: Users and passwords; press1 is a device.
PEOPLE = {"fp-events": "daemon-pw", "operator": "operator-pw", "dashboard": "dashboard-pw", "press1": "press-pw"}


def access_lines(folder: Path) -> list[str]:
    """Configuration lines of a broker that enforces the example."""
    acl = folder / "acl"
    acl.write_text((ROOT / "mosquitto" / "acl.example").read_text())
    acl.chmod(0o600)
    return [*password_lines(folder, PEOPLE), f"acl_file {acl}"]


def _command(program: str, port: int, user: str, *arguments: str) -> list[str]:
    login = ["-u", user, "-P", PEOPLE[user]]
    return [require_program(program), "-h", "127.0.0.1", "-p", str(port), "-V", "5", *login, *arguments]


async def _said(command: list[str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(30):
        out, _ = await process.communicate()
    return out.decode(errors="replace")


async def may_publish(port: int, user: str, topic: str, payload: str = "1") -> bool:
    """Publish at QoS 1; whether the broker took it. 16 stands for: taken, nobody is subscribed."""
    said = await _said(_command("mosquitto_pub", port, user, "-q", "1", "-t", topic, "-m", payload, "-d"))
    return "RC:0)" in said or "received PUBACK (Mid: 1, RC:16)" in said


async def ask(port: int, user: str, topic: str, response: str, body: str) -> str:
    """A request and its reply; empty where none came within 3 s."""
    said = await _said(
        _command("mosquitto_rr", port, user, "-q", "1", "-t", topic, "-e", response, "-m", body, "-W", "3")
    )
    return said.strip() if said.startswith("{") else ""


class Ears:
    """What one user hears of one filter."""

    def __init__(self, port: int, user: str, *filters: str) -> None:
        wanted = [part for text in filters for part in ("-t", text)]
        self._command = _command("mosquitto_sub", port, user, "-q", "1", *wanted, "-d", "-F", "heard %t %p")
        #: Topics, then payloads.
        self.heard: list[str] = []
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> Ears:
        # A pipe buffers whole blocks unless told otherwise.
        self._process = await asyncio.create_subprocess_exec(
            require_program("stdbuf"), "-oL", *self._command,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, limit=1 << 26,
        )  # fmt: skip
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            while b"Subscribed" not in (line := await self._process.stdout.readline()):
                assert line, "mosquitto_sub has ended"
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._process.kill()
        await self._process.wait()
        await self._reader

    async def until(self, text: str) -> None:
        """Wait until a message with `text` in topic or payload was heard."""
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(lambda: any(text in each for each in self.heard))

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if line.startswith(b"heard "):
                async with self._changed:
                    self.heard.append(line.decode(errors="replace").removeprefix("heard ").strip())
                    self._changed.notify_all()
