"""Contradictions between a type hint and what is known of a value. Only certain ones: a doubt is no finding."""

from __future__ import annotations

import collections.abc
import datetime
import decimal
import types
import typing
from collections.abc import Mapping
from typing import Any

#: Types whose instances are never anything else in disguise.
_PLAIN = (
    str,
    bytes,
    bytearray,
    bool,
    int,
    float,
    complex,
    list,
    tuple,
    dict,
    set,
    frozenset,
    type(None),
    datetime.datetime,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    decimal.Decimal,
)
#: PEP 484: an int will do for a float, both for a complex.
_TOWER = {float: (int,), complex: (int, float)}


def value_contradicts(hint: Any, value: object) -> bool:
    """Whether `value`, as it stands in a YAML file, cannot be what `hint` says."""
    hint = _bare(hint)
    alternatives = _alternatives(hint)
    if alternatives is not None:
        return all(value_contradicts(alternative, value) for alternative in alternatives)
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return type(value) in _PLAIN and value not in typing.get_args(hint)
    if type_contradicts(hint, type(value)):
        return True
    arguments = typing.get_args(hint)
    if origin in (list, set, frozenset, collections.abc.Sequence, collections.abc.Iterable) and len(arguments) == 1:
        return isinstance(value, list) and any(value_contradicts(arguments[0], item) for item in value)
    if origin in (dict, collections.abc.Mapping) and len(arguments) == 2 and isinstance(value, Mapping):
        return any(value_contradicts(arguments[1], item) for item in value.values())
    return False


def type_contradicts(hint: Any, kind: type) -> bool:
    """Whether no value of exactly the type `kind` can be what `hint` says."""
    hint = _bare(hint)
    alternatives = _alternatives(hint)
    if alternatives is not None:
        return all(type_contradicts(alternative, kind) for alternative in alternatives)
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return kind in _PLAIN and not any(type(choice) is kind for choice in typing.get_args(hint))
    wanted = origin or hint
    if not isinstance(wanted, type) or kind not in _PLAIN:
        return False
    if wanted not in _PLAIN and wanted.__module__ != "collections.abc":
        return False
    return not issubclass(kind, (wanted, *_TOWER.get(wanted, ())))


def hints_contradict(taken: Any, given: Any) -> bool:
    """Whether no value of the hint `given` can be what the hint `taken` says."""
    given = _bare(given)
    alternatives = _alternatives(given)
    if alternatives is not None:
        return all(hints_contradict(taken, alternative) for alternative in alternatives)
    kind = typing.get_origin(given) or given
    # A node said to give a float may give an int.
    return isinstance(kind, type) and kind is not float and type_contradicts(taken, kind)


def allows_none(hint: Any) -> bool:
    """Whether None may be what `hint` says."""
    return not type_contradicts(hint, type(None))


def _bare(hint: Any) -> Any:
    """`hint` without what does not change which values it takes."""
    while True:
        if typing.get_origin(hint) is typing.Annotated:
            hint = typing.get_args(hint)[0]
        elif isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        else:
            return hint


def _alternatives(hint: Any) -> tuple[Any, ...] | None:
    origin = typing.get_origin(hint)
    if origin is typing.Union or origin is types.UnionType:
        return typing.get_args(hint)
    return None
