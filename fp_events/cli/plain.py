"""Values of nodes as JSON can write them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Set
from datetime import date, datetime
from enum import Enum
from typing import Any

#: Rows of a data frame, or items of an array, that are printed.
_ROWS = 1000


def plain(value: Any) -> Any:
    """`value` as dicts, lists, texts and numbers; what has no such form as its `repr`."""
    if value is None or isinstance(value, bool | int | str):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | Set):
        return [plain(each) for each in value]
    return _object(value)


def _object(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Enum):
        return plain(value.value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return _by_method(value)


def _by_method(value: Any) -> Any:
    # Known by what they offer, so that none of pandas, numpy and pydantic is imported for it.
    if hasattr(value, "model_dump"):
        return plain(value.model_dump())
    if hasattr(value, "columns") and hasattr(value, "head"):
        return plain(value.head(_ROWS).to_dict("records"))
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return repr(value)
