"""Retained words of the daemon about itself."""

from __future__ import annotations

from fp_events.domain.message import Properties, Publication

from .names import Names


def availability(names: Names, text: str) -> Publication:
    """The retained word on whether this instance is there; `offline` is also the last will."""
    return Publication(event_id="", topic=names.availability, payload=text.encode(), qos=1, retain=True)


def retained_json(topic: str, body: bytes) -> Publication:
    """JSON that stays on its topic."""
    return Publication(
        event_id="",
        topic=topic,
        payload=body,
        qos=1,
        retain=True,
        properties=Properties(content_type="application/json"),
    )
