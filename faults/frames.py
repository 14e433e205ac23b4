"""MQTT packets out of a stream of bytes, as far as a proxy has to know them (MQTT 5, 2.1)."""

from __future__ import annotations

from dataclasses import dataclass

PUBLISH, PUBACK = 3, 4


@dataclass(frozen=True, slots=True)
class Frame:
    """One packet, whole."""

    kind: int
    data: bytes
    #: Bytes of the fixed header.
    head: int

    @property
    def qos(self) -> int:
        """Of a PUBLISH."""
        return self.data[0] >> 1 & 3

    @property
    def packet_id(self) -> int:
        """Of a PUBACK, or of a PUBLISH with a QoS above 0 (3.3.2.2)."""
        start = self.head
        if self.kind == PUBLISH:
            start += 2 + int.from_bytes(self.data[start : start + 2], "big")
        return int.from_bytes(self.data[start : start + 2], "big")


class Splitter:
    """Takes bytes as they come, gives whole packets."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> list[Frame]:
        """The packets that are whole now."""
        self._held += data
        found: list[Frame] = []
        start = 0
        while (end := _end(self._held, start)) is not None:
            head, stop = end
            found.append(Frame(self._held[start] >> 4, self._held[start:stop], head - start))
            start = stop
        self._held = self._held[start:]
        return found


def _end(data: bytes, start: int) -> tuple[int, int] | None:
    """Where the fixed header and the packet end; None where more bytes are needed (1.5.5)."""
    length, shift, place = 0, 0, start + 1
    while place < len(data):
        byte = data[place]
        length |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return (place, place + length) if place + length <= len(data) else None
    return None
