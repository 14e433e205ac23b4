"""Foreign clients, as devices would use them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support import require_program

ROOT = Path(__file__).resolve().parents[2]


def subscribe_for_later(port: int, client: str, topic: str) -> None:
    """Make a persistent session with a QoS 1 subscription and leave."""
    _run("mosquitto_sub", port, "-i", client, "-c", "-q", "1", "-t", topic, "-E")


def publish(port: int, topic: str, payloads: list[str], *, retain: bool = False) -> None:
    """Publish each payload at QoS 1; returns when the broker has acknowledged all of them."""
    command = [sys.executable, "-m", "tests.lines", "--port", str(port), "--topic", topic, "--protocol", "3.1.1"]
    lines = "".join(f"{payload}\n" for payload in payloads)
    flags = ["--retain"] if retain else []
    subprocess.run([*command, *flags], input=lines, text=True, timeout=30, check=True, cwd=ROOT)


def take(port: int, client: str, topic: str, count: int) -> list[str]:
    """Come back to the session and take `count` messages."""
    said = _run("mosquitto_sub", port, "-i", client, "-c", "-q", "1", "-t", topic, "-C", str(count), "-W", "10")
    return said.splitlines()


def _run(program: str, port: int, *arguments: str) -> str:
    command = [require_program(program), "-h", "127.0.0.1", "-p", str(port), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
