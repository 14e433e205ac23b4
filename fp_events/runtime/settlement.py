"""The one exit: every outcome becomes durable, then visible, here."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

from fp_events.domain.message import Properties, Publication
from fp_events.domain.observation import Observer, RetryRecord, RunRecord
from fp_events.domain.pipeline import Pipeline
from fp_events.domain.records import AttemptFacts, Batch, Committed, Finish, StateWrite, Wait
from fp_events.domain.run import DEAD_LETTERS, AttemptResult, Failure, Outcome

from .committer import Committer
from .entry import Entry
from .lane import Lane
from .names import Names

EventStatus = Literal["terminal", "all", "none"]

#: Characters of an error that travel in a dead letter's properties and in events.
ERROR_LENGTH = 1000


class Publishing(Protocol):
    """What settlement needs of the publisher."""

    def enqueue(self, publications: tuple[Publication, ...]) -> None:
        """Publish what is durable."""

    def tell(self, publication: Publication) -> None:
        """Publish an event."""


class Settlement:
    """Turns results into commits, and commits into publications, events and records for observers."""

    def __init__(
        self,
        *,
        committer: Committer,
        publisher: Publishing,
        names: Names,
        protocol: str,
        events: EventStatus,
        observers: tuple[Observer, ...] = (),
        retry_observers: tuple[Callable[[RetryRecord], None], ...] = (),
    ) -> None:
        self._committer = committer
        self._publisher = publisher
        self._names = names
        self._properties = protocol == "5"
        self._events = events
        self._observers = observers
        self._retry_observers = retry_observers

    def started(self, lane: Lane, entry: Entry) -> None:
        """An attempt is handed to its executor."""
        if self._events == "all":
            self._tell(lane.pipeline.name, "started", entry, {})

    def retrying(
        self,
        lane: Lane,
        entry: Entry,
        result: AttemptResult,
        delay: float,
        then: Callable[[Committed], None],
    ) -> None:
        """The attempt failed; the next one is due in `delay` seconds."""
        due_at = datetime.now(UTC) + timedelta(seconds=delay)
        wait = Wait(run_id=entry.run_id, attempt=entry.attempt, due_at=due_at, facts=_facts(result))
        attempt = entry.attempt

        def durable(committed: Committed) -> None:
            record = RetryRecord(
                run_id=entry.run_id,
                pipeline=lane.pipeline.name,
                attempt=attempt,
                failure=result.failure,
                delay=delay,
            )
            for observer in self._retry_observers:
                observer(record)
            if self._events == "all":
                facts = {"attempt": attempt, "delay": delay, "error": _error(result.failure)}
                self._tell(lane.pipeline.name, "retrying", entry, facts)
            then(committed)

        self._committer.post(Batch(waits=(wait,)), durable)

    def finish(
        self,
        lane: Lane,
        entry: Entry,
        outcome: Outcome,
        result: AttemptResult | None,
        state: bytes | None,
        then: Callable[[bool], None],
    ) -> None:
        """The run has ended; `then` is told, once that is durable, whether it wrote state."""
        pipeline = lane.pipeline
        failure = result.failure if result else None
        publications: tuple[Publication, ...] = ()
        if outcome is Outcome.SUCCEEDED and result is not None:
            publications = tuple(self._stamped(pipeline, entry, result, p) for p in result.publications)
        dead = outcome in DEAD_LETTERS
        if dead:
            publications = (self._dead_letter(pipeline, entry, outcome, failure),)
        write = None
        if state is not None and entry.key is not None:
            write = StateWrite(pipeline=pipeline.name, key=entry.key, value=state)
        finish = Finish(
            run_id=entry.run_id,
            attempt=entry.attempt,
            outcome=outcome,
            finished_at=datetime.now(UTC),
            started_at=result.started_at if result else None,
            duration=result.duration if result else 0.0,
            version=result.version if result else "",
            facts=_facts(result) if result and outcome is not Outcome.SUCCEEDED else None,
            values=result.values if result else None,
            state=write,
            publications=publications,
            dead_letter=dead,
        )

        def durable(committed: Committed) -> None:
            if entry.run_id not in committed.stale:
                if publications:
                    self._publisher.enqueue(publications)
                lane.outcomes[outcome] += 1
                self._show(lane, entry, finish, failure)
            then(write is not None)

        self._committer.post(Batch(finishes=(finish,)), durable)

    def _show(self, lane: Lane, entry: Entry, finish: Finish, failure: Failure | None) -> None:
        pipeline = lane.pipeline
        record = RunRecord(
            run_id=entry.run_id,
            pipeline=pipeline.name,
            outcome=finish.outcome,
            cause=entry.cause,
            trigger=entry.trigger_topic,
            key=entry.key,
            attempt=entry.attempt,
            version=finish.version,
            created_at=entry.created_at,
            finished_at=finish.finished_at,
            duration=finish.duration,
            failure=failure,
            values=finish.values,
        )
        lane.last = record
        for observer in self._observers:
            observer(record)
        if self._events != "none":
            facts: dict[str, object] = {"duration": finish.duration, "version": finish.version}
            if failure is not None:
                facts["error"] = _error(failure)
            self._tell(pipeline.name, finish.outcome.value, entry, facts)

    def _tell(self, pipeline: str, event: str, entry: Entry, facts: dict[str, object]) -> None:
        body = {
            "run_id": entry.run_id,
            "pipeline": pipeline,
            "event": event,
            "attempt": entry.attempt,
            "trigger": entry.trigger_topic,
            "at": datetime.now(UTC).isoformat(),
            **facts,
        }
        self._publisher.tell(
            Publication(
                event_id="",
                topic=self._names.event(pipeline, event),
                payload=json.dumps(body, ensure_ascii=False).encode(errors="replace"),
                properties=Properties(content_type="application/json"),
            )
        )

    def _stamped(
        self, pipeline: Pipeline, entry: Entry, result: AttemptResult, publication: Publication
    ) -> Publication:
        """The publication with the facts of its run as user properties (MQTT 5 only)."""
        if not self._properties:
            return publication
        user = [
            ("run_id", entry.run_id),
            ("event_id", publication.event_id),
            ("pipeline", pipeline.name),
            ("version", result.version),
        ]
        traceparent = entry.message.properties.user_value("traceparent") if entry.message else None
        if traceparent:
            user.append(("traceparent", traceparent))
        given = publication.properties
        return Publication(
            event_id=publication.event_id,
            topic=publication.topic,
            payload=publication.payload,
            qos=publication.qos,
            retain=publication.retain,
            properties=Properties(
                content_type=given.content_type,
                message_expiry=given.message_expiry,
                user=(*given.user, *user),
            ),
        )

    def _dead_letter(self, pipeline: Pipeline, entry: Entry, outcome: Outcome, failure: Failure | None) -> Publication:
        """The original bytes with the facts of the failure: user properties, or an envelope on MQTT 3.1.1."""
        message = entry.message
        payload = message.payload if message else entry.request or b""
        facts = {
            "run_id": entry.run_id,
            "pipeline": pipeline.name,
            "outcome": outcome.value,
            "topic": message.topic if message else "",
            "trigger": entry.trigger_topic,
            "attempts": str(entry.attempt),
            "failed_at": datetime.now(UTC).isoformat(),
            "error": _error(failure),
            "error_type": failure.type if failure else "",
            "node": failure.node if failure else "",
        }
        event_id = f"{entry.run_id}:dlq:{entry.attempt}"
        topic = self._names.dead_letter(pipeline.name)
        if self._properties:
            user = (*((name, _printable(value)) for name, value in facts.items()), ("event_id", event_id))
            given = message.properties.content_type if message else "application/json"
            return Publication(
                event_id=event_id,
                topic=topic,
                payload=payload,
                qos=1,
                properties=Properties(content_type=given, user=user),
            )
        envelope = {**facts, "event_id": event_id, "payload_base64": base64.b64encode(payload).decode()}
        return Publication(event_id=event_id, topic=topic, payload=json.dumps(envelope).encode(), qos=1)


def _facts(result: AttemptResult) -> AttemptFacts:
    return AttemptFacts(
        ended=result.ended.value,
        failure=result.failure,
        version=result.version,
        started_at=result.started_at,
        duration=result.duration,
    )


def _error(failure: Failure | None) -> str:
    if failure is None:
        return ""
    return f"{failure.type.rpartition('.')[2]}: {failure.message}"[:ERROR_LENGTH]


def _printable(text: str) -> str:
    """Without what MQTT forbids in strings (1.5.4): NUL, other control characters, lone surrogates."""
    cleaned = text.encode("utf-8", "replace").decode()
    return "".join(char if char.isprintable() else " " for char in cleaned)
