"""The socket of one connection on the event loop, in place of aiomqtt's own handling.

aiomqtt reads one packet each time the loop finds the socket readable; this reads all that there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from paho.mqtt.enums import MQTTErrorCode

from ._aiomqtt_paho import HookedPaho
from ._inbox import Inbox

#: Packets read before the loop gets its turn.
READ_BURST = 500


class Pump:
    """Reads while the inbox has room, writes when there is something.

    `flushed` is called when everything is written, `failed` with the reason when paho stumbles.
    `_on_socket_open` and `_on_register_write` may be called by the thread that connects.
    """

    def __init__(
        self, paho: HookedPaho, inbox: Inbox, *, flushed: Callable[[], None], failed: Callable[[str], None]
    ) -> None:
        #: Nothing more is read or written.
        self.over = False
        #: Reading has stopped until there is room.
        self.paused = False
        #: Counts the bursts of reading, for what is done once in each.
        self.turn = 0
        self._paho = paho
        self._inbox = inbox
        self._flushed = flushed
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        #: When the socket last took or gave something.
        self._heard = self._loop.time()
        self._reading = False
        self._writing = False
        self._write_due = False
        self._descriptor = -1
        paho.on_socket_open = self._on_socket_open
        paho.on_socket_close = self._on_socket_close
        paho.on_socket_register_write = self._on_register_write
        paho.on_socket_unregister_write = None

    @property
    def silence(self) -> float:
        """Seconds since the socket last took or gave something."""
        return self._loop.time() - self._heard

    def _on_socket_open(self, client: Any, userdata: Any, sock: Any) -> None:
        self._loop.call_soon_threadsafe(self._opened, sock)

    def _opened(self, sock: Any) -> None:
        if self.over:
            sock.close()
            return
        self._descriptor = sock.fileno()
        self._resume()

    def _on_socket_close(self, client: Any, userdata: Any, sock: Any) -> None:
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            self._loop.remove_writer(self._descriptor)
            self._descriptor = -1

    def _on_register_write(self, client: Any, userdata: Any, sock: Any) -> None:
        if not self._write_due:
            self._write_due = True
            self._loop.call_soon_threadsafe(self._write)

    def resume(self) -> None:
        """There is room again for what arrives."""
        if self.paused:
            self.paused = False
            self._loop.call_soon(self._resume)

    def _resume(self) -> None:
        if self._descriptor >= 0 and not self._reading:
            self._reading = True
            self._loop.add_reader(self._descriptor, self._readable)
            self._readable()

    def _readable(self) -> None:
        self._heard = self._loop.time()
        self.read()

    def read(self) -> None:
        """Read packets until the socket is empty, the inbox full, or it is somebody else's turn."""
        paho = self._paho
        self.turn += 1
        for _ in range(READ_BURST):
            sock = paho._sock  # `socket()` takes a lock
            if sock is None or self.over:
                return
            if self._inbox.full:
                self._pause()
                return
            try:
                paho.loop_read()
            except Exception as error:  # noqa: BLE001 - a packet that paho stumbles over must not stall the connection
                self._failed(f"the connection was given up over a packet ({error})")
                return
            if sock.blocked:  # type: ignore[attr-defined]  # it is a BufferedSocket
                return
        # What the buffer holds does not make the socket readable.
        self._loop.call_soon(self.read)

    def _pause(self) -> None:
        """Stop reading: TCP tells the broker to wait."""
        self.paused = True
        if self._reading and self._descriptor >= 0:
            self._reading = False
            self._loop.remove_reader(self._descriptor)

    def _write(self) -> None:
        self._write_due = False
        paho = self._paho
        while (sock := paho._sock) is not None and not self.over:
            paho.loop_write()
            if paho._sock is None:
                return
            try:
                flushed = sock.flush()  # type: ignore[attr-defined]  # it is a BufferedSocket
            except OSError:
                paho._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)  # what `loop_write` does
                return
            self._heard = self._loop.time()
            self._watch_writable(not flushed)
            if not flushed:
                return
            if not paho.want_write():
                self._flushed()
                return

    def _watch_writable(self, wanted: bool) -> None:
        if wanted != self._writing and self._descriptor >= 0:
            self._writing = wanted
            if wanted:
                self._loop.add_writer(self._descriptor, self._write)
            else:
                self._loop.remove_writer(self._descriptor)
