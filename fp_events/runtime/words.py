"""Status events: what a run's topic is told of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

# The encoder's own escaping of text: a whole `dumps` for each of five short texts costs more than the event.
from json.encoder import encode_basestring as quoted

from fp_events.domain.message import Properties, Publication
from fp_events.domain.observation import RunRecord, decode_nodes
from fp_events.domain.run import Failure

from .names import Names

#: Characters of an error that travel in a dead letter's properties and in events.
ERROR_LENGTH = 1000
#: Nodes that an event tells of.
MOST_NODES = 50

_JSON = Properties(content_type="application/json")


class Words:
    """Makes the publications. They are not durable, so they have no event id."""

    def __init__(self, names: Names) -> None:
        self._names = names
        #: (pipeline, event) -> topic and a piece of the body: as many as there are pipelines and events.
        self._known: dict[tuple[str, str], tuple[str, str]] = {}

    def ended(self, records: Iterable[RunRecord]) -> list[Publication]:
        """Runs that are FINISHED; the event is called like the outcome."""
        moment = datetime.now(UTC).isoformat()
        known = self._known
        words = []
        for record in records:
            event = record.outcome.value
            topic, piece = known.get((record.pipeline, event)) or self._learn(record.pipeline, event)
            body = (
                f'{{"run_id": {quoted(record.run_id)}{piece}{record.attempt}, "trigger": {quoted(record.trigger)}, '
                f'"at": "{moment}", "duration": {record.duration!r}, "version": {quoted(record.version)}'
            )
            if record.failure is not None:
                body += f', "error": {quoted(error_text(record.failure))}'
            if record.nodes is not None:
                body += f', "nodes": {_nodes(record.nodes)}'
            words.append(_event(topic, body))
        return words

    def of(
        self,
        pipeline: str,
        event: str,
        run_id: str,
        attempt: int,
        trigger: str,
        facts: Mapping[str, str | float] | None = None,
    ) -> Publication:
        """Any event of a run, with facts of its own."""
        topic, piece = self._known.get((pipeline, event)) or self._learn(pipeline, event)
        moment = datetime.now(UTC).isoformat()
        body = f'{{"run_id": {quoted(run_id)}{piece}{attempt}, "trigger": {quoted(trigger)}, "at": "{moment}"'
        for name, fact in (facts or {}).items():
            body += f', "{name}": {quoted(fact) if isinstance(fact, str) else repr(fact)}'
        return _event(topic, body)

    def _learn(self, pipeline: str, event: str) -> tuple[str, str]:
        piece = f', "pipeline": {quoted(pipeline)}, "event": {quoted(event)}, "attempt": '
        known = self._known[pipeline, event] = (self._names.event(pipeline, event), piece)
        return known


def _nodes(data: bytes) -> str:
    """Each node's status by its name; of many nodes, those that did not simply succeed."""
    records = decode_nodes(data)
    if len(records) > MOST_NODES:
        records = tuple(record for record in records if record.status != "succeeded")[:MOST_NODES]
    return "{" + ", ".join(f"{quoted(record.node)}: {quoted(record.status)}" for record in records) + "}"


def _event(topic: str, body: str) -> Publication:
    payload = f"{body}}}".encode(errors="replace")
    return Publication(event_id="", topic=topic, payload=payload, properties=_JSON)


def error_text(failure: Failure | None) -> str:
    """An error in a line; empty for none."""
    if failure is None:
        return ""
    return f"{failure.type.rpartition('.')[2]}: {failure.message}"[:ERROR_LENGTH]
