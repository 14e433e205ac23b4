"""Inputs whose annotation describes their fields: pydantic models, dataclasses and TypedDicts validate what comes in.

Validation is pydantic's, in its lax mode: "5" will do for an int unless the model is strict. Inputs annotated with
anything else are taken as they are.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import operator
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from fp_events.domain.errors import InputInvalid

from .selection import Selection

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

#: From what came in to what the annotation says. Raises InputInvalid, which names the field.
Validator = Callable[[Any], Any]

#: Fields that one error names; more are counted.
_NAMED = 3


def typed_inputs(selection: Selection) -> dict[str, Any]:
    """The inputs of a plan that are validated, with their annotations."""
    hints = {name: selection.graph.nodes[name].type for name in selection.inputs}
    return {name: hint for name, hint in hints.items() if is_typed(hint)}


def is_typed(hint: Any) -> bool:
    """Whether an annotation is, or holds, a class that describes its fields."""
    if isinstance(hint, type) and not typing.get_args(hint):
        return _describes_fields(hint)
    if isinstance(hint, typing.NewType):
        return is_typed(hint.__supertype__)
    if typing.get_origin(hint) is typing.Literal:
        return False
    parts = [typing.get_origin(hint), *typing.get_args(hint)]
    return any(is_typed(part) for part in parts if part is not None)


def _describes_fields(kind: type) -> bool:
    # Our own, such as Message, are made here and need no look.
    if kind.__module__.partition(".")[0] == "fp_events":
        return False
    return dataclasses.is_dataclass(kind) or typing.is_typeddict(kind) or hasattr(kind, "__pydantic_validator__")


def adapter_of(hint: Any) -> TypeAdapter[Any] | None:
    """What validates values of a hint; None where pydantic cannot."""
    from pydantic import PydanticUserError, TypeAdapter
    from pydantic.errors import PydanticSchemaGenerationError

    try:
        return TypeAdapter(_readable(hint))
    except (PydanticSchemaGenerationError, PydanticUserError, NameError):
        return None


def _readable(hint: Any) -> Any:
    """`hint` with `typing.TypedDict`, which pydantic reads from Python 3.12 on, made anew by `typing_extensions`."""
    if sys.version_info >= (3, 12):
        return hint
    if typing.is_typeddict(hint):
        return _typed_dict(hint) if type(hint).__module__ == "typing" else hint
    parts = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if not parts or origin is typing.Literal:
        return hint
    if origin is typing.Annotated:
        return typing.Annotated[(_readable(parts[0]), *hint.__metadata__)]
    made = tuple(_readable(part) for part in parts)
    if all(new is old for new, old in zip(made, parts, strict=True)):
        return hint
    if origin in (typing.Union, types.UnionType):
        return functools.reduce(operator.or_, made)
    return types.GenericAlias(origin, made)


def _typed_dict(kind: Any) -> Any:
    import typing_extensions

    fields = {}
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        origin = typing.get_origin(hint)
        if origin in (typing.Required, typing.NotRequired):
            fields[name] = origin[_readable(typing.get_args(hint)[0])]
        else:
            marker = typing.Required if name in kind.__required_keys__ else typing.NotRequired
            fields[name] = marker[_readable(hint)]
    # Called as a function, which type checkers know for a literal name only.
    make: Any = typing_extensions.TypedDict
    made = make(kind.__name__, fields)
    made.__doc__ = kind.__doc__
    return made


def validators_of(selection: Selection) -> Mapping[str, Validator]:
    """By input, as far as they are validated; made once per plan."""
    found = {}
    for name, hint in typed_inputs(selection).items():
        adapter = adapter_of(hint)
        if adapter is not None:
            found[name] = _validator(name, adapter)
    return found


def shapes_of(selection: Selection) -> list[str]:
    """What pydantic expects of validated inputs, as far as JSON Schema can say it."""
    hints = typed_inputs(selection)
    if not hints:
        return []
    from pydantic.errors import PydanticInvalidForJsonSchema

    found = []
    for name, hint in hints.items():
        adapter = adapter_of(hint)
        with contextlib.suppress(PydanticInvalidForJsonSchema):
            found.append(f"{name} {json.dumps(adapter.json_schema() if adapter else None, sort_keys=True)}")
    return found


def _validator(name: str, adapter: TypeAdapter[Any]) -> Validator:
    from pydantic import ValidationError

    validate = adapter.validate_python

    def checked(value: Any) -> Any:
        try:
            return validate(value)
        except ValidationError as error:
            raise _invalid(name, error) from None

    return checked


def _invalid(name: str, error: ValidationError) -> InputInvalid:
    """Field by field, without the values: they may be secret."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    first, *more = [(_place(name, each["loc"]), each["msg"]) for each in found]
    others = [f"{place}: {text}" for place, text in more[: _NAMED - 1]]
    if len(more) >= _NAMED:
        others.append(f"and {len(more) - _NAMED + 1} more")
    return InputInvalid("; ".join([first[1], *others]), where=first[0])


def _place(name: str, parts: tuple[int | str, ...]) -> str:
    text = name
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text
