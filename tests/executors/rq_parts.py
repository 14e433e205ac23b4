"""A real Redis and real workers for tests: `python -m tests.executors.rq_parts URL QUEUE` is a worker."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from fp_events.domain.ports import HandlerLoader
from fp_events.domain.run import PlanRef
from tests.support import free_port, require_program

from .handlers import load

PROJECT = "plant"


class RedisServer:
    """`redis-server` on a free port of this machine, with nothing on disk."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start, and wait until it answers; again on the same port after `kill`."""
        self._process = subprocess.Popen(
            [
                require_program("redis-server"),
                *("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
                *self._options,
            ],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as link:
                link.sendall(b"PING\r\n")
                # With a password it says -NOAUTH, while it reads its data -LOADING.
                if link.recv(64).startswith((b"+PONG", b"-NOAUTH")):
                    return
            time.sleep(0.01)
        raise RuntimeError("redis-server does not answer")

    def kill(self) -> None:
        """SIGKILL: all that it held is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Worker:
    """One worker process."""

    def __init__(self, url: str, queue: str = "q", *, log: Path | None = None, project: str = PROJECT) -> None:
        self.log = log
        with (log or Path(os.devnull)).open("ab") as sink:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.executors.rq_parts", url, queue, project],
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )

    def kill(self) -> None:
        """SIGKILL to the worker alone; the process of its job is left to itself."""
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait; the exit code."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)
        return self.process.wait(20)


async def workers_there(executor: object, count: int) -> None:
    """Wait until so many workers are registered."""
    async with asyncio.timeout(30):
        while True:
            executor._poke.set()  # type: ignore[attr-defined]  # a look now rather than in ten seconds
            if executor.status()["workers"] >= count:  # type: ignore[attr-defined]
                return
            await asyncio.sleep(0.05)


class _Plans:
    def refresh(self, refs: Sequence[PlanRef]) -> HandlerLoader:
        return load


if __name__ == "__main__":
    from fp_events.executors.rq_worker import serve

    url, queue, project = sys.argv[1:]
    sys.exit(serve(url, [queue], name="w", project=project, plans=_Plans))
