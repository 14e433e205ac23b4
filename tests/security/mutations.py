"""Payloads that are nearly valid: documents of every format, cut, flipped, spliced and repeated, from a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import cbor2
import msgpack

from fp_events.domain.pipeline import Format

FORMATS: tuple[Format | None, ...] = (None, "json", "jsonlines", "text", "bytes", "msgpack", "cbor")
_CONTENT_TYPES = ("application/json", "application/cbor", "application/msgpack", "text/csv", "x", "a/b;c=\r\n", "")
#: What parsers stumble over, and the first bytes of what declares a length.
_PIECES = (
    *(b"[" * 70, b'{"a":' * 70, b"]", b"}", b'"', b"\\u0000", b"\\ud800", b"NaN", b"-Infinity", b"1e999"),
    *(b"9" * 25, b"-0", b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\n", b"\r\n", b",", b":"),
    *(b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc9\xff\xff\xff\xff\x01"),
    *(b"\xc6\x7f\xff\xff\xff", b"\x91" * 70, b"\x81" * 70, b"\xd7\xff", b"\xc1"),
    *(b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff", b"\x9f" * 70, b"\xbf", b"\xff"),
    *(b"\xd8\x1c\x80\xd8\x1d\x00", b"\xc2\x5a\xff\xff\xff\xff", b"\xc4\x82\x1b\x7f\xff\xff\xff\xff\xff\xff\xff\x01"),
    *(b"\xfb\x7f\xf8\x00\x00\x00\x00\x00\x00", b"\xf9\x7c\x00", b"\xc0\x74", b"\xc1\xfb\x7f\xef"),
)
_SCALARS: tuple[Any, ...] = (
    None, True, 0, -1, 2**63, 2**64 - 1, -(2**63), 1.5, -0.0, 1e308, "", "é😀", "\u202e", "a" * 40, "9" * 25,
)  # fmt: skip


def payloads(seed: str, count: int) -> Iterator[tuple[bytes, Format | None, str | None]]:
    """`count` payloads, each with the format and the content type that it comes under."""
    dice = random.Random(seed)
    for _ in range(count):
        payload = _document(dice)
        for _ in range(dice.choice((0, 1, 1, 2, 5))):
            payload = _mutated(payload, dice)
        content_type = dice.choice(_CONTENT_TYPES) if dice.random() < 0.2 else None
        yield payload, dice.choice(FORMATS), content_type


def _document(dice: random.Random) -> bytes:
    value = _value(dice, 0)
    kind = dice.randrange(5)
    if kind == 0:
        return json.dumps(value, ensure_ascii=dice.random() < 0.5, default=str).encode()
    if kind == 1:
        return b"\n".join(json.dumps(_value(dice, 1), default=str).encode() for _ in range(dice.randrange(5)))
    if kind == 2:
        packed: bytes = msgpack.packb(value, datetime=True)
        return packed
    return cbor2.dumps(value) if kind == 3 else dice.randbytes(dice.randrange(40))


def _value(dice: random.Random, depth: int) -> Any:
    kind = dice.randrange(10)
    if depth > 3 or kind < 4:
        return dice.choice(_SCALARS)
    if kind == 4:
        return datetime.fromtimestamp(dice.randrange(2**32), UTC)
    if kind < 7:
        return [_value(dice, depth + 1) for _ in range(dice.randrange(5))]
    return {
        dice.choice(("a", "b", "é", "")) + str(number): _value(dice, depth + 1) for number in range(dice.randrange(4))
    }


def _mutated(payload: bytes, dice: random.Random) -> bytes:
    at, end = sorted((dice.randrange(len(payload) + 1), dice.randrange(len(payload) + 1)))
    kind = dice.randrange(6)
    if kind == 0:
        return payload[:at]
    if kind == 1:
        return payload[:at] + payload[end:]
    if kind == 2:
        return payload[:at] + dice.choice(_PIECES) + payload[at:]
    if kind == 3:
        return payload[:at] + payload[at:end] * dice.choice((2, 3, 20)) + payload[end:]
    if kind == 4:
        return payload[:at] + dice.choice(_PIECES) + payload[at + 1 :]
    flipped = bytearray(payload)
    for _ in range(dice.choice((1, 1, 3)) if flipped else 0):
        flipped[dice.randrange(len(flipped))] ^= 1 << dice.randrange(8)
    return bytes(flipped)
