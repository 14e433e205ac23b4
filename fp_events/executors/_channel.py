"""The daemon's end of a socketpair to one of its own processes, on the event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

from ._wire import LENGTH

_READ = 1 << 18


class Channel:
    """Frames both ways. `on_frame` gets the body of each, valid during the call; `on_end` comes last, at the end."""

    def __init__(self, sock: socket.socket, on_frame: Callable[[memoryview], None], on_end: Callable[[], None]) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._on_frame = on_frame
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._incoming = bytearray()
        self._outgoing = bytearray()
        self._open = True
        self._loop.add_reader(sock, self._readable)

    def send(self, frame: bytes) -> None:
        """Send, now or when the other end has read; to one that is gone, nothing: `on_end` follows."""
        if self._open and not self._outgoing:
            frame = frame[self._try(frame) :]
        if self._open and frame:
            if not self._outgoing:
                self._loop.add_writer(self._sock, self._writable)
            self._outgoing += frame

    def send_descriptors(self, message: bytes, descriptors: list[int]) -> None:
        """Send a short message with copies of `descriptors`, after all else has gone out."""
        assert not self._outgoing
        with suppress(OSError):
            socket.send_fds(self._sock, [message], descriptors)

    def drain(self) -> None:
        """Read what a process that has ended left behind, without waiting for the end of the stream.

        A program that it started may still hold its end open.
        """
        while self._open and self._read():
            pass

    def finish(self) -> None:
        """Have the other end see the end of the stream; what it still sends is read."""
        if self._open:
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Stop and close; no callback follows."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._sock)
            self._loop.remove_writer(self._sock)
            self._sock.close()

    def _try(self, data: bytes | bytearray) -> int:
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            return len(data)

    def _writable(self) -> None:
        del self._outgoing[: self._try(self._outgoing)]
        if not self._outgoing:
            self._loop.remove_writer(self._sock)

    def _readable(self) -> None:
        if not self._read() and not self._open:
            self._on_end()

    def _read(self) -> bool:
        """Take in what is there; False where nothing is, and closed where nothing will be."""
        try:
            data = self._sock.recv(_READ)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self.close()
            return False
        self._incoming += data
        self._parse()
        return True

    def _parse(self) -> None:
        start, buffer = 0, self._incoming
        while len(buffer) - start >= LENGTH.size:
            end = start + LENGTH.size + LENGTH.unpack_from(buffer, start)[0]
            if len(buffer) < end:
                break
            with memoryview(buffer) as view, view[start + LENGTH.size : end] as body:
                self._on_frame(body)
            start = end
        del buffer[:start]
