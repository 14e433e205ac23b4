"""The types of settings: what is accepted, what it becomes, and what an error says that was expected."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from pydantic import GetCoreSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

from .units import format_duration, format_size, parse_duration, parse_size
from .values import Substituted, describe, typed


@dataclass(frozen=True)
class Kind:
    """How values of one kind are read, named and written."""

    label: str
    read: Callable[[object], object]
    write: Callable[[Any], str] = str
    #: Never repeated in an error, never shown.
    secret: bool = False

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Let pydantic read values with `read`."""
        return core_schema.no_info_plain_validator_function(self.read)


def refuse(text: str) -> NoReturn:
    """End the reading of a value; `text` follows the key's name and a colon."""
    raise PydanticCustomError("refused", "{text}", {"text": text})


def expected(what: str, value: object) -> NoReturn:
    """End the reading of a value with what was expected instead of it."""
    refuse(f"expected {what}, got {describe(value)}")


def _text(value: object) -> str:
    if not isinstance(value, str):
        if isinstance(value, int | float):
            refuse(f"expected text, got {describe(value)}: put it in quotes")
        expected("text", value)
    if "\0" in str(value):
        refuse("expected text without NUL characters")
    return str(value)


def _flag(value: object) -> bool:
    found = typed(value)
    return found if isinstance(found, bool) else expected("true or false", value)


def _anything(value: object) -> object:
    if isinstance(value, Mapping):
        return {typed(key): _anything(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_anything(item) for item in value]
    return typed(value)


def _duration(value: object) -> float:
    try:
        return parse_duration(typed(value))
    except ValueError:
        expected("a duration such as 30s", value)


def _size(value: object) -> int:
    try:
        return parse_size(typed(value))
    except ValueError:
        expected("a size such as 2GiB", value)


def duration(low: float = 0.0, high: float = math.inf) -> Kind:
    """Durations of `low` to `high` seconds."""

    def read(value: object) -> float:
        seconds = _duration(value)
        if seconds < low:
            expected(f"a duration of at least {format_duration(low)}", value)
        if seconds > high:
            expected(f"a duration of at most {format_duration(high)}", value)
        return seconds

    return Kind("duration", read, format_duration)


def whole(low: int, high: int | None = None) -> Kind:
    """Whole numbers of `low` to `high`."""
    limits = f"of {low} or more" if high is None else f"from {low} to {high}"

    def read(value: object) -> int:
        number = typed(value)
        if isinstance(number, bool) or not isinstance(number, int) or number < low or (high and number > high):
            expected(f"a whole number {limits}", value)
        return number

    return Kind("whole number", read)


def number(low: float, high: float) -> Kind:
    """Numbers from `low` to `high`."""

    def read(value: object) -> float:
        found = typed(value)
        if isinstance(found, bool) or not isinstance(found, int | float) or not low <= found <= high:
            expected(f"a number from {low:g} to {high:g}", value)
        return float(found)

    return Kind("number", read)


def one_of(*choices: str, missing: Mapping[str, str] | None = None, fold: Callable[[str], str] = str) -> Kind:
    """One of some words; `missing` has words that other versions know, and what to say of them."""
    words = ", ".join(choices[:-1]) + " or " + choices[-1] if len(choices) > 1 else choices[0]

    def read(value: object) -> str:
        found = typed(value)
        if found is None and "null" in choices:
            return "null"
        # 5 and 1.2 are written without quotes, and mean the words.
        word = fold(str(found)) if isinstance(found, str | int | float) and not isinstance(found, bool) else ""
        if word in choices:
            return word
        if missing and word in missing:
            refuse(missing[word])
        expected(words, value)

    return Kind(words, read)


def matching(pattern: str, what: str) -> Kind:
    """Text that matches a pattern as a whole; `what` describes it, with an example."""
    compiled = re.compile(pattern)

    def read(value: object) -> str:
        text = _text(value)
        return text if compiled.fullmatch(text) else expected(what, value)

    return Kind("text", read)


def checked(label: str, check: Callable[[str], object]) -> Kind:
    """Text for which `check` raises no ValueError."""

    def read(value: object) -> str:
        text = _text(value)
        try:
            check(text)
        except ValueError as error:
            # The reason quotes the text, which may be a secret where a variable was substituted.
            hidden = isinstance(value, Substituted) and value.hidden
            refuse(f"{describe(value)} is not a {label}" if hidden else str(error))
        return text

    return Kind(label, read)


def secret(check: Callable[[str], object] = str) -> Kind:
    """Text that is shown nowhere; `check`'s ValueError must not repeat it either."""

    def read(value: object) -> str:
        if not isinstance(value, str):
            refuse("expected text: put it in quotes")
        try:
            check(value)
        except ValueError as error:
            refuse(str(error))
        return str(value)

    return Kind("text", read, secret=True)


TEXT = Kind("text", _text)
FLAG = Kind("true or false", _flag, lambda flag: "true" if flag else "false")
ANYTHING = Kind("any", _anything)
SIZE = Kind("size", _size, format_size)
