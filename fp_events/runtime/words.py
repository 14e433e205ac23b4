"""Status events: what a run's topic is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

# The encoder's own escaping of text: a whole `dumps` for each of five short texts costs more than the event.
from json.encoder import encode_basestring as quoted

from fp_events.domain.message import Properties, Publication
from fp_events.domain.observation import RunRecord
from fp_events.domain.run import Failure

from .names import Names

#: Characters of an error that travel in a dead letter's properties and in events.
ERROR_LENGTH = 1000

_JSON = Properties(content_type="application/json")


class Words:
    """Makes the publications. They are not durable, so they have no event id."""

    def __init__(self, names: Names) -> None:
        self._names = names
        #: (pipeline, event) -> topic and the beginning of the body: as many as there are pipelines and events.
        self._known: dict[tuple[str, str], tuple[str, str]] = {}

    def ended(self, record: RunRecord, at: datetime) -> Publication:
        """A run that is FINISHED; the event is called like its outcome."""
        facts: dict[str, str | float] = {"duration": record.duration, "version": record.version}
        if record.failure is not None:
            facts["error"] = error_text(record.failure)
        return self.of(record.pipeline, record.outcome.value, record.run_id, record.attempt, record.trigger, facts, at)

    def of(
        self,
        pipeline: str,
        event: str,
        run_id: str,
        attempt: int,
        trigger: str,
        facts: Mapping[str, str | float] | None = None,
        at: datetime | None = None,
    ) -> Publication:
        """Any event of a run, with facts of its own."""
        known = self._known.get((pipeline, event))
        if known is None:
            begin = f', "pipeline": {quoted(pipeline)}, "event": {quoted(event)}, "attempt": '
            known = self._known[pipeline, event] = (self._names.event(pipeline, event), begin)
        topic, begin = known
        moment = (at or datetime.now(UTC)).isoformat()
        body = f'{{"run_id": {quoted(run_id)}{begin}{attempt}, "trigger": {quoted(trigger)}, "at": "{moment}"'
        if facts:
            for name, fact in facts.items():
                text = quoted(fact) if isinstance(fact, str) else repr(fact)
                body += f', "{name}": {text}'
        body += "}"
        return Publication(event_id="", topic=topic, payload=body.encode(errors="replace"), properties=_JSON)


def error_text(failure: Failure | None) -> str:
    """An error in a line; empty for none."""
    if failure is None:
        return ""
    return f"{failure.type.rpartition('.')[2]}: {failure.message}"[:ERROR_LENGTH]
