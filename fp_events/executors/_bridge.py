"""The process between a daemon and its cluster: the library's threads, pickles and fatal errors stay in here.

It speaks to the daemon over a socketpair in frames of MessagePack, and ends with it. Towards it:

    ["run", job, data]      a job, as `RemoteTask` takes it
    ["stop", job]           have it end

From it:

    ["ready", slots]        the cluster is there; jobs that it runs at a time
    ["failed", text]        it is not; nothing else follows
    ["slots", slots]        another number of them
    ["began", job]          its plans are loaded, its first attempt begins
    ["outcomes", job, data] results, as `RemoteTask` returns them
    ["runs_on", job]        it cannot be stopped
    ["ended", job, how, text]  one of `DONE`, `DIED`, `STOPPED`, `ERROR`; the last of a job
    ["lost", text]          the cluster is gone; nothing else follows
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any, Protocol

import msgpack

from ._remote_task import Source
from ._wire import LENGTH

#: How a job ended: it returned; its worker died; it was stopped, or went down with what was; the library raised.
DONE, DIED, STOPPED, ERROR = "done", "died", "stopped", "error"
#: Seconds between two looks at the cluster, and that it may take to answer.
_LOOK = 1.0
_ANSWER = 10.0
#: Seconds that a host may take to answer at the start.
_KNOCK = 5.0
#: Seconds that the cluster has to end after the daemon is gone.
_FAREWELL = 10.0
#: Kind -> module here with a `connect`.
_ROOMS = {"ray": "._ray_bridge", "dask": "._dask_bridge"}

Tell = Callable[[list[Any]], None]


class Cluster(Protocol):
    """A connected cluster. Every method belongs to the loop's thread."""

    def run(self, job: int, data: bytes) -> None:
        """Start a job; `began`, `outcomes` and `ended` follow."""

    def stop(self, job: int) -> None:
        """Have a job end, or tell that it runs on."""

    async def slots(self) -> int:
        """Jobs that the cluster can run at a time now; raises where it is gone."""

    async def close(self) -> None:
        """End what was started, leave what was there."""


class Connect(Protocol):
    """Connects to a cluster, or starts one; raises whatever its library does."""

    async def __call__(self, settings: Mapping[str, Any], source: Source, tell: Tell) -> Cluster:
        """A cluster that tells of its jobs."""


def main(fd: int, kind: str) -> None:
    """Serve the daemon that started this process, over the socket `fd`, until it closes it."""
    # What plans and libraries print belongs with the daemon's log.
    os.dup2(2, 1)
    # Else what the cluster starts would hold the daemon's end of the line.
    os.set_inheritable(fd, False)
    threading.Thread(target=_outlive, args=(os.getppid(),), daemon=True).start()
    connect: Connect = import_module(_ROOMS[kind], __package__).connect
    asyncio.run(_serve(socket.socket(fileno=fd), connect))


def _outlive(daemon: int) -> None:
    """End this process for sure when the daemon has died and the cluster does not let go."""
    while os.getppid() == daemon:
        time.sleep(_LOOK)
    time.sleep(_FAREWELL)
    os._exit(1)


async def _serve(sock: socket.socket, connect: Connect) -> None:
    reader, writer = await asyncio.open_connection(sock=sock)

    def tell(message: list[Any]) -> None:
        body = msgpack.packb(message)
        writer.write(LENGTH.pack(len(body)) + body)

    bridge = _Bridge(reader, tell)
    try:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await bridge.serve(connect)
            await writer.drain()
    except Exception:  # noqa: BLE001 - a defect, or one of the library's: the daemon connects again
        traceback.print_exc()
    # At once: the threads of a library, and what it does at the end of a process, may wait for what is gone.
    sys.stderr.flush()
    os._exit(0)


class _Bridge:
    def __init__(self, reader: asyncio.StreamReader, tell: Tell) -> None:
        self._reader = reader
        self._tell = tell

    async def serve(self, connect: Connect) -> None:
        settings, *source = await self._receive()
        try:
            cluster = await connect(settings, tuple(source), self._tell)
        except Exception as error:  # noqa: BLE001 - whatever the library raises is the answer
            self._tell(["failed", one_line(error)])
            return
        try:
            await self._work(cluster)
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(_FAREWELL):
                    await cluster.close()

    async def _work(self, cluster: Cluster) -> None:
        requests = asyncio.ensure_future(self._requests(cluster))
        watch = asyncio.ensure_future(self._watch(cluster))
        done, pending = await asyncio.wait({requests, watch}, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.wait(pending)
        for task in done:
            task.result()

    async def _requests(self, cluster: Cluster) -> None:
        while True:
            what, job, *data = await self._receive()
            if what == "run":
                cluster.run(job, *data)
            else:
                cluster.stop(job)

    async def _watch(self, cluster: Cluster) -> None:
        told: int | None = None
        while True:
            try:
                async with asyncio.timeout(_ANSWER):
                    slots = await cluster.slots()
            except Exception as error:  # noqa: BLE001 - whatever the library raises: it is gone
                self._tell(["lost", one_line(error)])
                return
            if told is None:
                self._tell(["ready", slots])
            elif slots != told:
                self._tell(["slots", slots])
            told = slots
            await asyncio.sleep(_LOOK)

    async def _receive(self) -> Any:
        (size,) = LENGTH.unpack(await self._reader.readexactly(LENGTH.size))
        return msgpack.unpackb(await self._reader.readexactly(size))


def knock(address: str) -> None:
    """Raise OSError where nobody listens at a host and port; for other addresses do nothing."""
    host, colon, port = address.rpartition("/")[2].rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK).close()


def one_line(error: BaseException) -> str:
    """What an exception says, in one line, at most 500 characters of it."""
    text = " ".join(str(error).split()).removesuffix(".")
    kind = type(error).__name__
    return (f"{kind}: {text}" if text else kind)[:500]
