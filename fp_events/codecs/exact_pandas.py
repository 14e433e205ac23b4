"""What tells two values of pandas apart, and its scalars as plain values."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from .plain import NoPlainForm


def identity_of_pandas(value: Any) -> list[Any]:
    """Plain values, and scalars that need a rule of their own; equal for equal values of equal types.

    Raises NoPlainForm.
    """
    pandas = sys.modules["pandas"]
    scalar = write_scalar(value)
    if scalar is not None:
        return list(scalar)
    if isinstance(value, pandas.DataFrame):
        columns = [_column(value.iloc[:, number].array) for number in range(value.shape[1])]
        return [_index(value.columns), _index(value.index), columns, dict(value.attrs)]
    if isinstance(value, pandas.Series):
        return [value.name, _index(value.index), _column(value.array), dict(value.attrs)]
    if isinstance(value, pandas.Index):
        return _index(value)
    raise NoPlainForm(type(value).__name__)


def is_same(one: Any, other: Any) -> bool:
    """Whether two values are alike in types, labels and every cell."""
    return type(one) is type(other) and _alike(identity_of_pandas(one), identity_of_pandas(other))


def _alike(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(_alike(one[name], other[name]) for name in one)
    # NaN, NaT and NA are themselves; `==` of NA is no bool.
    return one is other or (repr(one) == repr(other) and (one != one or bool(one == other)))  # noqa: PLR0124 (NaN)


def _index(index: Any) -> list[Any]:
    pandas = sys.modules["pandas"]
    head = [type(index).__name__, list(index.names), getattr(index, "freqstr", None)]
    if isinstance(index, pandas.RangeIndex):
        return [*head, index.start, index.stop, index.step]
    if isinstance(index, pandas.MultiIndex):
        return [*head, [_index(level) for level in index.levels], [code.tobytes() for code in index.codes]]
    return [*head, _column(index.array)]


def _column(array: Any) -> list[Any]:
    """The type of a column and its cells."""
    kind = str(array.dtype)
    if hasattr(array, "codes") and hasattr(array, "categories"):
        return [kind, bool(array.ordered), _index(array.categories), array.codes.tobytes()]
    if hasattr(array, "asi8"):
        return [kind, array.asi8.tobytes()]
    if isinstance(array, sys.modules["pandas"].arrays.NumpyExtensionArray):
        cells = array.to_numpy()
        return [kind, list(cells)] if cells.dtype.hasobject else [kind, cells.dtype.str, cells.tobytes()]
    # Text, cells of objects, and columns with values of their own that are missing.
    return [kind, list(array)]


def write_scalar(value: Any) -> tuple[Any, ...] | None:
    """Kind and plain content of a scalar; None for what is none, or cannot be made again."""
    pandas = sys.modules["pandas"]
    if value is pandas.NA:
        return ("NA",)
    if value is pandas.NaT:
        return ("NaT",)
    if type(value) is pandas.Timestamp:
        zone = None if value.tz is None else str(value.tz)
        found: tuple[Any, ...] = ("Timestamp", value.unit, value.asm8.view("i8").item(), zone)
    elif type(value) is pandas.Timedelta:
        found = ("Timedelta", value.unit, value.asm8.view("i8").item())
    elif type(value) is pandas.Period:
        found = ("Period", value.ordinal, value.freqstr)
    else:
        return None
    return found if repr(read_scalar(*found)) == repr(value) else None


def read_scalar(kind: str, *content: Any) -> Any:
    """The scalar; raises whatever does not fit."""
    pandas = importlib.import_module("pandas")
    numpy = importlib.import_module("numpy")
    if kind == "Timestamp":
        unit, count, zone = content
        stamp = pandas.Timestamp(numpy.datetime64(count, unit))
        return stamp if zone is None else stamp.tz_localize("UTC").tz_convert(zone)
    if kind == "Timedelta":
        unit, count = content
        return pandas.Timedelta(numpy.timedelta64(count, unit))
    if kind == "Period":
        ordinal, frequency = content
        return pandas.Period(ordinal=ordinal, freq=frequency)
    return {"NA": pandas.NA, "NaT": pandas.NaT}[kind]
