"""Durations as people write them."""

from __future__ import annotations

import math
import re
from typing import Final

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_DURATION: Final = re.compile(rf"(?:{_PART.pattern})+")
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")


def parse_duration(value: object) -> float:
    """Seconds in a number or in text such as ``90s``, ``1h30m``, ``500ms``, ``7d``.

    Raises ValueError for anything else, for negative, and for endless durations.
    """
    if isinstance(value, bool):
        raise ValueError("not a duration such as 30s")
    if isinstance(value, int | float) or (isinstance(value, str) and _NUMBER.fullmatch(value.strip())):
        seconds = float(value)
    elif isinstance(value, str) and _DURATION.fullmatch(value.strip()):
        seconds = math.fsum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(value))
    else:
        raise ValueError("not a duration such as 30s")
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError("not a duration such as 30s")
    return seconds


def format_duration(seconds: float) -> str:
    """The shortest text that `parse_duration` reads as `seconds`."""
    if seconds == 0:
        return "0s"
    for unit in ("d", "h", "m"):
        if seconds % _SECONDS[unit] == 0:
            return f"{seconds / _SECONDS[unit]:.15g}{unit}"
    return f"{seconds:.15g}s" if seconds >= 1 else f"{seconds * 1000:.15g}ms"
