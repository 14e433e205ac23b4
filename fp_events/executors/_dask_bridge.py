"""Dask's side of the bridge."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import uuid
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from time import monotonic
from typing import Any

from ._bridge import DIED, DONE, ERROR, STOPPED, Cluster, Tell, knock, one_line
from ._remote_task import RemoteTask, Source

#: Seconds that a scheduler may take to answer at the start.
_START = 5.0
#: Seconds without any worker after which a cluster of ours is given up for a new one.
_BARE = 60.0
#: Seconds that a worker waits at the most for the word that a job begins to be on its way.
_TOLD = 1.0


def task(source: Source, data: bytes, topic: str, job: int) -> bytes:
    """What runs on a worker."""
    from distributed import get_worker

    loaded = RemoteTask(source, data)
    worker: Any = get_worker()
    told = asyncio.run_coroutine_threadsafe(_tell_begin(worker, topic, job), worker.loop.asyncio_loop)
    with suppress(TimeoutError):
        told.result(_TOLD)
    return loaded.run()


async def _tell_begin(worker: Any, topic: str, job: int) -> None:
    """Tell it, and see it go out: what runs next may end this process at once."""
    worker.log_event(topic, [job, os.getpid()])
    while worker.batched_stream.buffer:  # noqa: ASYNC110 - it has no event to await
        await asyncio.sleep(0.0005)


async def connect(settings: Mapping[str, Any], source: Source, tell: Tell) -> Cluster:
    """Connect to the scheduler at `settings["address"]`, or start one with workers on this machine's loopback."""
    import dask

    # Its classes have no annotations.
    distributed: Any = import_module("distributed")
    address = settings["address"]
    if address:
        knock(address)
        client = await distributed.Client(
            address, asynchronous=True, timeout=_START, name="fp-events", set_as_default=False
        )
        return _Dask(client, None, source, settings["options"], tell)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    dask.config.set(
        {
            # A run that takes its worker down is not to take down the next one.
            "distributed.scheduler.allowed-failures": 0,
            # So long after a worker was lost the cluster looks whether it is there, and gives it up for good if it is
            # not: as when it has just been lost again.
            "distributed.deploy.lost-worker-timeout": "10000 days",
            # Nothing is shown at the address that a scheduler must have for it.
            "distributed.scheduler.http.routes": [],
            "distributed.worker.http.routes": [],
        }
    )
    cluster = await distributed.LocalCluster(
        n_workers=settings["workers"],
        threads_per_worker=1,
        host="127.0.0.1",
        protocol="tls",
        # Everybody on this machine can reach the port: who has no key is refused.
        security=distributed.Security.temporary(),
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        asynchronous=True,
    )
    client = await distributed.Client(cluster, asynchronous=True, set_as_default=False)
    return _Dask(client, cluster, source, settings["options"], tell)


class _Dask:
    def __init__(self, client: Any, cluster: Any, source: Source, options: Mapping[str, Any], tell: Tell) -> None:
        self._client = client
        #: None: it was there before us, and others use it.
        self._cluster = cluster
        self._source = source
        self._options = options
        self._tell = tell
        self._topic = f"fp-events-{uuid.uuid4().hex}"
        #: Job -> its future, and who waits for it.
        self._jobs: dict[int, tuple[Any, asyncio.Task[None]]] = {}
        #: Job -> process that runs it.
        self._began: dict[int, int] = {}
        self._stopped: set[int] = set()
        #: The last cancellation on its way.
        self._cancelling: asyncio.Future[Any] | None = None
        #: Monotonic time of the last look that found workers.
        self._bare_since = monotonic()
        #: The connection was lost.
        self._lost = False
        #: Processes of workers of ours that were killed for the sake of a job.
        self._killed: set[int] = set()
        client.subscribe_topic(self._topic, self._event)

    def run(self, job: int, data: bytes) -> None:
        if self._client.status != "running":
            self._lost = True
            return
        future = self._client.submit(
            task, self._source, data, self._topic, job, **self._options, key=f"{self._topic}-{job}", pure=False
        )
        self._jobs[job] = (future, asyncio.ensure_future(self._follow(job, future)))

    def stop(self, job: int) -> None:
        if job not in self._jobs:
            return
        process = self._began.get(job)
        if process is not None and self._cluster is None:
            self._tell(["runs_on", job])
            return
        self._stopped.add(job)
        if process is None:
            future = self._jobs[job][0]
            self._cancelling = asyncio.ensure_future(self._client.cancel([future], force=True))
        else:
            self._kill(process)

    def _kill(self, process: int) -> None:
        """End a worker of ours. It has one thread: nothing but its job ends, and its keeper starts another."""
        if self._cluster is not None:
            self._killed.add(process)
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def _event(self, event: tuple[float, Any]) -> None:
        job, process = event[1]
        if job not in self._jobs:
            # Its word comes before its end: it was cancelled in the moment in which it began.
            self._kill(process)
            return
        self._began[job] = process
        self._tell(["began", job])
        if job in self._stopped and self._cluster is not None:
            self.stop(job)

    async def _follow(self, job: int, future: Any) -> None:
        from distributed import CancelledError, KilledWorker

        how, text = DONE, ""
        try:
            self._tell(["outcomes", job, await future])
        except KilledWorker as error:
            how, text = DIED, one_line(error)
        except (asyncio.CancelledError, CancelledError) as error:
            if self._client.status != "running":
                # It may connect again by itself, and then knows nothing of what was there.
                self._lost = True
                return
            how, text = STOPPED, one_line(error)
        except Exception as error:  # noqa: BLE001 - what the function raised: this package is missing there
            how, text = ERROR, one_line(error)
        if how == DIED and (job in self._stopped or self._began.get(job) in self._killed):
            how = STOPPED
        del self._jobs[job]
        self._began.pop(job, None)
        self._stopped.discard(job)
        self._tell(["ended", job, how, text])

    async def slots(self) -> int:
        if self._lost or self._client.status != "running":
            raise ConnectionError("the connection to the scheduler is lost")
        slots: int = sum((await self._client.nthreads()).values())
        if slots or self._cluster is None:
            self._bare_since = monotonic()
        elif monotonic() > self._bare_since + _BARE:
            raise ConnectionError(f"no worker has come back for {_BARE:g} s")
        return slots

    async def close(self) -> None:
        for _, waiter in self._jobs.values():
            waiter.cancel()
        await self._client.close(timeout=1.0)
        if self._cluster is not None:
            await self._cluster.close()
