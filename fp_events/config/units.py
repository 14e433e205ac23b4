"""Durations and sizes as people write them."""

from __future__ import annotations

import re
from typing import Final

from fp_events.domain.durations import format_duration, parse_duration

__all__ = ["format_duration", "format_size", "parse_duration", "parse_size"]

_BYTES: Final = {
    "": 1,
    "B": 1,
    **{unit: 1000**power for power, unit in enumerate(("kB", "MB", "GB", "TB"), start=1)},
    **{unit: 1024**power for power, unit in enumerate(("KiB", "MiB", "GiB", "TiB"), start=1)},
}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


def parse_size(value: object) -> int:
    """Bytes in a whole number or in text such as ``500MB`` (powers of 1000) or ``2GiB`` (powers of 1024).

    Raises ValueError for anything else.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("not a size such as 2GiB")
    for unit, factor in _BYTES.items():
        if match[2].lower() == unit.lower():
            return int(float(match[1]) * factor)
    raise ValueError("not a size such as 2GiB")


def format_size(size: int) -> str:
    """The shortest text that `parse_size` reads as `size`."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return str(size)
