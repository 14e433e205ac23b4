"""Values to payloads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal

import orjson

from .errors import EncodeError
from .limits import INT_MAX, INT_MIN
from .plain import NoPlainForm, library_of, plain, textual

#: Containers in containers; orjson ends at 254.
_DEPTH = 250
#: Bytes of JSON that are kept of one value for `runs show`.
_SHOWN = 64 * 1024

JSON, TEXT, BYTES = "application/json", "text/plain; charset=utf-8", "application/octet-stream"


def encode(value: Any, *, nan: Literal["null", "error"] = "null") -> tuple[bytes, str]:
    """The payload of a value, and its content type.

    Bytes as they are, text as UTF-8, everything else as JSON. `nan`: NaN and the infinities become null, or
    are an error. Raises EncodeError.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value), BYTES
    if isinstance(value, str):
        return _checked_text(str(value.value if isinstance(value, Enum) else value)).encode(), TEXT
    return to_json(value, nan=nan), JSON


def to_json(value: Any, *, nan: Literal["null", "error"] = "null") -> bytes:
    """JSON of any value that has a rule; raises EncodeError."""
    try:
        text = orjson.dumps(value, default=_default, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, ValueError, RecursionError):
        # The other way is slow, but knows more keys, and says what is wrong.
        return orjson.dumps(_plain_tree(value, nan_is_null=nan == "null"))
    if nan == "error" and b"null" in text:
        _plain_tree(value, nan_is_null=False)
    return text


def _plain_tree(value: Any, *, nan_is_null: bool) -> Any:
    try:
        return _expanded(value, nan_is_null, 0)
    except EncodeError:
        raise
    except Exception as error:
        what = f"a {type(value).__name__} cannot be written as JSON: {type(error).__name__} was raised"
        raise EncodeError(what) from error


def encode_values(values: Mapping[str, Any]) -> bytes:
    """A JSON object of a plan's outputs, to be shown; never fails.

    What cannot be encoded becomes ``{"unencodable": "<type>"}``; of a value with more than 64 KiB of JSON the
    beginning is kept, as ``{"cut": "<text>"}``.
    """
    return orjson.dumps({_shown_name(name): orjson.Fragment(_shown(value)) for name, value in values.items()})


def _shown_name(name: str) -> str:
    return name.encode(errors="replace").decode()


def _shown(value: Any) -> bytes:
    try:
        text = to_json(_head(value))
    except Exception:  # noqa: BLE001 - a value's own methods may raise anything
        return orjson.dumps({"unencodable": _shown_name(type(value).__qualname__)})
    if len(text) <= _SHOWN:
        return text
    return orjson.dumps({"cut": text[:_SHOWN].decode(errors="ignore")})


def _head(value: Any) -> Any:
    """The beginning of a long value, still long enough to be cut: an item has two bytes of JSON at least."""
    if isinstance(value, str | bytes | list | tuple) and not hasattr(value, "_asdict"):
        return value[: _SHOWN + 1]
    if library_of(value) in ("numpy", "pandas", "polars") and hasattr(value, "__len__"):
        return value[: _SHOWN + 1]
    return value


def _default(value: Any) -> Any:
    """One step for orjson."""
    found = textual(value)
    return found if found is not value else plain(value)


def _expanded(value: Any, nan_is_null: bool, depth: int) -> Any:
    """`value` all in JSON's own types; raises EncodeError for what has none."""
    if depth > _DEPTH:
        raise EncodeError("a value is nested deeper than 250 levels, or holds itself")
    kind = type(value)
    if kind in (str, bool, type(None)):
        return value if kind is not str else _checked_text(value)
    if kind is int:
        if not INT_MIN <= value <= INT_MAX:
            raise EncodeError("an integer is beyond 64 bits", mend="return it as text (str)")
        return value
    if kind is float:
        if nan_is_null or math.isfinite(value):
            return value
        raise EncodeError("a number is NaN or infinite", mend="say `nan: null` or return None")
    if kind is dict:
        return {_key(key): _expanded(item, nan_is_null, depth + 1) for key, item in value.items()}
    if kind is list:
        return [_expanded(item, nan_is_null, depth + 1) for item in value]
    try:
        step = _default(value)
    except NoPlainForm as error:
        raise EncodeError(
            f"a value of type {error} has no JSON form", mend="return dicts, lists, text or numbers"
        ) from None
    return _expanded(step, nan_is_null, depth + 1)


def _checked_text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise EncodeError("text with half of a surrogate pair cannot be written as UTF-8") from None
    return text


def _key(key: Any) -> str:
    """A dict's key as text: what orjson makes of simple ones; a tuple is the JSON of its list."""
    if type(key) is str:
        return _checked_text(key)
    found = _expanded(key, True, 0)
    if isinstance(found, str):
        return found
    return orjson.dumps(found).decode()
