"""Walking the declared keys: what may stand at a path."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from .keys import Keys
from .kinds import Kind
from .layers import Path
from .values import Substituted, typed

#: A model class, or a type annotation without its `Annotated` and `None`.
Shape = Any


def shape(annotation: object) -> Shape:
    """`annotation` without `Annotated` and ``| None``."""
    if get_origin(annotation) is Annotated:
        return shape(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return shape(next(arg for arg in get_args(annotation) if arg is not NoneType))
    return annotation


def kind(annotation: object) -> Kind | None:
    """The `Kind` that reads the values of a leaf."""
    if get_origin(annotation) is Annotated:
        return next((item for item in get_args(annotation)[1:] if isinstance(item, Kind)), None)
    if get_origin(annotation) in (Union, UnionType):
        return next((found for arg in get_args(annotation) if (found := kind(arg))), None)
    return None


def field_kind(field: FieldInfo) -> Kind | None:
    """The `Kind` that reads a field, if it is a leaf."""
    return next((item for item in field.metadata if isinstance(item, Kind)), None) or kind(field.annotation)


def block_of(found: Shape) -> type[BaseModel] | None:
    """The model class, if `found` is one."""
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def item_of(found: Shape) -> Shape | None:
    """The shape of a list's items, or of a mapping's values; None for leaves."""
    origin: object = get_origin(found)
    if origin is tuple or origin is dict:
        return shape(get_args(found)[0 if origin is tuple else 1])
    return None


def is_mapping(found: Shape) -> bool:
    """Whether its keys are the user's own."""
    origin: object = get_origin(found)
    return origin is dict


def knowledge(block: type[BaseModel]) -> type[Keys]:
    """What a block knows beside its keys."""
    assert issubclass(block, Keys)
    return block


def at(found: Shape, path: Path) -> Shape | None:
    """The shape at `path` below `found`; None where the path leaves the declared keys."""
    for part in path:
        block = block_of(found)
        if block is not None:
            field = block.model_fields.get(str(part))
            found = shape(field.annotation) if field else None
        else:
            found = item_of(found)
        if found is None:
            return None
    return found


def tidy(value: object, found: Shape) -> object:
    """`value` without empty blocks and lists that stand for nothing, and with bare words spelt out.

    A null block is one whose keys are all commented out; an empty block of a key that does nothing is harmless.
    """
    block = block_of(found)
    if block is not None:
        return _tidy_block(value, block)
    item = item_of(found)
    if item is not None and isinstance(value, list):
        return [tidy(entry, item) for entry in value]
    if item is not None and isinstance(value, Mapping):
        return {name: tidy(entry, item) for name, entry in value.items()}
    return value


def _tidy_block(value: object, block: type[BaseModel]) -> object:
    known = knowledge(block)
    if known.shorthand and isinstance(value, str | bool):
        return {known.shorthand: value}
    if not isinstance(value, Mapping):
        return value
    tidied = {}
    for name, entry in value.items():
        field = block.model_fields.get(name) if isinstance(name, str) else None
        found = shape(field.annotation) if field else None
        if field is not None and _stands_for_nothing(entry, field):
            entry = None  # noqa: PLW2901  # what follows must see it as if it had been written so
        nothing = entry is None and found is not None and (block_of(found) or item_of(found) is not None)
        if nothing or (name in known.unavailable and _is_empty(entry)):
            continue
        tidied[name] = tidy(entry, found) if found is not None else entry
    return {**known.implied, **tidied} if tidied else tidied


def _stands_for_nothing(value: object, field: FieldInfo) -> bool:
    """Whether a substitution gave null, or nothing at all; text, such as a password, may well be `null` or `~`."""
    if not isinstance(value, Substituted) or not value.whole:
        return False
    found = field_kind(field)
    return not value or (typed(value) is None and not (found and found.label == "text"))


def _is_empty(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(_is_empty(entry) for entry in value.values())
    return value is None or value is False or value in ([], "")
