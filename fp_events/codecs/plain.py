"""What values of foreign classes are in JSON and in state: one table for both.

No foreign library is imported: a value of its class can only be here where somebody else imported it.
"""

from __future__ import annotations

import sys
from base64 import b64encode
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID


class NoPlainForm(TypeError):
    """There is no rule for a type; the text is the type's name."""


def library_of(value: Any) -> str:
    """The top package that defines the value's class."""
    return type(value).__module__.partition(".")[0]


#: From a subclass to the class itself, past any method that the subclass overrides.
_BASES: dict[type, Callable[[Any], Any]] = {str: str.__str__, int: int.__int__, float: float.__float__}


def plain(value: Any) -> Any:
    """One step from `value` towards dict, list, str, int, float, bool and None; raises NoPlainForm.

    What is inside the result may need steps of its own. Datetimes, dates, times, Decimals, timedeltas
    and bytes are for `textual`, as state keeps some of them.
    """
    library = library_of(value)
    rule = _LIBRARIES.get(library)
    if rule is not None and library in sys.modules:
        found = rule(value)
        if found is not value:
            return found
    if isinstance(value, Enum):
        return value.value
    for kind, base in _BASES.items():
        if isinstance(value, kind):
            return base(value)
    if isinstance(value, tuple):
        return value._asdict() if hasattr(value, "_asdict") else list(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return _sorted(value)
    return _object(value)


def textual(value: Any) -> Any:
    """`value` as JSON has it, where it is a time, an exact number or bytes; else `value` itself."""
    if library_of(value) == "pandas":
        # NaT is a datetime by class.
        return value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return b64encode(value).decode()
    return value


def _sorted(value: Collection[Any]) -> list[Any]:
    try:
        return sorted(value)
    except TypeError:
        return sorted(value, key=lambda item: (type(item).__name__, repr(item)))


def _object(value: Any) -> Any:
    if isinstance(value, UUID | PurePath):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        # As orjson does: fields that start with an underscore are the object's own.
        return {f.name: getattr(value, f.name) for f in fields(value) if not f.name.startswith("_")}
    if hasattr(type(value), "model_dump") and hasattr(type(value), "model_fields"):
        return value.model_dump()
    # Polars and pyarrow: tables to rows, columns to lists.
    for name in ("to_dicts", "to_pylist", "to_list", "tolist"):
        method = getattr(type(value), name, None)
        if method is not None:
            return method(value)
    if isinstance(value, Collection) and isinstance(value, Iterable) and not isinstance(value, type):
        return list(value)
    raise NoPlainForm(type(value).__name__)


def _numpy(value: Any) -> Any:
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind == "M":
        # Python's datetime has microseconds; NaT becomes None.
        return value.astype("datetime64[us]").tolist()
    if kind == "m":
        return value.astype("timedelta64[us]").tolist()
    if kind == "c" or not hasattr(value, "tolist"):
        raise NoPlainForm(type(value).__name__)
    found = value.tolist()
    # A longdouble's `tolist` is itself.
    return float(found) if kind == "f" and type(found).__module__ == "numpy" else found


def _pandas(value: Any) -> Any:
    pandas = sys.modules["pandas"]
    if isinstance(value, pandas.DataFrame):
        return value.to_dict("records")
    if value is pandas.NA or value is pandas.NaT:
        return None
    if isinstance(value, pandas.Timestamp):
        return value.to_pydatetime(warn=False)
    if isinstance(value, pandas.Timedelta):
        return value.to_pytimedelta()
    if isinstance(value, pandas.Period | pandas.Interval):
        return str(value)
    return value.tolist() if hasattr(value, "tolist") else value


_LIBRARIES: dict[str, Callable[[Any], Any]] = {"numpy": _numpy, "pandas": _pandas}
