"""Text with placeholders: keys (``{line}``) and topics (``alerts/{line}/{value.site}``).

A placeholder is a root and, after dots, a path into it: a capture of the topic by its name, `payload`,
`value` (what is published), `topic`, `message`, `pipeline`, `key`. ``{{`` and ``}}`` are braces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from .errors import FpEventsError
from .paths import Missing, check_message_path, split_path, walk
from .topic_filter import RESERVED_NAMES, shown, validate_topic

_TOKEN = re.compile(r'\{\{|\}\}|\{((?:"(?:[^"\\]|\\.)*"|[^{}"])*)\}|[{}]')


_NOT_FROM_TOPIC = RESERVED_NAMES - {"topic"}
_ONLY_TEXT = frozenset({str})


class TemplateError(FpEventsError, LookupError):
    """A placeholder cannot be filled, or the text that results is not a topic to publish to."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One ``{…}`` of a template."""

    text: str
    #: The root, then the names after it.
    parts: tuple[str, ...]

    def fill(self, scope: Mapping[str, Any]) -> str:
        """Its text in `scope`; raises TemplateError."""
        root = self.parts[0]
        try:
            value = scope[root]
        except KeyError:
            raise TemplateError(f"{{{self.text}}} cannot be filled: there is no {root!r}") from None
        if type(value) is str and len(self.parts) == 1:
            return value
        try:
            return _scalar(walk(value, self.parts[1:], root))
        except Missing as error:
            raise TemplateError(f"{{{self.text}}} cannot be filled: {error}") from None
        except TypeError as error:
            raise TemplateError(
                f"{{{self.text}}} is {error}, and only text, numbers and booleans can be filled in"
            ) from None


class Template:
    """A parsed template; made by `parse`."""

    __slots__ = ("_format", "_pieces", "_simple", "placeholders", "text")

    def __init__(self, text: str, pieces: tuple[str | Placeholder, ...]) -> None:
        self.text = text
        self._pieces = pieces
        self.placeholders = tuple(piece for piece in pieces if isinstance(piece, Placeholder))
        self._format = "".join("%s" if isinstance(p, Placeholder) else p.replace("%", "%%") for p in pieces)
        #: The roots, where no placeholder goes beyond its root.
        self._simple = (
            tuple(p.parts[0] for p in self.placeholders) if all(len(p.parts) == 1 for p in self.placeholders) else None
        )

    def __repr__(self) -> str:
        return f"Template({self.text!r})"

    @property
    def names(self) -> frozenset[str]:
        """The roots of its placeholders."""
        return frozenset(placeholder.parts[0] for placeholder in self.placeholders)

    def uses(self, root: str) -> bool:
        """Whether a placeholder starts at `root`."""
        return root in self.names

    def render(self, scope: Mapping[str, Any]) -> str:
        """The text with every placeholder filled from `scope`; raises TemplateError."""
        return self._format % self._values(scope)

    def render_topic(self, scope: Mapping[str, Any]) -> str:
        """The same as a topic to publish to.

        A filled-in value may hold ``/`` (a ``{rest#}`` does), but no wildcard, and it may not be empty;
        the topic may not start with ``$``, which belongs to the broker. Raises TemplateError.
        """
        values = self._values(scope)
        for placeholder, value in zip(self.placeholders, values, strict=True):
            _check_value(placeholder, value)
        topic = self._format % values
        if topic.startswith("$"):
            raise TemplateError(f"topic {shown(topic)}: topics that start with $ belong to the broker")
        try:
            validate_topic(topic)
        except ValueError as error:
            raise TemplateError(str(error)) from None
        return topic

    def render_sample(self, value: str) -> str:
        """The text with `value` in every placeholder."""
        return self._format % ((value,) * len(self.placeholders))

    def as_filter(self, rest: Collection[str] = ()) -> str:
        """A topic filter for everything it can render, if of all captures only those in `rest` hold ``/``."""
        levels = [""]
        for piece in self._pieces:
            if isinstance(piece, Placeholder):
                if piece.parts[0] in (*rest, "topic"):
                    return "/".join([*levels[:-1], "#"])
                levels[-1] += "+"
            else:
                first, *others = piece.split("/")
                levels[-1] += first
                levels += others
        return "/".join("+" if "+" in level else level for level in levels)

    def _values(self, scope: Mapping[str, Any]) -> tuple[str, ...]:
        if self._simple is not None:
            values: tuple[Any, ...] = tuple(map(scope.get, self._simple))
            if _ONLY_TEXT.issuperset(map(type, values)):
                return values
        return tuple([placeholder.fill(scope) for placeholder in self.placeholders])


def parse(text: str) -> Template:
    """Read a template; raises ValueError with one sentence."""
    pieces: list[str | Placeholder] = []
    literal = ""
    place = 0
    for token in _TOKEN.finditer(text):
        literal += text[place : token.start()]
        place = token.end()
        sign = token.group()
        if sign in ("{{", "}}"):
            literal += sign[0]
        elif sign in ("{", "}"):
            raise ValueError(f"template {shown(text)}: the brace at character {token.start() + 1} has no partner")
        else:
            pieces += [literal, _placeholder(token.group(1), text)] if literal else [_placeholder(token.group(1), text)]
            literal = ""
    literal += text[place:]
    return Template(text, (*pieces, literal) if literal else tuple(pieces))


def parse_topic(text: str) -> Template:
    """Read the template of a topic to publish to; raises ValueError also where no value could make it one."""
    template = parse(text)
    sample = template.render_sample("x")
    try:
        validate_topic(sample)
    except ValueError as error:
        raise ValueError(str(error).replace(shown(sample), shown(text))) from None
    if sample.startswith("$"):
        raise ValueError(f"topic {shown(text)}: topics that start with $ belong to the broker")
    return template


def _placeholder(inside: str, text: str) -> Placeholder:
    try:
        parts = split_path(inside)
        if parts[0] == "message":
            check_message_path(parts[1:], inside)
    except ValueError as error:
        raise ValueError(f"template {shown(text)}: {error}") from None
    # `{topic.line}` is what a map says; in a template a capture goes by its name alone.
    return Placeholder(inside, parts[1:] if parts[0] == "topic" and len(parts) > 1 else parts)


_RENDER: dict[type, Callable[[Any], str]] = {
    str: str,
    int: str,
    float: repr,
    bool: lambda value: "true" if value else "false",
}


def _scalar(value: Any) -> str:
    """Raises TypeError with what the value is, where it is no scalar."""
    render = _RENDER.get(type(value))
    if render is not None:
        return render(value)
    if isinstance(value, Enum):
        return _scalar(value.value)
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == () and hasattr(value, "item"):
        return _scalar(value.item())
    for kind, render in _RENDER.items():
        if isinstance(value, kind):
            return render(value)
    raise TypeError("null" if value is None else f"a {type(value).__name__}")


def _check_value(placeholder: Placeholder, value: str) -> None:
    if "+" in value or "#" in value or "\0" in value:
        raise TemplateError(f"{{{placeholder.text}}} holds a character that no topic may have: +, # or NUL")
    # What came from a topic may have empty levels inside, as that topic had them; other values may not.
    from_topic = len(placeholder.parts) == 1 and placeholder.parts[0] not in _NOT_FROM_TOPIC
    if not value or (not from_topic and "" in value.split("/")):
        raise TemplateError(f"{{{placeholder.text}}} would make an empty level of the topic")
