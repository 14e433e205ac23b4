"""Paths from a message to a value.

A path in a map is rooted at `payload` (decoded), `topic` (its text; ``topic.line``: a capture) or
`message`; ``?? <JSON>`` after it is what to take where the path leads nowhere: ``payload.value ?? 0``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal, cast

from .errors import InputInvalid
from .message import Message
from .paths import Missing, check_message_path, split_path, walk
from .topic_filter import RESERVED_NAMES, shown

Root = Literal["payload", "topic", "message"]


class _NoDefault:
    """Marks a path without ``??``."""

    def __repr__(self) -> str:
        return "(none)"


NO_DEFAULT = _NoDefault()


@dataclass(frozen=True, slots=True)
class Path:
    """A checked path; made by `parse_path`."""

    text: str
    root: Root
    #: The names after the root.
    parts: tuple[str, ...]
    #: What is taken where the path leads nowhere; NO_DEFAULT: that is an error.
    default: Any = NO_DEFAULT

    @property
    def capture(self) -> str | None:
        """The capture that ``topic.<capture>`` names."""
        return self.parts[0] if self.root == "topic" and self.parts else None

    def get(self, scope: Mapping[str, Any]) -> Any:
        """Its value in a scope as `scope_of` makes; raises InputInvalid."""
        try:
            if self.root != "topic":
                return walk(scope[self.root], self.parts, self.root)
            return scope[self.parts[0]] if self.parts else scope["topic"]
        except Missing as error:
            missing = str(error)
        except KeyError:
            missing = f"there is no {self.parts[0] if self.root == 'topic' and self.parts else self.root!r}"
        if self.default is not NO_DEFAULT:
            # A copy, so that no run can change what the next one gets.
            return deepcopy(self.default)
        raise InputInvalid(
            missing, where=self.text, mend=f"give the path a default ({self.text} ?? null) if that may be"
        )


def scope_of(payload: Any, message: Message, captures: Mapping[str, str]) -> dict[str, Any]:
    """What paths and templates look names up in; captures stand beside the rest, by their names."""
    return {**captures, "payload": payload, "message": message, "topic": message.topic}


def parse_path(text: str) -> Path:
    """Read a path; raises ValueError with one sentence."""
    before, fallback, after = _split_default(text)
    default: Any = NO_DEFAULT
    if fallback:
        try:
            default = json.loads(after)
        except ValueError:
            raise ValueError(f"path {shown(text)}: what follows ?? is not JSON (text needs double quotes)") from None
    root, *parts = split_path(before)
    if root not in ("payload", "topic", "message"):
        raise ValueError(f"path {shown(text)}: it begins with {root!r}, not with payload, topic or message")
    if root == "message":
        check_message_path(parts, before)
    if root == "topic" and (len(parts) > 1 or (parts and not _is_capture(parts[0]))):
        raise ValueError(f"path {shown(text)}: after topic comes the name of one capture, or nothing")
    return Path(before, cast("Root", root), tuple(parts), default)


def _is_capture(name: str) -> bool:
    return name.isidentifier() and name not in RESERVED_NAMES


def _split_default(text: str) -> tuple[str, bool, str]:
    """Split at the first ``??`` that is outside quotes."""
    quoted = False
    for place, sign in enumerate(text):
        if sign == '"' and text[place - 1 : place] != "\\":
            quoted = not quoted
        if not quoted and text.startswith("??", place):
            return text[:place].strip(), True, text[place + 2 :].strip()
    return text.strip(), False, ""
