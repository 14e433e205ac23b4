"""From the value of an output's node to publications; what the configuration decides is decided once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fp_events.domain.errors import FpEventsError
from fp_events.domain.known_topics import needs_captures_only, topics_of
from fp_events.domain.message import Properties, Publication
from fp_events.domain.pipeline import Output
from fp_events.domain.run import Attempt
from fp_events.domain.templates import Template, TemplateError, parse_topic
from fp_events.domain.text import sendable

from .formats import Formats

_JSON = "application/json"


class CompiledOutput:
    """One output of a pipeline."""

    def __init__(
        self,
        output: Output,
        topic: str,
        formats: Formats,
        facts: tuple[tuple[str, str], ...] = (),
        *,
        commands: str = "",
    ) -> None:
        """`topic`: where its values go if it names no topic. `facts`: user properties of each publication.

        `commands`: how topics begin that no message may choose.
        """
        self._facts = facts
        self.node = output.node
        self.each = output.each
        self._qos = output.qos
        self._retain = output.retain
        self._nan = output.nan
        self._expiry = None if output.expires_after is None else max(1, round(output.expires_after))
        self._encode = formats.encode
        self._template = parse_topic(output.topic) if output.topic else None
        self._commands = commands if self._template is not None and _may_begin(self._template, commands) else ""
        #: It fills placeholders with more than captures.
        self.needs_scope = self._template is not None and not needs_captures_only(self._template)
        self._topic_of = (
            topics_of(self._template)
            if self._template is not None and not self.needs_scope
            else lambda _captures: topic
        )

    def publication(
        self, attempt: Attempt, value: Any, scope: Mapping[str, Any] | None, number: int
    ) -> tuple[Publication, bytes | None]:
        """What to publish of a value, and its payload once more if that is the value's JSON.

        `scope`: what the topic is filled from; None: the attempt's captures. Raises TemplateError and EncodeError.
        """
        try:
            if scope is None or self._template is None:
                topic = self._topic_of(attempt.captures)
            else:
                topic = self._template.render_topic({**scope, "value": value})
            if self._commands and topic.startswith(self._commands):
                raise TemplateError("the message chose a topic of commands, which takes no results")
            payload, content_type = self._encode(value, nan=self._nan)
        except FpEventsError as error:
            error.where = error.where or f"output '{self.node}'"
            raise
        run_id = attempt.run_id
        # The same for every attempt: a receiver that has seen it may drop the second one.
        event_id = f"{run_id}:{number}"
        user = (("run_id", run_id), ("event_id", event_id), *self._facts)
        message = attempt.message
        if message is not None and message.properties.user:
            trace = message.properties.user_value("traceparent")
            user = (*user, ("traceparent", sendable(trace))) if trace else user
        publication = Publication(
            event_id=event_id,
            topic=topic,
            payload=payload,
            qos=self._qos,
            retain=self._retain,
            properties=Properties(content_type=content_type, message_expiry=self._expiry, user=user),
        )
        return publication, payload if content_type == _JSON else None

    def items(self, value: Any) -> Iterable[Any]:
        """With `each`, the items of a value (rows, of a table) that are not None; raises TypeError if it has none."""
        if hasattr(value, "to_dict") and hasattr(value, "columns"):
            value = value.to_dict("records")
        elif hasattr(value, "tolist"):
            value = value.tolist()
        if not isinstance(value, list | tuple | set | frozenset | Iterator):
            kind = type(value).__name__
            raise TypeError(f"output '{self.node}': `each: true` needs a list, and the node returned {kind}")
        return (item for item in value if item is not None)


def _may_begin(template: Template, commands: str) -> bool:
    """Whether what fills the template could make a topic that begins with `commands`."""
    literal = template.text.partition("{")[0]
    filled = bool(template.placeholders)
    return bool(commands) and filled and (commands.startswith(literal) or literal.startswith(commands))
