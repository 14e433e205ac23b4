"""Makers of records, with what a test does not care about filled in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fp_events.domain.message import Message, Publication
from fp_events.domain.records import (
    Accept,
    AttemptFacts,
    Batch,
    Claim,
    Finish,
    NewRun,
    RetentionPolicy,
    StateWrite,
    TransportKey,
    Wait,
)
from fp_events.domain.run import Cause, Failure, Outcome, RunState

NOON = datetime(2024, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)

#: Keeps everything that age or size would delete.
KEEP = RetentionPolicy(runs_age=1e9, dead_letters_age=1e9, max_bytes=2**60, dedup_age=1e9)

FACTS = AttemptFacts(
    ended="raised",
    failure=Failure(type="builtins.ValueError", message="too hot", lineage=("builtins.ValueError",), node="alert"),
    version="v1",
    started_at=NOON,
    duration=0.25,
)


def at(seconds: float) -> datetime:
    """NOON and so many seconds."""
    return NOON + timedelta(seconds=seconds)


def message(payload: bytes = b"21.5", topic: str = "plant/line7/temperature") -> Message:
    return Message(topic=topic, payload=payload, qos=1, received_at=NOON)


def new_run(
    run_id: str,
    *,
    pipeline: str = "temperature",
    state: RunState = RunState.QUEUED,
    dedup_key: str | None = None,
    key: str | None = None,
    created_at: datetime = NOON,
    due_at: datetime | None = None,
) -> NewRun:
    return NewRun(
        run_id=run_id,
        pipeline=pipeline,
        cause=Cause.MESSAGE,
        trigger=0,
        trigger_topic="plant/{line}/temperature",
        key=key,
        state=state,
        captures={"line": "line7"},
        created_at=created_at,
        due_at=due_at,
        dedup_key=dedup_key,
    )


def accept(
    *runs: NewRun, payload: bytes = b"21.5", transport_key: TransportKey | None = None, redelivered: bool = False
) -> Accept:
    return Accept(message=message(payload), runs=runs, transport_key=transport_key, redelivered=redelivered)


def accepted(*run_ids: str, pipeline: str = "temperature", state: RunState = RunState.QUEUED) -> Batch:
    """A batch that accepts one message per run."""
    return Batch(accepts=tuple(accept(new_run(run_id, pipeline=pipeline, state=state)) for run_id in run_ids))


def claim(run_id: str, attempt: int = 1, *, alone: bool = False) -> Batch:
    return Batch(claims=(Claim(run_id=run_id, attempt=attempt, alone=alone),))


def wait(run_id: str, attempt: int = 1, due_at: datetime = NOON) -> Batch:
    return Batch(waits=(Wait(run_id=run_id, attempt=attempt, due_at=due_at, facts=FACTS),))


def publication(event_id: str, payload: bytes = b"hot") -> Publication:
    return Publication(event_id=event_id, topic="alerts/line7", payload=payload, qos=1)


def finish(
    run_id: str,
    attempt: int = 1,
    *,
    outcome: Outcome = Outcome.SUCCEEDED,
    finished_at: datetime = NOON,
    publications: tuple[Publication, ...] = (),
    state: StateWrite | None = None,
    facts: AttemptFacts | None = None,
    dead_letter: bool = False,
) -> Finish:
    return Finish(
        run_id=run_id,
        attempt=attempt,
        outcome=outcome,
        started_at=finished_at,
        finished_at=finished_at,
        duration=0.5,
        version="v1",
        values=b'{"alert": "hot"}',
        publications=publications,
        state=state,
        facts=facts,
        dead_letter=dead_letter,
    )


def finished(*finishes: Finish) -> Batch:
    return Batch(finishes=finishes)
