"""Objects as plain values, and back without running code of theirs: what was kept is what comes back."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

from .plain import NoPlainForm

#: MessagePack's tag.
OBJECT: Final = 32

#: What pydantic keeps of a model, as its own `__getstate__` does.
_MODEL: Final = ("__dict__", "__pydantic_extra__", "__pydantic_fields_set__", "__pydantic_private__")
_BASES: Final = (str, int, float, bytes, tuple, dict, list, set, frozenset)


def write_object(value: Any) -> list[Any]:
    """Kind and content of a dataclass, pydantic model, enum member or named tuple; raises NoPlainForm."""
    kind = _kind(value)
    if kind == "enum" and value.name in type(value).__members__:
        return [kind, value.name]
    if kind == "tuple":
        return [kind, list(value)]
    if kind == "dataclass":
        return [kind, _fields(value)]
    if kind == "model":
        return [kind, {name: getattr(value, name) for name in _MODEL}]
    raise NoPlainForm(type(value).__name__)


def read_object(cls: type, kind: str, content: Any) -> Any:
    """The object; raises whatever does not fit."""
    found: Any = cls
    if kind == "enum":
        return found[content]
    if kind == "tuple":
        return found._make(content)
    made = object.__new__(found)
    if kind == "model":
        for name in _MODEL:
            object.__setattr__(made, name, content[name])
        return made
    if set(content) != {each.name for each in fields(found)}:
        raise ValueError("it has other fields now")
    for name, item in content.items():
        object.__setattr__(made, name, item)
    return made


def described(value: Any) -> list[Any]:
    """What tells an object from others of its class, for a digest; raises NoPlainForm where nothing does."""
    kind = _kind(value)
    if kind:
        return write_object(value)
    if isinstance(value, defaultdict):
        # Its factory is a function.
        raise NoPlainForm(type(value).__name__)
    if isinstance(value, deque):
        return ["deque", list(value), value.maxlen]
    if isinstance(value, MappingProxyType):
        return ["mapping", dict(value)]
    attributes = getattr(type(value), "__attrs_attrs__", None)
    if attributes is not None:
        return ["attrs", {each.name: getattr(value, each.name) for each in attributes}]
    for base in _BASES:
        if isinstance(value, base):
            whole: Any = base
            return [base.__name__, whole(value) if base is not str else str.__str__(value), vars_of(value)]
    raise NoPlainForm(type(value).__name__)


def _kind(value: Any) -> str:
    cls = type(value)
    if isinstance(value, Enum):
        return "enum"
    if isinstance(value, tuple) and hasattr(cls, "_fields") and hasattr(cls, "_make"):
        return "tuple"
    if isinstance(value, _BASES):
        return ""
    if hasattr(cls, "__pydantic_fields__") and hasattr(cls, "model_dump"):
        return "model"
    return "dataclass" if is_dataclass(cls) else ""


def _fields(value: Any) -> dict[str, Any]:
    found = {each.name: getattr(value, each.name) for each in fields(value)}
    # An attribute beside the fields is a part of the value that the class does not declare.
    if not found.keys() >= vars_of(value).keys():
        raise NoPlainForm(type(value).__name__)
    return found


def vars_of(value: Any) -> Mapping[str, Any]:
    """The object's own attributes; none where it has slots alone."""
    return getattr(value, "__dict__", {})
