"""The classes that a type hint names: what a kept value may be made of."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import typing
from typing import Any

from .loading import public_text


def classes_of_result(function: Any) -> dict[str, type]:
    """`classes_in` for what a function returns; none where its hints cannot be resolved."""
    with contextlib.suppress(Exception):
        return classes_in(typing.get_type_hints(function).get("return"))
    return {}


def classes_in(hint: Any) -> dict[str, type]:
    """Dataclasses, pydantic models, enums and named tuples in a hint and in their own fields, by dotted name."""
    found: dict[str, type] = {}
    waiting = [hint]
    seen: list[Any] = []
    while waiting:
        one = waiting.pop()
        if any(one is other for other in seen):
            continue
        seen.append(one)
        waiting += typing.get_args(one)
        if isinstance(one, typing.NewType):
            waiting.append(one.__supertype__)
        if not isinstance(one, type):
            continue
        if _is_made_of_fields(one):
            found[public_text(f"{one.__module__}.{one.__qualname__}")] = one
        if _is_made_of_fields(one) or typing.is_typeddict(one):
            # A name that only a type checker can resolve hides what is behind it.
            with contextlib.suppress(Exception):
                waiting += typing.get_type_hints(one).values()
    return found


def _is_made_of_fields(kind: type) -> bool:
    named_tuple = issubclass(kind, tuple) and hasattr(kind, "_fields")
    return dataclasses.is_dataclass(kind) or named_tuple or issubclass(kind, enum.Enum) or _is_model(kind)


def _is_model(kind: type) -> bool:
    return hasattr(kind, "__pydantic_fields__")
