"""State kept between runs: MessagePack, exact for floats, integers, times and bytes.

Values of other classes are kept as what they are in JSON (`plain`); tuples become lists.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from fp_events.domain.errors import Undecodable

from .errors import EncodeError
from .limits import INT_MAX, INT_MIN
from .plain import NoPlainForm, library_of, plain

#: From a foreign value to a plain one; more than any rule takes.
_STEPS = 10

_MEND = "keep numbers, text, times, lists and dicts with keys of text or integers"


def encode_state(values: dict[str, Any]) -> bytes:
    """Bytes of {node: value}; raises EncodeError, which names the node."""
    try:
        return _packed(values)
    except Exception as error:  # noqa: BLE001 - a value's own methods may raise anything
        node, cause = _culprit(values) or ("", error)
    raise EncodeError(f"the value cannot be kept: {_reason(cause)}", where=f"state of {node}", mend=_MEND)


def _culprit(values: dict[str, Any]) -> tuple[str, Exception] | None:
    for node, value in values.items():
        try:
            _packed(value)
        except Exception as error:  # noqa: BLE001 - as above
            return node, error
    return None


def decode_state(data: bytes) -> dict[str, Any]:
    """What `encode_state` was given; raises Undecodable."""
    import msgpack

    try:
        values = _unpacked(data)
    except (ValueError, TypeError, OverflowError, ArithmeticError, msgpack.exceptions.UnpackException):
        values = None
    if not isinstance(values, dict):
        raise Undecodable("a stored state cannot be read", mend="see `fp-events state reset`")
    return values


def state_to_json(data: bytes) -> Any:
    """The state for display, in JSON's types: NaN and the infinities as text, bytes as base64."""
    return _display(decode_state(data))


def _packed(value: Any) -> bytes:
    import msgpack

    steps = 0

    def step(item: Any) -> Any:
        nonlocal steps
        steps += 1
        return _step(item)

    data: bytes = msgpack.packb(value, default=step, strict_types=True, datetime=True)
    if steps:
        # A tuple that is a key becomes a list, which cannot be one: better found here than by the next run.
        _unpacked(data)
    return data


def _unpacked(data: bytes) -> Any:
    import msgpack

    return msgpack.unpackb(data, strict_map_key=False, timestamp=3, ext_hook=_from_extension)


#: What MessagePack packs itself; aware datetimes besides.
_PACKED = frozenset({dict, list, str, float, bool, bytes, type(None)})


def _step(item: Any) -> Any:
    """What stands for `item`: packed without another step, since MessagePack asks but once."""
    import msgpack

    for _ in range(_STEPS):
        kind = type(item)
        if kind in _PACKED or (kind is datetime and item.tzinfo is not None):
            return item
        if kind is int:
            return item if INT_MIN <= item <= INT_MAX else msgpack.ExtType(1, format(item, "x").encode())
        for code, known, write, _ in _EXTENSIONS:
            if kind is known:
                return msgpack.ExtType(code, write(item).encode())
        if isinstance(item, bytes | bytearray | memoryview):
            item = bytes(item)
        elif isinstance(item, datetime) and library_of(item) != "pandas":
            item = datetime.combine(item.date(), item.timetz())
        else:
            item = plain(item)
    raise NoPlainForm(type(item).__name__)


def _from_extension(code: int, data: bytes) -> Any:
    if code == 1:
        return int(data, 16)
    for known, _, _, read in _EXTENSIONS:
        if code == known:
            return read(data.decode())
    raise ValueError("unknown extension")


#: Code, type, to text, from text. Codes are stored: never reuse one. 1 is an integer beyond 64 bits, in hex.
_EXTENSIONS: tuple[tuple[int, type, Callable[[Any], str], Callable[[str], Any]], ...] = (
    # Without a time zone; with one it is MessagePack's own timestamp.
    (2, datetime, datetime.isoformat, datetime.fromisoformat),
    (3, date, date.isoformat, date.fromisoformat),
    (4, time, time.isoformat, time.fromisoformat),
    (5, Decimal, str, Decimal),
    (
        6,
        timedelta,
        lambda value: str(value // timedelta(microseconds=1)),
        lambda text: timedelta(microseconds=int(text)),
    ),
)


def _reason(error: BaseException) -> str:
    if isinstance(error, NoPlainForm):
        return f"its type, or a type inside, is {error}"
    if isinstance(error, UnicodeEncodeError):
        return "it holds text with half of a surrogate pair"
    if isinstance(error, TypeError | ValueError) and "unhashable" in str(error):
        return "a dict in it has a key that is a tuple or an object"
    if isinstance(error, RecursionError) or "recursion limit" in str(error):
        return "it is nested too deep, or holds itself"
    return f"{type(error).__name__} was raised"


def _display(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _display(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_display(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if type(value) is int and not INT_MIN <= value <= INT_MAX:
        return hex(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return str(value)
    return b64encode(value).decode() if isinstance(value, bytes) else value
