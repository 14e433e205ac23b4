"""Topics that a template has made before: devices send again, and their topics were checked the first time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from .templates import Template
from .topic_filter import RESERVED_NAMES

#: Topics that are kept of one template, and the characters that one of them may have.
_MOST, _LONGEST = 1024, 256


def needs_captures_only(template: Template) -> bool:
    """Whether every placeholder of a template is a capture, whole."""
    return all(len(item.parts) == 1 and item.parts[0] not in RESERVED_NAMES for item in template.placeholders)


def topics_of(template: Template) -> Callable[[Mapping[str, str]], str]:
    """The function from captures to `template.render_topic(captures)`; raises TemplateError as that does.

    For a template that needs captures only. May be called by several threads.
    """
    names = [item.parts[0] for item in template.placeholders]
    if not names:
        constant = template.render_topic({})
        return lambda _captures: constant
    # The one text, or a tuple of several.
    values_of: Callable[[Mapping[str, str]], Any] = itemgetter(*names)
    known: dict[Any, str] = {}

    def topic(captures: Mapping[str, str]) -> str:
        try:
            return known[values_of(captures)]
        except KeyError:
            made = template.render_topic(captures)
        if len(made) <= _LONGEST:
            if len(known) >= _MOST:
                known.clear()
            known[values_of(captures)] = made
        return made

    return topic
