"""Values to payloads."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
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

_BYTES_LIKE = (bytes, bytearray, memoryview)
#: Values of which no beginning is taken.
_WHOLE = frozenset({dict, int, float, bool, type(None)})
#: What orjson raises of a value that it does not know, and what `_default` and the values' own methods may.
_REFUSED = (TypeError, ValueError, RecursionError)

#: (values, those of them whose JSON is known) -> a JSON object.
ValuesEncoder = Callable[[Mapping[str, Any], Mapping[str, bytes]], bytes]


def encode(value: Any, *, nan: Literal["null", "error"] = "null") -> tuple[bytes, str]:
    """The payload of a value, and its content type.

    Bytes as they are, text as UTF-8, everything else as JSON. `nan`: NaN and the infinities become null, or
    are an error. Raises EncodeError.
    """
    kind = type(value)
    if kind is dict or kind is list:
        return to_json(value, nan=nan), JSON
    if isinstance(value, _BYTES_LIKE):
        return bytes(value), BYTES
    if isinstance(value, str):
        return _checked_text(str(value.value if isinstance(value, Enum) else value)).encode(), TEXT
    return to_json(value, nan=nan), JSON


def to_json(value: Any, *, nan: Literal["null", "error"] = "null") -> bytes:
    """JSON of any value that has a rule; raises EncodeError."""
    try:
        text = orjson.dumps(value, _default)
    except _REFUSED:
        try:
            # With keys that are no text: half as fast, so not tried first.
            text = orjson.dumps(value, _default, orjson.OPT_NON_STR_KEYS)
        except _REFUSED:
            # The third way is slow, but knows more keys, and says what is wrong.
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


def values_encoder(names: Sequence[str]) -> ValuesEncoder:
    """The function that makes a JSON object of these of a plan's outputs, to be shown; it never fails.

    What cannot be encoded becomes ``{"unencodable": "<type>"}``; of a value with more than 64 KiB of JSON the
    beginning is kept, as ``{"cut": "<text>"}``.
    """
    if not names:
        return lambda _values, _known: b"{}"
    heads = [b"," + orjson.dumps(_shown_name(name)) + b":" for name in names]
    heads[0] = b"{" + heads[0][1:]
    pairs = tuple(zip(names, heads, strict=True))

    def encoded(values: Mapping[str, Any], known: Mapping[str, bytes]) -> bytes:
        parts = []
        for name, head in pairs:
            text = known.get(name)
            parts.append(head + (_shown(values[name]) if text is None or len(text) > _SHOWN else text))
        return b"".join(parts) + b"}"

    return encoded


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
    if type(value) in _WHOLE:
        return value
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
