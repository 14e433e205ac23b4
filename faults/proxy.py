"""A TCP proxy between daemon and broker that cuts, delays, half-opens and swallows acknowledgements.

It runs on a thread with a loop of its own, so that nothing that the campaign does delays its packets.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .frames import PUBACK, PUBLISH, Frame, Splitter

#: Bytes read at a time.
CHUNK = 1 << 16


@dataclass(slots=True, eq=False)
class Connection:
    """What passed on one connection of the daemon."""

    number: int
    #: Packet id -> payload of what was delivered and is not yet acknowledged.
    open: dict[int, bytes] = field(default_factory=dict)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Proxy:
    """Attributes may be set from any thread, at any time."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        #: Where it listens.
        self.port = 0
        #: Nothing passes, and no connection closes: the half-open state.
        self.frozen = False
        #: Seconds that each chunk waits, in both directions.
        self.delay = 0.0
        #: The daemon's acknowledgements disappear, all else passes.
        self.swallow_acks = False
        #: No new connection is let through.
        self.closed = False
        #: Connections accepted.
        self.connections = 0
        #: Payloads that the daemon acknowledged, with the monotonic time, whether or not the broker was told.
        self.acknowledged: list[tuple[float, bytes]] = []
        #: Payloads that were delivered to the daemon.
        self.delivered: list[bytes] = []
        #: Acknowledgements for a packet id that was not delivered on the connection on which they came.
        self.stale = 0
        self._loop = asyncio.new_event_loop()
        self._open: set[Connection] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def start(self) -> None:
        """Listen on a free port."""
        self._thread.start()
        self._ready.wait()

    def cut(self) -> None:
        """Reset every connection."""
        self._loop.call_soon_threadsafe(self._cut)

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))

    def _cut(self) -> None:
        for connection in self._open:
            for task in connection.tasks:
                task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = Connection(self.connections)
        try:
            if self.closed:
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            return
        finally:
            if self.closed:
                writer.transport.abort()
        connection.tasks = [
            asyncio.create_task(self._pass(connection, reader, far_writer, up=True)),
            asyncio.create_task(self._pass(connection, far_reader, writer, up=False)),
        ]
        self._open.add(connection)
        try:
            # Ends by cancellation when the proxy is closed; the server would take that for a mistake.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait(connection.tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._open.discard(connection)
            for task in connection.tasks:
                task.cancel()
            await asyncio.gather(*connection.tasks, return_exceptions=True)
            writer.transport.abort()
            far_writer.transport.abort()

    async def _pass(
        self, connection: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool
    ) -> None:
        splitter = Splitter()
        while data := await reader.read(CHUNK):
            while self.frozen:
                await asyncio.sleep(0.01)
            if self.delay:
                await asyncio.sleep(self.delay)
            look = self._upward if up else self._downward
            writer.write(b"".join(frame.data for frame in splitter.feed(data) if look(connection, frame)))
            await writer.drain()

    def _upward(self, connection: Connection, frame: Frame) -> bool:
        """From the daemon; True where it may pass."""
        if frame.kind != PUBACK:
            return True
        payload = connection.open.pop(frame.packet_id, None)
        if payload is None:
            self.stale += 1
        else:
            self.acknowledged.append((time.monotonic(), payload))
        return not self.swallow_acks

    def _downward(self, connection: Connection, frame: Frame) -> bool:
        """From the broker; True where it may pass."""
        if frame.kind == PUBLISH and frame.qos:
            connection.open[frame.packet_id] = frame.data
            self.delivered.append(frame.data)
        return True


@contextmanager
def proxy(port: int) -> Iterator[Proxy]:
    """A proxy to a broker's port for as long as a block lasts."""
    made = Proxy(port)
    made.start()
    try:
        yield made
    finally:
        made.close()
