"""Ray's side of the bridge."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ._bridge import DIED, DONE, ERROR, STOPPED, Cluster, Tell, knock, one_line
from ._remote_task import RemoteTask, Source

#: Bytes for values above 100 kB in a cluster of ours; Ray would take a third of the memory.
_STORE = 256 << 20
_FOLDER = "fp-ray-"


def task(source: Source, data: bytes) -> Iterator[bytes]:
    """What runs on a worker; the first item tells that it has begun."""
    loaded = RemoteTask(source, data)
    yield b""
    yield loaded.run()


async def connect(settings: Mapping[str, Any], source: Source, tell: Tell) -> Cluster:
    """Connect to the cluster at `settings["address"]`, or start one on this machine's loopback."""
    os.environ.update(
        RAY_USAGE_STATS_ENABLED="0",
        # Seconds: a cluster that is gone is to be known sooner than after a minute.
        RAY_gcs_rpc_server_reconnect_timeout_s="15",
    )
    address = settings["address"]
    folder = ""
    if not address:
        os.environ.update(
            # On Linux too: every address of the cluster is one of the loopback interface.
            RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0",
            # Everybody on this machine can reach the ports: who does not know it is refused.
            RAY_AUTH_MODE="token",
            RAY_AUTH_TOKEN=secrets.token_hex(32),
            PYTHONPATH=os.pathsep.join(filter(None, sys.path)),
        )
        folder = _new_folder()
    try:
        import ray

        if address:
            # Else Ray would try for half a minute, and then end this process.
            knock(address)
            ray.init(address=address, logging_level=logging.WARNING)
        else:
            ray.init(
                address="local",
                num_cpus=settings["num_cpus"],
                include_dashboard=False,
                object_store_memory=_STORE,
                logging_level=logging.WARNING,
                _temp_dir=folder,
            )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return _Ray(source, settings["options"], tell, folder)


def _new_folder() -> str:
    """A folder of Ray's logs and sockets, whose paths must be short; those of processes that were killed go."""
    for old in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        process = old.name.removeprefix(_FOLDER).partition("-")[0]
        if process.isdecimal() and not _is_alive(int(process)) and old.stat().st_uid == os.getuid():
            shutil.rmtree(old, ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-")


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class _Ray:
    def __init__(self, source: Source, options: Mapping[str, Any], tell: Tell, folder: str) -> None:
        import ray

        self._ray = ray
        self._source = source
        self._tell = tell
        self._folder = folder
        self._share = float(options.get("num_cpus", 1)) or 1.0
        self._options = {"name": "fp-events", **options, "max_retries": 0, "num_returns": "streaming"}
        self._task = ray.remote(task)
        #: Job -> what Ray gives its items, and who waits for them.
        self._jobs: dict[int, tuple[Any, asyncio.Task[None]]] = {}
        self._stopped: set[int] = set()

    def run(self, job: int, data: bytes) -> None:
        items = self._task.options(**self._options).remote(self._source, data)
        self._jobs[job] = (items, asyncio.ensure_future(self._follow(job, items)))

    def stop(self, job: int) -> None:
        if job in self._jobs:
            self._stopped.add(job)
            self._ray.cancel(self._jobs[job][0], force=True)

    async def _follow(self, job: int, items: Any) -> None:
        how, text = DONE, ""
        try:
            began = False
            async for item in items:
                data = await item
                self._tell(["outcomes", job, data] if began else ["began", job])
                began = True
        except self._ray.exceptions.TaskCancelledError as error:
            how, text = STOPPED, one_line(error)
        except self._ray.exceptions.RayTaskError as error:
            # What the function itself raised: this package, or a version of it, is missing there.
            how, text = ERROR, one_line(error.cause or error)
        except self._ray.exceptions.RayError as error:
            how, text = STOPPED if job in self._stopped else DIED, one_line(error)
        except Exception as error:  # noqa: BLE001 - such as what was raised there, and made anew here
            how, text = ERROR, one_line(error)
        self._jobs.pop(job, None)
        self._stopped.discard(job)
        self._tell(["ended", job, how, text])

    async def slots(self) -> int:
        resources = await asyncio.to_thread(self._ray.cluster_resources)
        return int(resources.get("CPU", 0) / self._share)

    async def close(self) -> None:
        for _, waiter in self._jobs.values():
            waiter.cancel()
        self._ray.shutdown()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
