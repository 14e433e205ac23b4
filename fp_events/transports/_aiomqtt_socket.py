"""A socket that reads and writes in large pieces.

paho asks for the header of a packet byte by byte and writes every packet alone: four system calls per message.
"""

from __future__ import annotations

import contextlib
import ssl
from typing import Any

#: Bytes asked of the kernel at a time.
READ = 64 * 1024
#: Bytes offered to the kernel at a time.
WRITE = 256 * 1024
#: Bytes waiting to be written above which paho keeps its further packets.
HIGH_WATER = 1024 * 1024

_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class BufferedSocket:
    """What paho takes for its socket; `sock` is plain, TLS or paho's WebSocket."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._in = b""
        self._position = 0
        self._out = bytearray()
        self._written = 0
        #: The last `recv` found nothing: wait until the socket is readable.
        self.blocked = False

    def recv(self, size: int) -> bytes:
        if self._position == len(self._in):
            self._in = self._fill()
            self._position = 0
        piece = self._in[self._position : self._position + size]
        self._position += len(piece)
        return piece

    def _fill(self) -> bytes:
        while True:
            try:
                data: bytes = self._sock.recv(READ)
            except _WOULD_BLOCK:
                # Decrypted bytes that TLS holds do not make the socket readable again.
                if getattr(self._sock, "pending", int)():
                    continue
                self.blocked = True
                raise BlockingIOError from None
            self.blocked = False
            return data

    def send(self, data: bytes | bytearray) -> int:
        """Take all of `data`, to be written by `flush`."""
        if len(self._out) - self._written > HIGH_WATER:
            raise BlockingIOError
        self._out += data
        return len(data)

    def flush(self) -> bool:
        """Write what the kernel takes; True when nothing is left. Raises OSError when the connection is gone."""
        while self._written < len(self._out):
            with memoryview(self._out) as whole, whole[self._written : self._written + WRITE] as piece:
                try:
                    # paho's WebSocket answers 0 while a frame is half written.
                    count = self._sock.send(piece)
                except _WOULD_BLOCK:
                    count = 0
            if not count:
                return False
            self._written += count
        self._out.clear()
        self._written = 0
        return True

    def close(self) -> None:
        # The DISCONNECT packet is among what is left; paho closes right after queueing it.
        with contextlib.suppress(OSError):
            self.flush()
        self._sock.close()

    def fileno(self) -> int:
        return int(self._sock.fileno())

    def setblocking(self, flag: bool) -> None:
        self._sock.setblocking(flag)
