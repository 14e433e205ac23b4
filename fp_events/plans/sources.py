"""Where a trigger's `map` takes values from, and what is known of their types."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fp_events.domain.mapping import NO_DEFAULT, Path, parse_path
from fp_events.domain.pipeline import Trigger
from fp_events.domain.topics import parse_filter

#: Path after ``message`` -> its type; what is not here may be anything.
_MESSAGE: dict[tuple[str, ...], Any] = {
    ("topic",): str,
    ("payload",): bytes,
    ("qos",): int,
    ("retain",): bool,
    ("received_at",): datetime,
    ("properties", "content_type"): str | None,
    ("properties", "response_topic"): str | None,
    ("properties", "correlation_data"): bytes | None,
    ("properties", "message_expiry"): int | None,
}


def default_sources(trigger: Trigger) -> dict[str, str]:
    """What a trigger without `map` and `spread` fills, where the plan asks for it."""
    return {"payload": "payload", "message": "message", **{name: f"topic.{name}" for name in _captures(trigger)}}


def source_type(trigger: Trigger, text: str) -> Any:
    """The type hint of what a path gives; Any where only the message knows.

    Raises ValueError, with one sentence, for a path that leads nowhere.
    """
    path = parse_path(text)
    known = _captures(trigger)
    if path.capture is not None and path.capture not in known:
        choice = f"its captures are {', '.join(known)}" if known else "it has no captures"
        raise ValueError(f"path {text!r}: topic '{trigger.topic}' does not capture '{path.capture}'; {choice}")
    given = _type(path)
    return given if path.default is NO_DEFAULT or given is Any else given | type(path.default)


def _type(path: Path) -> Any:
    if path.root == "topic":
        return str
    return _MESSAGE.get(path.parts, Any) if path.root == "message" else Any


def _captures(trigger: Trigger) -> tuple[str, ...]:
    return parse_filter(trigger.topic).captures
