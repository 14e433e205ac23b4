"""Checks of a decoded value, level by level and without recursion, so that no depth can exhaust the stack."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from .limits import INT_MAX, INT_MIN


def too_deep(value: Any, depth: int) -> bool:
    """Whether lists and dicts are nested in more than `depth` levels."""
    level = [value] if type(value) in (dict, list) else []
    while level:
        if depth == 0:
            return True
        depth -= 1
        level = [
            item
            for container in level
            for item in (container.values() if type(container) is dict else container)
            if type(item) is dict or type(item) is list
        ]
    return False


def find_fault(value: Any, depth: int) -> str:
    """Why a value from a binary format is not accepted, as the rest of a sentence; empty if it is.

    Accepted are null, booleans, integers of 64 bits, finite floats, text, bytes, aware datetimes, lists, and
    dicts with keys of text or integers.
    """
    level = [value]
    while level:
        if depth < 0:
            return "it is nested too deep"
        depth -= 1
        below: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is dict:
                if not _KEYS.issuperset(map(type, item)):
                    return "a map has a key that is neither text nor an integer"
                below += item.values()
            elif kind is list:
                below += item
            elif kind not in _ALWAYS and (fault := _fault_of_scalar(item)):
                return fault
        level = below
    return ""


_KEYS = frozenset({str, int})
_ALWAYS = frozenset({str, bytes, bool, type(None)})


def _fault_of_scalar(item: Any) -> str:
    kind = type(item)
    if kind is int:
        return "" if INT_MIN <= item <= INT_MAX else "an integer is beyond 64 bits"
    if kind is float:
        return "" if math.isfinite(item) else "a number is NaN or infinite"
    if kind is datetime:
        return "" if item.tzinfo is not None else "a time has no time zone"
    return "it holds a type that is of no general use"
