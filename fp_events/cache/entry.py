"""One kept value as bytes: a line that says what it is, a checksum, a header, the value."""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from typing import Final

#: The last sign is the version of the form.
_MAGIC: Final = b"fpcache1"
_LENGTH: Final = struct.Struct(">I")
_CHECKSUM: Final = 20


class BadEntry(ValueError):
    """Not an entry, or not whole, or that of another value; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A kept value."""

    pipeline: str
    node: str
    key: str
    #: Seconds since 1970.
    created: float
    value: bytes

    def is_fresh(self, ttl: float | None, now: float) -> bool:
        """Whether it is younger than `ttl` seconds. One that a clock ahead of ours made is not."""
        return ttl is None or 0 <= now - self.created < ttl


def pack_entry(entry: Entry) -> bytes:
    """The bytes of an entry."""
    head = {"pipeline": entry.pipeline, "node": entry.node, "key": entry.key, "created": entry.created}
    header = json.dumps(head).encode()
    body = _LENGTH.pack(len(header)) + header + entry.value
    return _MAGIC + _checksum(body) + body


def unpack_entry(data: bytes, *, pipeline: str, node: str, key: str) -> Entry:
    """The entry in `data`; raises BadEntry where it is damaged, of another version, or not the one that is meant."""
    start = len(_MAGIC) + _CHECKSUM
    if not data.startswith(_MAGIC):
        raise BadEntry("it was not written by this version")
    body = data[start:]
    if len(data) < start + _LENGTH.size or _checksum(body) != data[len(_MAGIC) : start]:
        raise BadEntry("it is damaged or cut off")
    (length,) = _LENGTH.unpack_from(body)
    end = _LENGTH.size + length
    header = json.loads(body[_LENGTH.size : end])
    if (header["pipeline"], header["node"], header["key"]) != (pipeline, node, key):
        raise BadEntry("it is another node's")
    return Entry(pipeline=pipeline, node=node, key=key, created=float(header["created"]), value=body[end:])


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECKSUM).digest()
