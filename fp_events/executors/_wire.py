"""What goes between the daemon, the helper and the workers: pickles behind their length.

Only over socketpairs that this process made for its own children: never from a network or a file.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Callable
from dataclasses import fields
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from fp_events.domain.message import Message, Properties, Publication
from fp_events.domain.run import Attempt, AttemptResult, Failure, PlanRef

LENGTH = struct.Struct("!I")
#: What precedes an encoded result: seconds of the run, whether its worker ends now.
OUTCOME = struct.Struct("!d?")


def _rebuild(cls: type[Any], values: tuple[Any, ...]) -> Any:
    value = object.__new__(cls)
    for name, item in zip(cls.__slots__, values, strict=True):
        object.__setattr__(value, name, item)
    return value


def _reducer(cls: type[Any]) -> Callable[[Any], tuple[Any, ...]]:
    # A slotted dataclass pickles itself through `fields()`, at three times the cost of this.
    assert cls.__slots__ == tuple(field.name for field in fields(cls))
    values = attrgetter(*cls.__slots__)
    return lambda value: (_rebuild, (cls, values(value)))


_REDUCERS: dict[type[Any], Callable[[Any], Any]] = {
    cls: _reducer(cls) for cls in (Attempt, AttemptResult, Failure, Message, PlanRef, Properties, Publication)
}
_REDUCERS[MappingProxyType] = lambda value: (dict, (dict(value),))


def encode(value: object, header: bytes = b"") -> bytes:
    """One frame, its body being `header` and a pickle. Raises whatever pickle raises for what cannot be pickled."""
    buffer = io.BytesIO()
    buffer.write(b"\0" * LENGTH.size + header)
    pickler = pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = _REDUCERS
    pickler.dump(value)
    frame = buffer.getbuffer()
    LENGTH.pack_into(frame, 0, len(frame) - LENGTH.size)
    return frame.tobytes()


def decode(body: bytes | bytearray | memoryview) -> Any:
    """What `encode` was given, from a body without its header."""
    return pickle.loads(body)  # noqa: S301 - from our own child or parent, see above


def decode_frame(frame: bytes) -> Any:
    """What `encode` was given, from its whole frame."""
    return decode(memoryview(frame)[LENGTH.size :])
