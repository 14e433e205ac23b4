"""`@save_to.mqtt` and `@load_from.mqtt` in a run: what is saved becomes publications of the attempt."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fp_events.domain.exchange import EXCHANGE
from fp_events.domain.message import Message, Properties, Publication
from fp_events.domain.run import Attempt
from fp_events.domain.templates import TemplateError, parse_topic

from .formats import Formats

#: (topic, seconds) -> its retained message; raises BrokerError.
Retained = Callable[[str, float], Message | None]


class RunExchange:
    """Keeps what one attempt saves; whoever settles the attempt publishes it, or does not."""

    def __init__(
        self,
        attempt: Attempt,
        formats: Formats,
        retained: Retained,
        scope: Mapping[str, Any],
        facts: tuple[tuple[str, str], ...],
        *,
        commands: str,
    ) -> None:
        """`scope` fills placeholders of topics; `facts` are user properties; `commands`: how no topic may begin."""
        self._attempt = attempt
        self._formats = formats
        self._retained = retained
        self._scope = scope
        self._facts = facts
        self._commands = commands
        self._lock = threading.Lock()
        self._saved: list[tuple[str, bytes, int, bool, Properties]] = []

    def save(self, topic: str, value: Any, *, qos: int, retain: bool, expires_after: float | None) -> Mapping[str, Any]:
        """See `Exchange.save`. The value is encoded now: what a later node does to it does not count."""
        filled = parse_topic(topic).render_topic(dict(self._scope))
        if self._commands and filled.startswith(self._commands):
            raise TemplateError("a topic of commands takes no values")
        payload, content_type = self._formats.encode(value)
        expiry = None if expires_after is None else max(1, round(expires_after))
        properties = Properties(content_type=content_type, message_expiry=expiry)
        with self._lock:
            self._saved.append((filled, payload, qos, retain, properties))
        return {"topic": filled, "size": len(payload), "qos": qos, "retain": retain}

    def retained(self, topic: str, timeout: float) -> Message | None:
        """See `Exchange.retained`."""
        return self._retained(parse_topic(topic).render_topic(dict(self._scope)), timeout)

    def decode(self, message: Message) -> Any:
        """See `Exchange.decode`."""
        return self._formats.decoder(None)(message.payload, message.properties.content_type)

    def publications(self, first: int) -> Sequence[Publication]:
        """What was saved, numbered from `first`: the same ids for every attempt."""
        run_id = self._attempt.run_id
        made = []
        for number, (topic, payload, qos, retain, properties) in enumerate(self._saved, first):
            event_id = f"{run_id}:{number}"
            user = (("run_id", run_id), ("event_id", event_id), *self._facts)
            made.append(
                Publication(
                    event_id=event_id,
                    topic=topic,
                    payload=payload,
                    qos=qos,
                    retain=retain,
                    properties=Properties(
                        content_type=properties.content_type, message_expiry=properties.message_expiry, user=user
                    ),
                )
            )
        return made


def saved(first: int) -> Sequence[Publication]:
    """What the attempt of this context has saved, numbered from `first`."""
    exchange = EXCHANGE.get()
    return exchange.publications(first) if isinstance(exchange, RunExchange) else ()
