"""Is the text in a packet UTF-8? The codec panics where it is not, and Rust says so on standard error."""

from __future__ import annotations

from ._publish_packet import Malformed, varint

#: Properties by what they hold (MQTT 5, 2.2.2.2): how many bytes, or how many texts.
_FIXED = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((0x13, 0x21, 0x22, 0x23), 2),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), 4),
}
_TEXTS = {**dict.fromkeys((0x03, 0x08, 0x12, 0x15, 0x1A, 0x1C, 0x1F), 1), 0x26: 2}
_BINARY = frozenset({0x09, 0x16})
#: Bytes before the properties, by first byte: CONNACK, SUBACK, UNSUBACK, DISCONNECT, AUTH.
_BEFORE = {0x20: 2, 0x90: 2, 0xB0: 2, 0xE0: 1, 0xF0: 1}


def check_text(frame: bytes, body: int) -> None:
    """Look at the properties of a packet other than PUBLISH. Raises Malformed, IndexError."""
    before = _BEFORE.get(frame[0])
    if before is None or len(frame) <= body + before:
        return
    size, at = varint(frame, body + before)
    end = at + size
    while at < end:
        kind = frame[at]
        at += 1
        if kind in _FIXED:
            at += _FIXED[kind]
        elif kind in _BINARY:
            at += 2 + (frame[at] << 8 | frame[at + 1])
        elif kind == 0x0B:
            _, at = varint(frame, at)
        elif kind in _TEXTS:
            for _ in range(_TEXTS[kind]):
                at = _text(frame, at)
        else:
            raise Malformed(f"packet has property 0x{kind:02X}")


def _text(frame: bytes, at: int) -> int:
    end = at + 2 + (frame[at] << 8 | frame[at + 1])
    try:
        frame[at + 2 : end].decode()
    except UnicodeDecodeError as error:
        raise Malformed("text is not UTF-8") from error
    return end
