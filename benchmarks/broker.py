"""A Mosquitto for measurements, which also says who has subscribed to what."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .processes import running

#: Without set_tcp_nodelay, paced tests measure Nagle's algorithm.
CONFIG = """\
listener {port} 127.0.0.1
allow_anonymous true
set_tcp_nodelay true
max_queued_messages 0
max_inflight_messages 1000
persistence false
log_dest stderr
log_type subscribe
"""


class Broker:
    """A running Mosquitto."""

    def __init__(self, port: int, log: IO[str]) -> None:
        self.port = port
        self._subscriptions: list[str] = []
        self._news = threading.Condition()
        threading.Thread(target=self._listen, args=(log,), daemon=True).start()

    def wait_subscribed(self, topic_filter: str, process: subprocess.Popen[str], *, seconds: float = 60.0) -> None:
        """Wait until somebody has subscribed to a filter that begins so. Raises RuntimeError if nobody will."""
        deadline = time.monotonic() + seconds
        with self._news:
            while not any(topic.startswith(topic_filter) for topic in self._subscriptions):
                if process.poll() is not None:
                    raise RuntimeError(f"it ended with exit code {process.returncode} before it subscribed")
                if time.monotonic() > deadline:
                    raise RuntimeError(f"it did not subscribe to {topic_filter} within {seconds:g} s")
                self._news.wait(0.2)

    def _listen(self, log: IO[str]) -> None:
        # Lines such as "1700000000: client 1 in/+".
        try:
            for line in log:
                with self._news:
                    self._subscriptions.append(line.split()[-1])
                    self._news.notify_all()
        except ValueError:
            return  # closed


def program(name: str) -> str:
    """Path of a program; /usr/sbin may not be on PATH."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")
    if path is None:
        raise SystemExit(f"{name} is not installed; `make bench` installs it")
    return path


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def broker(folder: Path) -> Iterator[Broker]:
    """A Mosquitto on a free port of loopback; its configuration lies in `folder`."""
    port = free_port()
    config = folder / "mosquitto.conf"
    config.write_text(CONFIG.format(port=port))
    with running([program("mosquitto"), "-c", config], stderr=subprocess.PIPE) as process:
        _wait_open(port)
        assert process.stderr is not None
        yield Broker(port, process.stderr)


def _wait_open(port: int) -> None:
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit("Mosquitto does not answer within 10 s")
