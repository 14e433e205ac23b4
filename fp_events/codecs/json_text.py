"""JSON, strict: no NaN, no integers beyond 64 bits, no lone surrogates. Of equal keys the last one counts.

The parser is orjson. It turns integers beyond 64 bits into floats, silently; that is caught here.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from fp_events.domain.errors import Undecodable

from .limits import INT_MAX, INT_MIN, Limits
from .tree import too_deep

#: Every digit becomes a 0, so that a search for a run of digits is a search for a text: a third of a regex's time.
ZEROS = bytes.maketrans(b"123456789", b"000000000")
#: The shortest integer beyond 64 bits has 19 digits (and a minus).
LONG = b"0" * 19
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|(-?[0-9]+)((?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)', re.DOTALL)


def decode_json(payload: bytes, limits: Limits, name: str = "the payload", start: int = 0) -> Any:
    """One JSON value; `name` and `start` place it in an error. Raises Undecodable."""
    if len(payload) > limits.items and count_items(payload) > limits.items:
        raise Undecodable(f"{name} is not accepted as JSON: it holds more than {limits.items} values")
    try:
        value = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise _error(payload, error, name, start) from None
    if LONG in payload.translate(ZEROS):
        _check_integers(payload, name, start)
    # A depth of n takes 2n bytes.
    if len(payload) > 2 * limits.depth and may_be_deep(payload, limits.depth) and too_deep(value, limits.depth):
        raise Undecodable(f"{name} is not accepted as JSON: it is nested deeper than {limits.depth} levels")
    return value


def decode_jsonlines(payload: bytes, limits: Limits) -> list[Any]:
    """One JSON value per line, empty lines left out; raises Undecodable with the line's number."""
    if len(payload) > limits.items and count_items(payload) + payload.count(b"\n") > limits.items:
        raise Undecodable(f"the payload is not accepted as JSON lines: it holds more than {limits.items} values")
    values = []
    start = 0
    for number, line in enumerate(payload.split(b"\n"), start=1):
        if line.strip():
            values.append(decode_json(line, limits, f"line {number} of the payload", start))
        start += len(line) + 1
    return values


def may_be_deep(payload: bytes, depth: int) -> bool:
    """Whether there are more openings, an upper bound of the depth, than `depth`."""
    return payload.count(b"[") + payload.count(b"{") > depth


def count_items(payload: bytes) -> int:
    """At least as many as there are values, without reading them."""
    return payload.count(b",") + payload.count(b"[") + payload.count(b"{")


def _check_integers(payload: bytes, name: str, start: int) -> None:
    for token in _TOKEN.finditer(payload):
        digits, rest = token.groups()
        # Longer ones are beyond 64 bits for sure, and slow to read.
        if digits and not rest and len(digits) >= 19 and (len(digits) > 20 or not INT_MIN <= int(digits) <= INT_MAX):
            raise Undecodable(
                f"{name} is not accepted as JSON: the integer at byte {start + token.start()} is beyond 64 bits",
                mend="send it as text",
            )


def _error(payload: bytes, error: orjson.JSONDecodeError, name: str, start: int) -> Undecodable:
    if not payload.strip():
        return Undecodable(f"{name} is not JSON: it is empty")
    try:
        text = payload.decode()
    except UnicodeDecodeError as broken:
        return Undecodable(f"{name} is not JSON: invalid UTF-8 at byte {start + broken.start}")
    # orjson counts characters, and says no more than what it expected.
    place = start + len(text[: error.pos].encode())
    if "limit" in error.msg:
        return Undecodable(f"{name} is not accepted as JSON: it is nested too deep, at byte {place}")
    return Undecodable(f"{name} is not JSON: {error.msg}, at byte {place}", mend=_mend(text[error.pos :]))


def _mend(rest: str) -> str:
    """What usually stands where JSON breaks off."""
    if rest.startswith(("NaN", "Infinity", "-Infinity")):
        return "JSON has no NaN and no infinity: send null"
    return "JSON takes double quotes only" if rest.startswith("'") else ""
