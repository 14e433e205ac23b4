"""The one exit: every outcome becomes durable, then visible, here."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

from fp_events.domain.message import Properties, Publication
from fp_events.domain.observation import Observer, RetryRecord, RunRecord
from fp_events.domain.pipeline import Pipeline
from fp_events.domain.records import AttemptFacts, Batch, Committed, Finish, StateWrite, Wait
from fp_events.domain.run import DEAD_LETTERS, AttemptResult, Failure, Outcome
from fp_events.domain.text import sendable

from .committer import Committer
from .entry import Entry
from .lane import Lane
from .names import Names
from .unsaved import Unsaved
from .words import Words, error_text

EventStatus = Literal["terminal", "all", "none"]

Ending = tuple[Lane, Entry, Finish, AttemptResult | None]

#: Lane, entry, outcome, the last attempt's result, and whether the run wrote state.
Settled = Callable[[Lane, Entry, Outcome, AttemptResult | None, bool], None]


class Publishing(Protocol):
    """What settlement needs of the publisher."""

    def enqueue(self, publications: Sequence[Publication]) -> None:
        """Publish what is durable."""

    def tell(self, publication: Publication) -> None:
        """Publish an event."""

    def tell_all(self, publications: Sequence[Publication]) -> None:
        """Publish events."""


class Settlement:
    """Turns results into commits, and commits into publications, events and records for observers."""

    def __init__(
        self,
        *,
        committer: Committer,
        publisher: Publishing,
        unsaved: Unsaved,
        names: Names,
        protocol: str,
        events: EventStatus,
        observers: tuple[Observer, ...] = (),
        retry_observers: tuple[Callable[[RetryRecord], None], ...] = (),
    ) -> None:
        self._committer = committer
        self._publisher = publisher
        self._names = names
        self._words = Words(names)
        self._unsaved = unsaved
        unsaved.connect(tell=self._unsaved_confirmed, dead_letter=self._refused_letter)
        self._properties = protocol == "5"
        self._events = events
        self._observers = observers
        self._retry_observers = retry_observers

    def connect(self, settled: Settled) -> None:
        """Who is told, run by run, when an outcome is durable."""
        self._settled = settled

    def started(self, lane: Lane, entries: Sequence[Entry]) -> None:
        """Attempts are handed to their executor."""
        if self._events != "all":
            return
        for entry in entries:
            words = self._words.of(lane.pipeline.name, "started", entry.run_id, entry.attempt, entry.trigger_topic)
            self._publisher.tell(words)

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
                facts: dict[str, str | float] = {"delay": delay, "error": error_text(result.failure)}
                words = self._words.of(
                    lane.pipeline.name, "retrying", entry.run_id, attempt, entry.trigger_topic, facts
                )
                self._publisher.tell(words)
            then(committed)

        if entry.saved:
            self._committer.post(Batch(waits=(wait,)), durable)
        else:
            asyncio.get_running_loop().call_soon(durable, Committed())

    def finish(
        self,
        lane: Lane,
        entry: Entry,
        outcome: Outcome,
        result: AttemptResult | None,
        state: bytes | None,
    ) -> None:
        """The run has ended; once that is durable it is published and told, and `settled` is called."""
        pipeline = lane.pipeline
        publications: tuple[Publication, ...] = ()
        facts = None
        if outcome is Outcome.SUCCEEDED and result is not None:
            publications = result.publications
        elif result is not None:
            facts = _facts(result)
        dead = outcome in DEAD_LETTERS
        if dead:
            publications = (self._dead_letter(pipeline, entry, outcome, result.failure if result else None),)
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
            facts=facts,
            values=result.values if result else None,
            nodes=result.nodes if result and facts is None else None,
            state=write,
            publications=publications,
            dead_letter=dead,
        )
        ending = (lane, entry, finish, result)
        if entry.saved:
            self._committer.finish(finish, ending, self._durable)
        else:
            self._unsaved.finish(ending)

    def _durable(self, endings: list[Ending], committed: Committed) -> None:
        stale = committed.stale
        publications: list[Publication] = []
        ended = endings if not stale else [ending for ending in endings if ending[1].run_id not in stale]
        for _, _, finish, _ in ended:
            publications += finish.publications
        if publications:
            self._publisher.enqueue(publications)
        self._tell(ended)
        for lane, entry, finish, result in endings:
            self._settled(lane, entry, finish.outcome, result, finish.state is not None)

    def _unsaved_confirmed(self, endings: list[Ending]) -> None:
        self._tell(endings)
        for lane, entry, finish, result in endings:
            self._settled(lane, entry, finish.outcome, result, False)

    def _tell(self, endings: list[Ending]) -> None:
        records: list[tuple[Lane, RunRecord]] = []
        for lane, entry, finish, result in endings:
            lane.outcomes[finish.outcome] += 1
            records.append((lane, _record(lane.pipeline.name, entry, finish, result)))
        for lane, record in records:
            lane.last = record
            for observer in self._observers:
                observer(record)
        if self._events != "none":
            self._publisher.tell_all(self._words.ended([record for _, record in records]))

    def _refused_letter(self, ending: Ending, reason: str) -> Publication:
        """What is sent in the place of a result that the broker refuses, where no ledger keeps it."""
        lane, entry, _, _ = ending
        failure = Failure(type="PublicationRefused", message=reason)
        return self._dead_letter(lane.pipeline, entry, Outcome.FAILED, failure)

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
            "error": error_text(failure),
            "error_type": failure.type if failure else "",
            "node": failure.node if failure else "",
        }
        event_id = f"{entry.run_id}:dlq:{entry.attempt}"
        topic = self._names.dead_letter(pipeline.name)
        if self._properties:
            # Without those that are empty: the `mosquitto_sub` of Mosquitto 2.1 cannot show an empty property as JSON.
            named = ((name, sendable(value)) for name, value in facts.items() if value)
            user = (*named, ("event_id", event_id))
            given = message.properties.content_type if message else "application/json"
            given = sendable(given) if given else given
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
        nodes=result.nodes,
    )


def _record(pipeline: str, entry: Entry, finish: Finish, result: AttemptResult | None) -> RunRecord:
    return RunRecord(
        run_id=entry.run_id,
        pipeline=pipeline,
        outcome=finish.outcome,
        cause=entry.cause,
        trigger=entry.trigger_topic,
        key=entry.key,
        attempt=entry.attempt,
        version=finish.version,
        created_at=entry.created_at,
        finished_at=finish.finished_at,
        duration=finish.duration,
        failure=result.failure if result else None,
        values=finish.values,
        nodes=result.nodes if result else None,
        log_level=None if entry.odd.overrides is None else entry.odd.overrides.log_level,
    )
