"""Values that are read back exactly as they were, types included: MessagePack with a tag for each further type.

Nothing is pickled and no class is looked up by a name in the data: objects are made of the classes that the reader
names. `digest` is the same form, of more types, as a hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from fp_events.domain.errors import Undecodable

from .errors import EncodeError
from .exact_objects import OBJECT, described, read_object, write_object
from .exact_tables import LIBRARIES, TABLE, identity_of_table, read_table, write_table
from .plain import NoPlainForm, library_of

#: What a class is called in a digest, and what of its code counts.
Identity = Callable[[type], str]
Pack = Callable[[Any], bytes]

#: Lists and dicts in one another; MessagePack ends at 511.
_DEPTH: Final = 500
#: MessagePack's own encoder would make plain bytes of them.
_REFUSED: Final = frozenset({bytearray, memoryview})
_CONTAINERS: Final = frozenset({dict, list})


def encode_exact(value: Any, classes: Mapping[str, type]) -> bytes:
    """Bytes of a value; raises EncodeError for what `decode_exact` could not make again.

    `classes` by name: dataclasses, pydantic models, enums and named tuples that the value may be made of.
    """
    names = {kind: name for name, kind in classes.items()}

    def pack(item: Any) -> bytes:
        return _packb(item, step)

    def step(item: Any) -> Any:
        found = _tagged(item, pack)
        if found is None and type(item) in names:
            found = _ext(OBJECT, pack([names[type(item)], *write_object(item)]))
        if found is None and library_of(item) in LIBRARIES:
            found = _table(item, pack)
        if found is None:
            raise NoPlainForm(type(item).__name__)
        return found

    return _guarded(pack, value)


def digest(value: Any, identity: Identity) -> str:
    """A hash of a value and of its types, the same in every process; raises EncodeError for what has none.

    The order of dicts counts, that of sets does not. Objects count by class and fields.
    """

    def pack(item: Any) -> bytes:
        return _packb(item, step)

    def step(item: Any) -> Any:
        found = _tagged(item, pack)
        if found is None and library_of(item) in LIBRARIES:
            found = _ext(TABLE, pack([type(item).__name__, *identity_of_table(item)]))
        if found is None:
            content = described(item)
            found = _ext(OBJECT, pack([identity(type(item)), *content]))
        return found

    return hashlib.blake2b(_guarded(pack, value), digest_size=20).hexdigest()


def decode_exact(data: bytes, classes: Mapping[str, type]) -> Any:
    """What `encode_exact` was given; raises Undecodable for anything else."""

    def unpack(part: bytes) -> Any:
        import msgpack

        return msgpack.unpackb(
            part, strict_map_key=False, ext_hook=untag, unicode_errors="surrogatepass", raw=False, use_list=True
        )

    def untag(code: int, part: bytes) -> Any:
        if code in _READERS:
            return _READERS[code](part, unpack)
        content = unpack(part)
        if code == OBJECT:
            return read_object(classes[content[0]], *content[1:])
        if code == TABLE:
            return read_table(*content)
        raise ValueError("unknown tag")

    try:
        return unpack(data)
    except Exception as error:  # noqa: BLE001 - the data may be anybody's, and ask a library for anything
        raise Undecodable(f"a kept value cannot be read ({type(error).__name__})") from None


def _guarded(pack: Pack, value: Any) -> bytes:
    try:
        return pack(value)
    except NoPlainForm as error:
        raise EncodeError(f"its type, or a type inside, is {error}") from None
    except EncodeError:
        raise
    except RecursionError:
        raise EncodeError("it is nested too deep, or holds itself") from None
    except Exception as error:  # noqa: BLE001 - a value's own methods, and the libraries that write tables, raise anything
        raise EncodeError(f"{type(error).__name__} was raised: {error}") from None


def _packb(item: Any, step: Callable[[Any], Any]) -> bytes:
    import msgpack

    level = [item]
    depth = _DEPTH
    while level:
        depth -= 1
        if depth < 0:
            raise RecursionError
        below: list[Any] = []
        for each in level:
            kind = type(each)
            if kind in _REFUSED:
                raise NoPlainForm(kind.__name__)
            if kind in _CONTAINERS:
                below += [one for one in (each.values() if kind is dict else each) if type(one) in _LOOKED_AT]
        level = below
    packed: bytes = msgpack.packb(item, default=step, strict_types=True, unicode_errors="surrogatepass")
    return packed


_LOOKED_AT: Final = _REFUSED | _CONTAINERS


def _ext(code: int, data: bytes) -> Any:
    import msgpack

    return msgpack.ExtType(code, data)


def _tagged(item: Any, pack: Pack) -> Any:
    kind = type(item)
    rule = _WRITERS.get(kind)
    if rule is None:
        return None
    code, write = rule
    return _ext(code, write(item, pack))


def _table(item: Any, pack: Pack) -> Any:
    content = write_table(item)
    if content is None:
        return None
    return _ext(TABLE, pack(list(content)))


def _zone(zone: Any) -> Any:
    """A time zone in plain values."""
    if zone is None:
        return None
    if type(zone) is timezone:
        offset, name = zone.utcoffset(None), zone.tzname(None)
        return [offset // timedelta(microseconds=1), None if name == timezone(offset).tzname(None) else name]
    if type(zone) is ZoneInfo and zone.key is not None:
        return zone.key
    raise NoPlainForm(type(zone).__name__)


def _zone_of(found: Any) -> Any:
    if found is None or isinstance(found, str):
        return found and ZoneInfo(found)
    offset = timedelta(microseconds=found[0])
    return timezone(offset) if found[1] is None else timezone(offset, found[1])


def _moment(value: Any, pack: Pack) -> bytes:
    return pack([value.replace(tzinfo=None, fold=0).isoformat(), value.fold, _zone(value.tzinfo)])


def _moment_of(kind: Any) -> Callable[[bytes, Any], Any]:
    def read(data: bytes, unpack: Any) -> Any:
        text, fold, zone = unpack(data)
        return kind.fromisoformat(text).replace(tzinfo=_zone_of(zone), fold=fold)

    return read


def _items(value: Any, pack: Pack) -> bytes:
    return pack(list(value))


def _unordered(value: Any, pack: Pack) -> bytes:
    return pack(sorted(pack(item) for item in value))


def _delta(value: timedelta, pack: Pack) -> bytes:
    return pack([value.days, value.seconds, value.microseconds])


def _path(value: PurePath, pack: Pack) -> bytes:
    return pack(str(value))


#: Type -> its tag and how it is written. Tags are stored: never reuse one.
_WRITERS: Final[dict[type, tuple[int, Callable[[Any, Pack], bytes]]]] = {
    # Beyond 64 bits: MessagePack asks for no others.
    int: (1, lambda value, _: format(value, "x").encode()),
    tuple: (2, _items),
    set: (3, _unordered),
    frozenset: (4, _unordered),
    complex: (5, lambda value, pack: pack([value.real, value.imag])),
    datetime: (6, _moment),
    date: (7, lambda value, _: value.isoformat().encode()),
    time: (8, _moment),
    timedelta: (9, _delta),
    Decimal: (10, lambda value, _: str(value).encode()),
    UUID: (11, lambda value, _: value.bytes),
    PurePosixPath: (12, _path),
    PureWindowsPath: (13, _path),
    range: (14, lambda value, pack: pack([value.start, value.stop, value.step])),
    # The system's own kind of path.
    type(Path()): (15, _path),
}

_READERS: Final[dict[int, Callable[[bytes, Any], Any]]] = {
    1: lambda data, _: int(data, 16),
    2: lambda data, unpack: tuple(unpack(data)),
    3: lambda data, unpack: {unpack(item) for item in unpack(data)},
    4: lambda data, unpack: frozenset(unpack(item) for item in unpack(data)),
    5: lambda data, unpack: complex(*unpack(data)),
    6: _moment_of(datetime),
    7: lambda data, _: date.fromisoformat(data.decode()),
    8: _moment_of(time),
    9: lambda data, unpack: timedelta(*unpack(data)),
    10: lambda data, _: Decimal(data.decode()),
    11: lambda data, _: UUID(bytes=data),
    12: lambda data, unpack: PurePosixPath(unpack(data)),
    13: lambda data, unpack: PureWindowsPath(unpack(data)),
    14: lambda data, unpack: range(*unpack(data)),
    15: lambda data, unpack: Path(unpack(data)),
}
