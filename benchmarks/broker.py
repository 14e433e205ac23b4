"""A Mosquitto for measurements, a publisher and a sink; all of them foreign processes."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

CONFIG = """\
listener {port} 127.0.0.1
allow_anonymous true
set_tcp_nodelay true
max_queued_messages 0
max_inflight_messages 1000
"""


def program(name: str) -> str:
    """Path of a program; /usr/sbin may not be on PATH."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")
    if path is None:
        raise SystemExit(f"{name} is not installed: apt install mosquitto mosquitto-clients")
    return path


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def broker() -> Iterator[int]:
    """A running Mosquitto; its port."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "mosquitto.conf")
        config.write_text(CONFIG.format(port=port))
        process = subprocess.Popen([program("mosquitto"), "-c", str(config)], stderr=subprocess.DEVNULL)
        try:
            _wait_open(port)
            yield port
        finally:
            process.terminate()
            process.wait()


def _wait_open(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit("Mosquitto does not answer")


def publish(port: int, topic: str, payloads: Sequence[str]) -> None:
    """Publish all at QoS 1, as fast as the broker takes them."""
    with tempfile.TemporaryFile() as source:
        source.write("".join(f"{payload}\n" for payload in payloads).encode())
        source.seek(0)
        command = [program("mosquitto_pub"), "-p", str(port), "-q", "1", "-t", topic, "-l"]
        subprocess.run(command, stdin=source, check=True)


class Sink:
    """`mosquitto_sub` on the results, counting lines."""

    def __init__(self, port: int, topic: str) -> None:
        command = [program("mosquitto_sub"), "-p", str(port), "-q", "1", "-t", topic, "-i", "sink", "-c"]
        # The session is there before anything is published.
        subprocess.run([*command, "-E"], check=True)
        self._process = subprocess.Popen([*command, "-F", "%p"], stdout=subprocess.PIPE)

    def take(self, count: int) -> list[tuple[float, bytes]]:
        """(monotonic time, payload) of the next `count` results."""
        assert self._process.stdout is not None
        found = []
        for _ in range(count):
            payload = self._process.stdout.readline()
            found.append((time.monotonic(), payload))
        return found

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
