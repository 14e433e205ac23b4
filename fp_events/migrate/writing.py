"""Settings to YAML that means the same in versions 1.1 and 1.2, with comments."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Final

from .reading import Reference

#: Text that every version of YAML reads as itself, without quotes.
_PLAIN: Final = re.compile(r"[A-Za-z_/](?:[\w./@+-]|:(?=[\w/])| (?=[\w./@+-]))*", re.ASCII)
_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"})
#: A reference that may stand without quotes, so that its value has the type that its key wants.
#: Characters of a line up to which a list stands on it.
_SHORT: Final = 100
_BARE: Final = re.compile(r"\$\{[A-Za-z_]\w*(?::[-?][^#'\"{}\n]*)?\}")


@dataclass(frozen=True, slots=True)
class Noted:
    """A value with a comment above it."""

    value: Any
    comment: str


def document(settings: Mapping[str, Any], head: str) -> str:
    """The YAML of `settings`, below the comment `head`."""
    lines = [f"# {line}".rstrip() for line in head.splitlines()]
    return "\n".join([*lines, *_block(settings, 0), ""])


def _block(settings: Mapping[str, Any], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name, given in settings.items():
        value = given.value if isinstance(given, Noted) else given
        if isinstance(given, Noted):
            yield from (f"{indent}# {line}" for line in given.comment.splitlines())
        yield from _entry(f"{indent}{scalar(name)}:", value, depth)


def _entry(start: str, value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        yield start
        yield from _block(value, depth + 1)
    elif isinstance(value, list | tuple) and value:
        short = f"{start} [{', '.join(scalar(item) for item in value)}]"
        if len(short) <= _SHORT and all(_is_simple(item) for item in value):
            yield short
            return
        yield start
        for item in value:
            yield from _item(item, depth + 1)
    else:
        yield f"{start} {scalar(value)}"


def _is_simple(value: Any) -> bool:
    """Whether a value may stand between brackets."""
    return isinstance(value, int | float) or (isinstance(value, str) and not isinstance(value, Reference))


def _item(value: Any, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if isinstance(value, Mapping) and value:
        first, *rest = _block(value, depth + 1)
        if first.lstrip().startswith("#"):
            yield f"{indent}-"
            yield first
        else:
            yield f"{indent}- {first.lstrip()}"
        yield from rest
    elif isinstance(value, list | tuple) and value:
        yield f"{indent}-"
        for item in value:
            yield from _item(item, depth + 1)
    else:
        yield f"{indent}- {scalar(value)}"


def scalar(value: Any) -> str:
    """One value on one line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, list | tuple):
        return "[]"
    if isinstance(value, datetime | date | time):
        return json.dumps(value.isoformat())
    if isinstance(value, Reference) and _BARE.fullmatch(value):
        return str(value)
    return _text(str(value))


def _number(value: float) -> str:
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    text = repr(value)
    # YAML 1.1 wants a dot and a sign: 1e-05 would be text.
    mantissa, exponent, power = text.partition("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{power}" if exponent else text


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    # Inside double quotes YAML has JSON's escapes; what is no ASCII stays legible.
    quoted = json.dumps(text, ensure_ascii=False)
    return re.sub("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]", lambda found: f"\\u{ord(found.group()):04x}", quoted)
