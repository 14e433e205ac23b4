"""Payload bytes to values, by configuration, then by content type, then by a look at them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from fp_events.domain.errors import Undecodable
from fp_events.domain.pipeline import Format

from .binary import decode_cbor, decode_msgpack
from .json_text import LONG, ZEROS, decode_json, decode_jsonlines, may_be_deep
from .limits import DEFAULT_LIMITS, Limits

_CONTENT_TYPES: dict[str, Format] = {
    "application/json": "json",
    "text/json": "json",
    "application/x-ndjson": "jsonlines",
    "application/ndjson": "jsonlines",
    "application/jsonl": "jsonlines",
    "application/x-jsonlines": "jsonlines",
    "application/msgpack": "msgpack",
    "application/x-msgpack": "msgpack",
    "application/vnd.msgpack": "msgpack",
    "application/cbor": "cbor",
    "application/octet-stream": "bytes",
}

#: What C's printf and JavaScript make of numbers that JSON does not have, and numbers too large for a float.
_NOT_FINITE = re.compile(
    rb"\s*(?:[+-]?(?:nan|inf|NaN|Infinity)|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)\s*"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def decode(
    payload: bytes,
    *,
    format: Format | None,  # noqa: A002 - the configuration's word
    content_type: str | None,
    limits: Limits = DEFAULT_LIMITS,
) -> Any:
    """The value of a payload.

    Without `format` the content type says what it is; without that too, or where it is no ``type/subtype``, the
    payload is sniffed: empty is None; JSON where it parses; Undecodable where it starts like a JSON object, array
    or string, or is a number that is not finite; UTF-8 without control characters is text; the rest bytes.
    Raises Undecodable with one sentence, which never quotes the payload.
    """
    if len(payload) > limits.size:
        raise Undecodable(
            f"the payload has {len(payload)} bytes, and {limits.size} are allowed", mend="send less in one message"
        )
    chosen = format or (of_content_type(content_type) if content_type else None)
    if chosen == "json":
        return decode_json(payload, limits)
    return _sniffed(payload, limits) if chosen is None else _DECODERS[chosen](payload, limits)


def decoder(
    format: Format | None,  # noqa: A002 - as above
    limits: Limits = DEFAULT_LIMITS,
) -> Callable[[bytes, str | None], Any]:
    """`decode` for one format, from payload and content type; JSON that keeps all limits takes a shorter way."""
    if format not in (None, "json"):
        return lambda payload, content_type: decode(payload, format=format, content_type=content_type, limits=limits)
    sniffs, most, depth = format is None, min(limits.size, limits.items), limits.depth
    # A depth of n takes 2n bytes.
    shallow = 2 * depth

    def decoded(payload: bytes, content_type: str | None) -> Any:
        if len(payload) <= most and not (
            sniffs and content_type is not None and _CONTENT_TYPES.get(content_type) != "json"
        ):
            try:
                value = orjson.loads(payload)
            except orjson.JSONDecodeError:
                if sniffs and content_type is None and payload and not _looks_like_json(payload):
                    return _without_structure(payload)
            else:
                if LONG not in payload.translate(ZEROS) and (
                    len(payload) <= shallow or not may_be_deep(payload, depth)
                ):
                    return value
        return decode(payload, format=format, content_type=content_type, limits=limits)

    return decoded


def of_content_type(content_type: str) -> Format | None:
    """The format that a content type stands for; bytes for an unknown one, None for what is no content type."""
    name = content_type.partition(";")[0].strip().lower()
    known = _CONTENT_TYPES.get(name)
    if known is not None:
        return known
    kind, _, subtype = name.partition("/")
    if not kind or not subtype:
        return None
    if subtype.endswith("+json"):
        return "json"
    if subtype.endswith("+cbor"):
        return "cbor"
    return "text" if kind == "text" else "bytes"


def _sniffed(payload: bytes, limits: Limits) -> Any:
    if not payload:
        return None
    try:
        return decode_json(payload, limits)
    except Undecodable:
        if _looks_like_json(payload):
            raise
    return _without_structure(payload)


def _looks_like_json(payload: bytes) -> bool:
    """Whether what does not parse was meant to: a cut-off object that became text would fail far from its cause."""
    return payload.lstrip()[:1] in (b"{", b"[", b'"') or _NOT_FINITE.fullmatch(payload) is not None


def _without_structure(payload: bytes) -> str | bytes:
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return payload
    return payload if _CONTROL.search(text) else text


def _text(payload: bytes, _limits: Limits) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        raise Undecodable(f"the payload is not text: invalid UTF-8 at byte {error.start}") from None


_DECODERS: dict[Format, Callable[[bytes, Limits], Any]] = {
    "json": decode_json,
    "jsonlines": decode_jsonlines,
    "text": _text,
    "bytes": lambda payload, _limits: payload,
    "msgpack": decode_msgpack,
    "cbor": decode_cbor,
}
