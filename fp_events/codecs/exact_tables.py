"""Arrays and tables: NumPy's own file format, Arrow for pandas and pyarrow, Polars' Arrow.

No library is imported to write: a value of its class can only be here where somebody else imported it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from io import BytesIO
from typing import Any, Final

from .errors import EncodeError
from .exact_pandas import identity_of_pandas, is_same, read_scalar, write_scalar
from .plain import NoPlainForm, library_of

#: MessagePack's tag.
TABLE: Final = 33
LIBRARIES: Final = frozenset({"numpy", "pandas", "polars", "pyarrow"})


def write_table(value: Any) -> tuple[Any, ...] | None:
    """Kind and content; None for a type without a rule. Raises EncodeError and what the libraries raise."""
    return _WRITERS[library_of(value)](value)


def read_table(kind: str, *content: Any) -> Any:
    """The value; raises KeyError for an unknown kind, and what the libraries raise."""
    return _READERS[kind](*content)


def identity_of_table(value: Any) -> list[Any]:
    """What tells a value from others of its class: plain values, and values that need a rule of their own.

    Raises NoPlainForm.
    """
    library = library_of(value)
    if library == "pandas":
        return identity_of_pandas(value)
    found = write_table(value)
    if found is None:
        raise NoPlainForm(type(value).__name__)
    return list(found)


def _write_numpy(value: Any) -> tuple[Any, ...] | None:
    numpy = sys.modules["numpy"]
    if type(value) is numpy.ndarray:
        return "ndarray", _npy(value)
    if isinstance(value, numpy.generic) and not value.dtype.hasobject:
        plain = value.dtype.names is None
        return ("scalar", value.dtype.str, value.tobytes()) if plain else ("record", _npy(numpy.asarray(value)))
    return None


def _npy(array: Any) -> bytes:
    if array.dtype.hasobject:
        raise EncodeError("it is an array of objects")
    file = BytesIO()
    sys.modules["numpy"].lib.format.write_array(file, array, allow_pickle=False)
    return file.getvalue()


def _read_npy(data: bytes) -> Any:
    return importlib.import_module("numpy").load(BytesIO(data), allow_pickle=False)


def _read_scalar(kind: str, data: bytes) -> Any:
    return importlib.import_module("numpy").ndarray((), dtype=kind, buffer=data)[()]


def _write_pandas(value: Any) -> tuple[Any, ...] | None:
    pandas = sys.modules["pandas"]
    scalar = write_scalar(value)
    if scalar is not None:
        return "pandas", *scalar
    if type(value) is pandas.DataFrame:
        kind, frame, extra = "frame", value, [_range(value.columns), _frequency(value.index)]
    elif type(value) is pandas.Series:
        kind, frame, extra = "series", value.to_frame(name="value"), [value.name, _frequency(value.index)]
    else:
        return None
    content = (kind, _arrow_of_pandas(frame), extra)
    # Arrow has fewer types than columns of objects do, and no attributes.
    if not is_same(value, read_table(*content)):
        raise EncodeError(f"a {type(value).__name__} like this one does not come back from Arrow as it was")
    return content


def _range(columns: Any) -> list[Any] | None:
    """Columns that are numbered, of which Arrow makes an index of another type."""
    if type(columns) is not sys.modules["pandas"].RangeIndex:
        return None
    return [columns.start, columns.stop, columns.step, columns.name]


def _frequency(index: Any) -> str | None:
    """Of an index of times, which Arrow loses; that of periods is a part of their type."""
    pandas = sys.modules["pandas"]
    return index.freqstr if isinstance(index, pandas.DatetimeIndex | pandas.TimedeltaIndex) else None


def _read_frame(data: bytes, extra: list[Any]) -> Any:
    frame = _read_arrow(data).to_pandas()
    columns, frequency = extra
    if frequency is not None:
        frame.index.freq = frequency
    if columns is not None:
        start, stop, step, name = columns
        frame.columns = importlib.import_module("pandas").RangeIndex(start, stop, step, name=name)
    return frame


def _arrow_of_pandas(frame: Any) -> bytes:
    try:
        arrow = importlib.import_module("pyarrow")
    except ImportError:
        raise EncodeError("tables of pandas need pyarrow", mend="pip install pyarrow") from None
    if len({type(name) for name in frame.columns}) > 1:
        raise EncodeError("its columns have names of several types")
    return _arrow(arrow.Table.from_pandas(frame))


def _arrow(table: Any) -> bytes:
    ipc = importlib.import_module("pyarrow.ipc")
    file = BytesIO()
    with ipc.new_stream(file, table.schema) as stream:
        stream.write(table)
    return file.getvalue()


def _read_arrow(data: bytes) -> Any:
    return importlib.import_module("pyarrow.ipc").open_stream(data).read_all()


def _write_pyarrow(value: Any) -> tuple[Any, ...] | None:
    arrow = sys.modules["pyarrow"]
    if type(value) is arrow.Table:
        return "arrow", _arrow(value.combine_chunks())
    if type(value) is arrow.RecordBatch:
        return "batch", _arrow(arrow.Table.from_batches([value]))
    if isinstance(value, arrow.Array) or type(value) is arrow.ChunkedArray:
        chunked = type(value) is arrow.ChunkedArray
        table = arrow.table({"value": value})
        return ("chunked" if chunked else "array"), _arrow(table.combine_chunks())
    return None


def _write_polars(value: Any) -> tuple[Any, ...] | None:
    polars = sys.modules["polars"]
    if type(value) is polars.DataFrame:
        return "polars", _polars(value)
    if type(value) is polars.Series:
        return "polars series", _polars(value.to_frame())
    return None


def _polars(frame: Any) -> bytes:
    file = BytesIO()
    frame.rechunk().write_ipc_stream(file)
    return file.getvalue()


def _read_polars(data: bytes) -> Any:
    return importlib.import_module("polars").read_ipc_stream(BytesIO(data))


def _series(data: bytes, extra: list[Any]) -> Any:
    name, frequency = extra
    return _read_frame(data, [None, frequency])["value"].rename(name)


_WRITERS: Final[dict[str, Callable[[Any], tuple[Any, ...] | None]]] = {
    "numpy": _write_numpy,
    "pandas": _write_pandas,
    "polars": _write_polars,
    "pyarrow": _write_pyarrow,
}

_READERS: Final[dict[str, Callable[..., Any]]] = {
    "ndarray": _read_npy,
    "scalar": _read_scalar,
    "record": lambda data: _read_npy(data)[()],
    "pandas": read_scalar,
    "frame": _read_frame,
    "series": _series,
    "arrow": _read_arrow,
    "batch": lambda data: _read_arrow(data).combine_chunks().to_batches()[0],
    "array": lambda data: _read_arrow(data).column(0).chunk(0),
    "chunked": lambda data: _read_arrow(data).column(0),
    "polars": _read_polars,
    "polars series": lambda data: _read_polars(data).to_series(),
}
