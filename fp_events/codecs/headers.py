"""A walk over the headers of MessagePack (its specification) and CBOR (RFC 8949), before a library decodes them.

It bounds what the libraries leave open: declared counts, depth of containers and tags, tags with a meaning
that costs or shares, keys that collide on purpose. It makes no values and does not recurse.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import NamedTuple

from .limits import Limits

#: Count of items of a container that ends with a break.
UNTIL_BREAK = -1


class HeaderError(ValueError):
    """Why it is not accepted, as the rest of a sentence, with the byte."""


class Header(NamedTuple):
    """What one header says."""

    #: Where the next one begins.
    end: int
    #: Items that follow as parts of this one; None: a scalar.
    items: int | None = None
    is_map: bool = False
    #: It may be a key: text or an integer.
    is_key: bool = False
    #: CBOR's end of a container without a count.
    is_break: bool = False


class _Open:
    """A container whose items are being read."""

    __slots__ = ("is_map", "left", "seen")

    def __init__(self, items: int, is_map: bool) -> None:
        #: Items to come, or UNTIL_BREAK.
        self.left = items
        self.seen = 0
        self.is_map = is_map


def scan(data: bytes, limits: Limits, read: Callable[[bytes, int], Header], start: int) -> None:
    """Walk over `data`, which is to be one value from `start` on; raises HeaderError."""
    place = start
    stack: list[_Open] = []
    # Bytes that are needed at least: one per item declared and not yet seen, one per break.
    owed = 1
    seen = 0
    while True:
        try:
            header = read(data, place)
        except (IndexError, struct.error):
            raise HeaderError(f"it is cut off, at byte {place}") from None
        _enter(header, stack, place)
        if not stack or stack[-1].left != UNTIL_BREAK or header.is_break:
            owed -= 1
        if header.is_break:
            stack.pop()
        elif stack:
            stack[-1].seen += 1
            stack[-1].left -= stack[-1].left != UNTIL_BREAK
        if header.items is not None:
            stack.append(_Open(header.items, header.is_map))
            owed += 1 if header.items == UNTIL_BREAK else header.items
        if header.end + owed > len(data):
            raise HeaderError(f"it is cut off, or declares more than it holds, at byte {place}")
        if len(stack) > limits.depth:
            raise HeaderError(f"it is nested deeper than {limits.depth} levels, at byte {place}")
        seen += 1
        if seen + owed > limits.items + 1:
            raise HeaderError(f"it holds more than {limits.items} values, at byte {place}")
        place = header.end
        while stack and stack[-1].left == 0:
            stack.pop()
        if not stack:
            break
    if place != len(data):
        raise HeaderError(f"it goes on after its value, at byte {place}")


def _enter(header: Header, stack: list[_Open], place: int) -> None:
    """Whether this header may stand where it does."""
    at_key = bool(stack) and stack[-1].is_map and stack[-1].seen % 2 == 0
    if header.is_break:
        if not stack or stack[-1].left != UNTIL_BREAK or (stack[-1].is_map and not at_key):
            raise HeaderError(f"an end without a beginning, at byte {place}")
    elif at_key and not header.is_key:
        raise HeaderError(f"a map has a key that is neither text nor an integer, at byte {place}")


def msgpack_header(data: bytes, place: int) -> Header:
    """One header of MessagePack, with the scalar that follows it."""
    code = data[place]
    after = place + 1
    if code <= 0x7F or code >= 0xE0:
        return Header(after, is_key=True)
    if code <= 0x8F:
        return Header(after, 2 * (code & 15), is_map=True)
    if code <= 0x9F:
        return Header(after, code & 15)
    if code <= 0xBF:
        return Header(after + (code & 31), is_key=True)
    if code in _MSGPACK_FIXED:
        return Header(after + _MSGPACK_FIXED[code], is_key=0xCC <= code <= 0xD3)
    if code not in _MSGPACK_COUNTED:
        raise HeaderError(f"a byte that begins nothing, at byte {place}")
    width, extra = _MSGPACK_COUNTED[code]
    count = _number(data, after, width)
    after += width
    if code >= 0xDE:
        return Header(after, 2 * count, is_map=True)
    if code >= 0xDC:
        return Header(after, count)
    return Header(after + count + extra, is_key=code >= 0xD9)


#: Bytes after the header: nil, booleans, floats, integers, extensions of fixed size (with their type).
_MSGPACK_FIXED = {0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8} | {
    **{0xCC + power: 1 << power for power in range(4)},
    **{0xD0 + power: 1 << power for power in range(4)},
    **{0xD4 + power: 1 + (1 << power) for power in range(5)},
}
#: Width of the count, and bytes beside what it counts (an extension's type): bin, ext, str, array and map.
_MSGPACK_COUNTED = {
    **dict(zip((0xC4, 0xC5, 0xC6), ((1, 0), (2, 0), (4, 0)), strict=True)),
    **dict(zip((0xC7, 0xC8, 0xC9), ((1, 1), (2, 1), (4, 1)), strict=True)),
    **dict(zip((0xD9, 0xDA, 0xDB), ((1, 0), (2, 0), (4, 0)), strict=True)),
    **dict(zip((0xDC, 0xDD, 0xDE, 0xDF), ((2, 0), (4, 0), (2, 0), (4, 0)), strict=True)),
}


def cbor_header(data: bytes, place: int) -> Header:
    """One header of CBOR, with the scalar that follows it."""
    major, info = data[place] >> 5, data[place] & 31
    if major == 7:
        return _cbor_simple(data, place, info)
    if info == 31:
        return _cbor_without_count(data, place, major)
    number, after = _cbor_argument(data, place, info)
    if major == 0:
        return Header(after, is_key=True)
    if major == 1:
        if number >= 2**63:
            raise HeaderError(f"an integer is beyond 64 bits, at byte {place}")
        return Header(after, is_key=True)
    if major in (2, 3):
        return Header(after + number, is_key=major == 3)
    if major == 6:
        if number not in _CBOR_TAGS:
            raise HeaderError(f"the tag {number} is not supported, at byte {place}")
        # Counted as a container: tags of tags would recurse as well.
        return Header(after, 1)
    return Header(after, number * (major - 3), is_map=major == 5)


#: Parts that a text or byte string without a length may have.
_CHUNKS = 65_536

#: A date as text, and as a number (RFC 8949, 3.4.1 and 3.4.2).
_CBOR_TAGS = frozenset({0, 1})


def _cbor_argument(data: bytes, place: int, info: int) -> tuple[int, int]:
    if info < 24:
        return info, place + 1
    if info > 27:
        raise HeaderError(f"a byte that begins nothing, at byte {place}")
    width = 1 << (info - 24)
    return _number(data, place + 1, width), place + 1 + width


def _cbor_without_count(data: bytes, place: int, major: int) -> Header:
    if major in (4, 5):
        return Header(place + 1, UNTIL_BREAK, is_map=major == 5)
    if major not in (2, 3):
        raise HeaderError(f"a byte that begins nothing, at byte {place}")
    after = place + 1
    for _ in range(_CHUNKS):
        if data[after] == 0xFF:
            return Header(after + 1, is_key=major == 3)
        if data[after] >> 5 != major:
            raise HeaderError(f"a text or byte string with something else in it, at byte {after}")
        number, after = _cbor_argument(data, after, data[after] & 31)
        after += number
    raise HeaderError(f"a text or byte string in more than {_CHUNKS} parts, at byte {place}")


def _cbor_simple(data: bytes, place: int, info: int) -> Header:
    if info in (20, 21, 22):
        return Header(place + 1)
    if info == 31:
        return Header(place + 1, is_break=True)
    if info not in (25, 26, 27):
        raise HeaderError(f"neither false, true, null nor a number, at byte {place}")
    width = 1 << (info - 24)
    (value,) = struct.unpack_from({2: ">e", 4: ">f", 8: ">d"}[width], data, place + 1)
    if not math.isfinite(value):
        raise HeaderError(f"a number is NaN or infinite, at byte {place}")
    return Header(place + 1 + width)


def _number(data: bytes, place: int, width: int) -> int:
    if place + width > len(data):
        raise IndexError
    return int.from_bytes(data[place : place + width], "big")
