"""MessagePack and CBOR. Both libraries are imported when the first such payload comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fp_events.domain.errors import Undecodable

from .headers import Header, HeaderError, cbor_header, msgpack_header, scan
from .limits import Limits
from .tree import find_fault

#: Header of a MessagePack array with a count of 32 bits. Room is made for as many items as an array declares,
#: in up to 1,024 levels; a small payload cannot make that hurt.
_ARRAY32 = b"\xdd"
_SMALL = 64 * 1024
#: A tag that says what follows, and nothing else (RFC 8949, 3.4.6).
_THIS_IS_CBOR = b"\xd9\xd9\xf7"


def decode_msgpack(payload: bytes, limits: Limits) -> Any:
    """One MessagePack value; timestamps become aware datetimes. Raises Undecodable."""
    import msgpack

    if not payload:
        raise Undecodable("the payload is not MessagePack: it is empty")
    if len(payload) > limits.items or (len(payload) > _SMALL and _ARRAY32 in payload):
        _scan(payload, limits, msgpack_header, "MessagePack")
    try:
        value = msgpack.unpackb(payload, raw=False, strict_map_key=False, timestamp=3)
    except msgpack.ExtraData:
        raise Undecodable("the payload is not MessagePack: it goes on after its value") from None
    except UnicodeDecodeError:
        raise Undecodable("the payload is not MessagePack: a text in it is invalid UTF-8") from None
    except msgpack.StackError:
        raise Undecodable("the payload is not accepted as MessagePack: it is nested too deep") from None
    except (ValueError, TypeError, OverflowError, RecursionError, MemoryError):
        raise Undecodable("the payload is not MessagePack: it is cut off or malformed") from None
    return _accepted(value, limits, "MessagePack")


def decode_cbor(payload: bytes, limits: Limits) -> Any:
    """One CBOR value; tags 0 and 1 become aware datetimes, other tags are refused. Raises Undecodable."""
    import cbor2

    start = len(_THIS_IS_CBOR) if payload.startswith(_THIS_IS_CBOR) else 0
    _scan(payload, limits, cbor_header, "CBOR", start)
    try:
        value = cbor2.loads(payload[start:])
    except (cbor2.CBORDecodeError, ValueError, TypeError, OverflowError, OSError, RecursionError, MemoryError) as error:
        # From here on only texts and dates can be wrong.
        what = "a text in it is invalid UTF-8" if _is_unicode_error(error) else "a date or text in it is invalid"
        raise Undecodable(f"the payload is not CBOR: {what}") from None
    return _accepted(value, limits, "CBOR")


def _scan(payload: bytes, limits: Limits, header: Callable[[bytes, int], Header], name: str, start: int = 0) -> None:
    try:
        scan(payload, limits, header, start)
    except HeaderError as error:
        raise Undecodable(f"the payload is not accepted as {name}: {error}") from None


def _accepted(value: Any, limits: Limits, name: str) -> Any:
    fault = find_fault(value, limits.depth)
    if fault:
        raise Undecodable(f"the payload is not accepted as {name}: {fault}")
    return value


def _is_unicode_error(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, UnicodeError):
            return True
        error = error.__cause__
    return False
