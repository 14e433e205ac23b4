"""Who listens on a port of this machine."""

from __future__ import annotations

import socket
from contextlib import suppress

#: The embedded broker is for this machine alone: it lets everybody in.
LOOPBACK = "127.0.0.1"

#: CONNECT with a clean start, keepalive 5 s and an empty client id: the broker makes one up (MQTT 5, 3.1.3.1).
_CONNECT_5 = b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x05\x00\x00\x00"
_CONNECT_311 = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x05\x00\x00"
_DISCONNECT = b"\xe0\x00"
_CONNACK = 0x20


def answers(port: int, name: str = "", *, timeout: float = 2.0) -> bool:
    """Whether a broker on loopback lets us in, and is the one whose made-up client ids begin with `name`.

    Where two brokers start at the same time, a port that answers may be the other's. A broker without a name
    is asked in MQTT 3.1.1. `timeout` is in seconds, for each step.
    """
    with suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=timeout) as connection:
        connection.sendall(_CONNECT_5 if name else _CONNECT_311)
        answer = connection.recv(512)
        connection.sendall(_DISCONNECT)
        return len(answer) >= 4 and answer[0] == _CONNACK and answer[3] == 0 and name.encode() in answer
    return False


def free_port(wanted: int | None = None) -> int | None:
    """`wanted` if nobody listens on it, else None; any free port where none is wanted."""
    if wanted is not None:
        with suppress(OSError), socket.create_connection((LOOPBACK, wanted), timeout=1):
            # macOS would let a second listener bind beside one on all addresses.
            return None
    with socket.socket() as listener:
        # Connections of a broker that has just ended do not block its port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, wanted or 0))
            listener.listen()
        except OSError:
            return None
        return int(listener.getsockname()[1])
