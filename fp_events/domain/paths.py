"""Dotted paths into a message: ``payload.values[0]``, ``topic.line``, ``message.properties.user.site``.

A path is a root and names after dots; a name with other characters than those of a word is quoted
(``payload."a.b"``), an item of a list is ``.0`` or ``[0]``, from the end ``[-1]``. Attributes are reached
only where they are named here or declared by a dataclass, a pydantic model or a named tuple.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from .message import Message, Properties
from .topic_filter import shown

_PART = re.compile(r"""\.?"(?P<quoted>(?:[^"\\]|\\.)*)"|\[(?P<index>-?\d{1,9})\]|\.?(?P<name>[^\s.\[\]"{}?]+)""")

_MESSAGE_FIELDS = ("topic", "payload", "qos", "retain", "received_at", "properties")
_PROPERTY_FIELDS = ("content_type", "response_topic", "correlation_data", "message_expiry", "user")


class Missing(LookupError):
    """A path leads nowhere; the text says which part is missing in what."""


def split_path(text: str) -> tuple[str, ...]:
    """The names of a dotted path, the root first; raises ValueError with one sentence."""
    parts: list[str] = []
    place = 0
    while place < len(text):
        found = _PART.match(text, place)
        # A dot stands between names: none before the first, one before every other.
        dotted = text[place] == "."
        if found is None or (dotted == (not parts) and text[place] != "["):
            raise ValueError(f"path {shown(text)}: nothing can be read from character {place + 1}")
        quoted, index, name = found.group("quoted", "index", "name")
        parts.append(re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else index if index is not None else name)
        place = found.end()
    if not parts or not parts[0].isidentifier():
        raise ValueError(f"path {shown(text)}: it does not begin with a name")
    return tuple(parts)


def check_message_path(parts: Sequence[str], text: str) -> None:
    """Raise ValueError where `parts`, what follows ``message``, is no field of a message."""
    known: tuple[str, ...] = _MESSAGE_FIELDS
    for depth, part in enumerate(parts):
        if part not in known:
            choice = ", ".join(known) or "nothing"
            raise ValueError(f"path {shown(text)}: there is no {part!r}; after the last name before it come {choice}")
        if part == "properties" and depth == 0:
            known = _PROPERTY_FIELDS
        elif part == "user" and depth == 1:
            if len(parts) > 3:
                raise ValueError(f"path {shown(text)}: a user property is text, nothing follows its name")
            return
        else:
            known = ()


def walk(value: Any, parts: Sequence[str], root: str) -> Any:
    """The value that `parts` lead to from `value`, which `root` names; raises Missing."""
    for depth, part in enumerate(parts):
        if type(value) is dict and part in value:
            value = value[part]
            continue
        value = _step(value, part, ".".join((root, *parts[:depth])))
    return value


def _step(value: Any, part: str, so_far: str) -> Any:
    if isinstance(value, Mapping):
        return _entry(value, part, so_far)
    if isinstance(value, Message | Properties):
        return _field_of_message(value, part, so_far)
    names = _declared(value)
    if part in names:
        return getattr(value, part)
    if isinstance(value, list | tuple) and is_index(part):
        if -len(value) <= int(part) < len(value):
            return value[int(part)]
        raise Missing(f"{so_far} has no item {part}, it has {len(value)}")
    raise Missing(f"{so_far} is {_kind(value)}, so it has no {part!r}")


def _entry(value: Mapping[Any, Any], part: str, so_far: str) -> Any:
    if part in value:
        return value[part]
    # MessagePack and CBOR know maps with integer keys.
    if is_index(part) and int(part) in value:
        return value[int(part)]
    raise Missing(f"{so_far} has no {part!r}")


def _field_of_message(value: Message | Properties, part: str, so_far: str) -> Any:
    if part not in (_MESSAGE_FIELDS if isinstance(value, Message) else _PROPERTY_FIELDS):
        raise Missing(f"{so_far} has no {part!r}")
    if part == "user":
        # The first of equal names counts, as in `Properties.user_value`.
        return dict(reversed(value.user)) if isinstance(value, Properties) else None
    found = getattr(value, part)
    if found is None:
        raise Missing(f"the message has no {part.replace('_', ' ')}")
    return found


def _declared(value: Any) -> Sequence[str]:
    """The fields that a value's class declares; a name beside them is never looked up."""
    if is_dataclass(value) and not isinstance(value, type):
        return [field.name for field in fields(value)]
    kind = type(value)
    declared = getattr(kind, "model_fields", None)
    if isinstance(declared, Mapping):
        return list(declared)
    return tuple(getattr(kind, "_fields", ())) if isinstance(value, tuple) else ()


def is_index(part: str) -> bool:
    """Whether a part may be the place of an item in a list."""
    return part.removeprefix("-").isdecimal() and part.isascii() and len(part) <= 10


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "text", bytes: "bytes"}
    return names.get(type(value)) or ("a list" if isinstance(value, list | tuple) else f"a {type(value).__name__}")
