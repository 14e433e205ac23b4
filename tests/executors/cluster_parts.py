"""Real clusters for tests: `python -m tests.executors.cluster_parts PORT THREADS` is a Dask scheduler with one worker."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from fp_events.domain.ports import Executor
from fp_events.executors.dask import DaskExecutor
from fp_events.executors.ray import RayExecutor

BOOTSTRAP = "tests.executors.handlers:bootstrap"

MAKERS: dict[str, Callable[[], Executor]] = {
    "dask": lambda: DaskExecutor(BOOTSTRAP, b"", max_workers=2),
    "ray": lambda: RayExecutor(BOOTSTRAP, b"", num_cpus=2),
}
PACKAGES = {"dask": "distributed", "ray": "ray"}


def require_extra(kind: str) -> None:
    """Without its library the test is skipped, or fails where CI=true."""
    if find_spec(PACKAGES[kind]) is None:
        message = f"{PACKAGES[kind]} is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)


def is_alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    return _stat(pid)[:1] not in ([], ["Z"])


def family(pid: int) -> list[int]:
    """A process and all that it started, and those."""
    parents = {int(path.name): _stat(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdecimal()}
    found = [pid]
    for member in found:
        found += [child for child, stat in parents.items() if stat[1:2] == [str(member)]]
    return found


def _stat(pid: int) -> list[str]:
    """State, parent and so on; empty where the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


class DaskCluster:
    """A scheduler with one worker of so many threads, which others use too."""

    def __init__(self, port: int, threads: int = 2) -> None:
        self.address = f"tcp://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.executors.cluster_parts", str(port), str(threads)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def kill(self) -> None:
        """SIGKILL: all that it held is lost."""
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


async def _serve(port: int, threads: int) -> None:
    import dask
    from distributed import Scheduler, Worker

    dask.config.set({"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []})
    quiet: dict[str, Any] = {"dashboard_address": "127.0.0.1:0", "dashboard": False}
    async with (
        Scheduler(host="127.0.0.1", port=port, **quiet) as scheduler,
        Worker(scheduler.address, nthreads=threads, **quiet),
    ):
        print("ready", flush=True)
        await scheduler.finished()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
