"""MQTT as bytes, no more than a load generator and a sink need.

Packets are made and cut by hand, since a client library would be what is measured.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

#: What every payload of ours begins with; the tenth digit keeps all indices equally long.
BASE = 1_000_000_000
#: The index in a payload, whatever wrote the JSON around it.
INDEX = re.compile(rb'"i": ?(\d{10})')
#: Packet ids are 1 to this.
PACKET_IDS = 65_535
#: Seconds a broker may take to answer.
PATIENCE = 20.0


def remaining(length: int) -> bytes:
    """A length in MQTT's variable form (MQTT 5, 1.5.5)."""
    found = bytearray()
    while True:
        length, digit = divmod(length, 128)
        found.append(digit | 128 if length else digit)
        if not length:
            return bytes(found)


def text(value: str) -> bytes:
    """A string with its length."""
    encoded = value.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def _packet(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + remaining(len(body)) + body


def connect(port: int, client_id: str, *, version: int = 5, resume: bool = False) -> socket.socket:
    """A connection that the broker has confirmed.

    Version 4 is MQTT 3.1.1, whose PUBACK always has four bytes. With `resume` a session of that client id is taken up.
    """
    link = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Session expiry of an hour where a session is taken up; receive maximum as the broker's own limit.
    properties = remaining(5) + b"\x11" + (3600).to_bytes(4, "big") if resume else b"\0"
    flags = 0 if resume else 2
    body = text("MQTT") + bytes((version, flags)) + (0).to_bytes(2, "big")
    link.sendall(_packet(0x10, body + (properties if version == 5 else b"") + text(client_id)))
    header = _exactly(link, 2)
    rest = _exactly(link, header[1])
    if header[0] != 0x20 or rest[1] != 0:
        raise SystemExit(f"the broker refuses the connection of {client_id}: {rest.hex()}")
    return link


def subscribe(link: socket.socket, topic_filter: str) -> None:
    """Subscribe an MQTT 5 connection at QoS 1, and wait for the confirmation."""
    link.sendall(_packet(0x82, b"\0\1\0" + text(topic_filter) + b"\1"))
    header = _exactly(link, 2)
    rest = _exactly(link, header[1])
    if header[0] != 0x90 or rest[-1] != 1:
        raise SystemExit(f"the broker refuses the subscription {topic_filter}: {rest.hex()}")


def _exactly(link: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        part = link.recv(count - len(found))
        if not part:
            raise SystemExit("the broker closed the connection")
        found += part
    return found


def publications(topics: list[bytes], count: int, pad: int) -> Iterator[bytes]:
    """PUBLISH packets of MQTT 3.1.1 at QoS 1, in order; topics in turn, `pad` bytes added to each payload."""
    tail = b'"}' if pad else b"}"
    for i in range(count):
        payload = b'{"i":%d,"reading":%d.5' % (BASE + i, 60 + i % 40)
        payload += (b',"pad":"' + b"x" * pad if pad else b"") + tail
        topic = topics[i % len(topics)]
        body = b"%b%b%b" % (topic, (i % PACKET_IDS + 1).to_bytes(2, "big"), payload)
        yield b"\x32" + remaining(len(body)) + body


class Cutter:
    """Cuts a stream into packets; gives the acknowledgements of what was published to us."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> tuple[bytes, int, bytes]:
        """(the whole packets in `data`, how many were PUBLISH at QoS 1, their PUBACKs)."""
        data = self._rest + data if self._rest else data
        end, at, found = len(data), 0, []
        while end - at >= 2:
            body, length = at + 2, data[at + 1]
            if length > 127:
                body, length = _long(data, at + 1)
            if body + length > end:
                break
            if data[at] & 0xF6 == 0x32:
                place = body + 2 + (data[body] << 8) + data[body + 1]
                found.append(data[place : place + 2])
            at = body + length
        self._rest = data[at:]
        return data[:at], len(found), b"\x40\x02" + b"\x40\x02".join(found) if found else b""


def _long(data: bytes, at: int) -> tuple[int, int]:
    """(where the body begins, its length) for a length of several bytes; beyond the end if some are missing."""
    length = 0
    for place in range(at, min(at + 4, len(data))):
        length |= (data[place] & 127) << 7 * (place - at)
        if data[place] < 128:
            return place + 1, length
    return len(data) + 1, 0
