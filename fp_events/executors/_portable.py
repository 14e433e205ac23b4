"""What goes over Redis: attempts and their results as msgpack of plain values, never a pickle.

Whoever can write to Redis can send such bytes: reading them makes nothing but the values of the domain, and only of
the types that their fields name.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgpack

T = TypeVar("T")
Reader = Callable[[Any], Any]


def pack(value: object) -> bytes:
    """A value of the domain as bytes; fields with their default values are left out.

    Raises TypeError or ValueError for what its fields should not hold.
    """
    packed: bytes = msgpack.packb(_plain(value), use_bin_type=True)
    return packed


def unpack(cls: type[T], data: bytes) -> T:
    """The value of `cls` that `pack` was given; raises ValueError for anything else."""
    try:
        read: Reader = _reader(cls)  # type: ignore[arg-type]  # a class is hashable, which mypy does not see of a T
        found = read(msgpack.unpackb(data, raw=False, strict_map_key=True))
    except Exception as error:
        raise ValueError(f"not the bytes of a {cls.__name__} ({type(error).__name__}: {error})") from error
    assert isinstance(found, cls)
    return found


def to_text(data: bytes) -> str:
    """Bytes for JSON."""
    return base64.b64encode(data).decode("ascii")


def from_text(text: object) -> bytes:
    """Bytes from JSON; raises ValueError."""
    if not isinstance(text, str):
        raise ValueError(f"expected text, got {type(text).__name__}")
    return base64.b64decode(text, validate=True)


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _plain(item) for field in fields(value) if not _is_default(field, item := _get(value, field))
        }
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _get(value: object, field: Any) -> Any:
    return getattr(value, field.name)


def _is_default(field: Any, item: object) -> bool:
    return field.default is not MISSING and type(item) is type(field.default) and item == field.default


@cache
def _reader(annotation: Any) -> Reader:
    """What turns plain values into those of `annotation`, and raises TypeError or ValueError for others."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        (only,) = (argument for argument in arguments if argument is not NoneType)
        read_one = _reader(only)
        return lambda value: None if value is None else read_one(value)
    if origin is tuple:
        return _tuple_reader(arguments)
    if origin is not None and issubclass(origin, Mapping):
        read_key, read_item = _reader(arguments[0]), _reader(arguments[1])
        return lambda value: {read_key(key): read_item(item) for key, item in _expect(dict, value).items()}
    if is_dataclass(annotation):
        return _dataclass_reader(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return annotation
    if annotation is datetime:
        return _read_datetime
    if annotation is float:
        return lambda value: float(_expect((float, int), value))
    return lambda value: _expect(annotation, value)


def _tuple_reader(arguments: tuple[Any, ...]) -> Reader:
    if arguments[-1] is Ellipsis:
        read_item = _reader(arguments[0])
        return lambda value: tuple(map(read_item, _expect(list, value)))
    readers = tuple(map(_reader, arguments))
    return lambda value: tuple(read(item) for read, item in zip(readers, _expect(list, value), strict=True))


def _dataclass_reader(cls: Any) -> Reader:
    hints = get_type_hints(cls)
    # Made when first used: a class may hold values of its own kind.
    readers: dict[str, Reader] = {}

    def read(value: object) -> object:
        given = _expect(dict, value)
        if not readers:
            readers.update({field.name: _reader(hints[field.name]) for field in fields(cls)})
        return cls(**{name: readers[name](item) for name, item in given.items()})

    return read


def _read_datetime(value: object) -> datetime:
    read = datetime.fromisoformat(_expect(str, value))
    if read.tzinfo is None:
        raise ValueError("a time without its zone")
    return read


def _expect(kind: Any, value: Any) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"expected {getattr(kind, '__name__', kind)}, got {type(value).__name__}")
    return value
