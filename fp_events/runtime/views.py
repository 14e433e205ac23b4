"""What commands answer: records as JSON-able dictionaries."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from fp_events.domain.message import Message
from fp_events.domain.observation import decode_nodes
from fp_events.domain.records import StoredAttempt, StoredPublication, StoredRun, StoredState
from fp_events.domain.run import Failure


def moment(at: datetime | None) -> str | None:
    """RFC 3339, UTC."""
    return None if at is None else at.isoformat()


def one_line(failure: Failure | None) -> str | None:
    """An error as it stands in a table."""
    return None if failure is None else f"{failure.type.rpartition('.')[2]}: {failure.message}"


def run_row(run: StoredRun) -> dict[str, Any]:
    """A run as `runs list` shows it."""
    last = run.attempts[-1].facts if run.attempts else None
    failure = last.failure if last and (run.outcome is None or run.outcome.value != "succeeded") else None
    return {
        "run_id": run.run_id,
        "pipeline": run.pipeline,
        "state": run.state.value,
        "outcome": run.outcome.value if run.outcome else None,
        "cause": run.cause.value,
        "trigger": run.trigger_topic or None,
        **_schedule(run),
        "key": run.key,
        "attempt": run.attempt,
        "created_at": moment(run.created_at),
        "due_at": moment(run.due_at),
        "started_at": moment(run.started_at),
        "finished_at": moment(run.finished_at),
        "duration_s": run.duration,
        "error": one_line(failure),
        "node": failure.node if failure else None,
        "dead_letter": run.dead_letter,
    }


def _schedule(run: StoredRun) -> dict[str, Any]:
    """Which schedule made the run, and for which instant."""
    # A replay of such a run has them too.
    about = json.loads(run.request).get("schedule") if run.request and b'"schedule"' in run.request else None
    return {"schedule": about and about["id"], "scheduled_at": about and about["scheduled_at"]}


def run_whole(run: StoredRun) -> dict[str, Any]:
    """A run with its cause, inputs, attempts and outputs."""
    request = json.loads(run.request) if run.request else None
    return {
        **run_row(run),
        "deadline_at": moment(run.deadline_at),
        "expires_at": moment(run.expires_at),
        "crashes": run.crashes,
        "version": run.version,
        "captures": dict(run.captures),
        "request": {name: value for name, value in request.items() if name != "schedule"} if request else None,
        "replay_of": request.get("replay_of") if request else None,
        "message": None if run.message is None else _message(run.message),
        "attempts": [_attempt(attempt, _next_at(run, index)) for index, attempt in enumerate(run.attempts)],
        "values": json.loads(run.values) if run.values else None,
        "nodes": _nodes(run.nodes),
    }


def publication_row(row: StoredPublication) -> dict[str, Any]:
    """A refused publication as `dlq list` shows it."""
    return {
        "event_id": row.publication.event_id,
        "run_id": row.run_id,
        "pipeline": row.pipeline,
        "topic": row.publication.topic,
        "size": len(row.publication.payload),
        "reason": row.refused,
        "created_at": moment(row.created_at),
    }


def state_row(row: StoredState, to_json: Callable[[bytes], Any]) -> dict[str, Any]:
    """One key's state."""
    return {
        "pipeline": row.pipeline,
        "key": row.key,
        "value": to_json(row.value),
        "size": len(row.value),
        "run_id": row.run_id or None,
        "updated_at": moment(row.updated_at),
    }


def _message(message: Message) -> dict[str, Any]:
    properties = message.properties
    named: Mapping[str, Any] = {
        "content_type": properties.content_type,
        "response_topic": properties.response_topic,
        "message_expiry": properties.message_expiry,
        "user": [list(pair) for pair in properties.user] or None,
    }
    return {
        "topic": message.topic,
        "qos": message.qos,
        "retain": message.retain,
        "received_at": moment(message.received_at),
        "size": len(message.payload),
        "properties": {name: value for name, value in named.items() if value is not None},
        **_payload(message.payload),
    }


def _payload(payload: bytes) -> dict[str, str]:
    try:
        return {"payload": payload.decode()}
    except UnicodeDecodeError:
        return {"payload_base64": base64.b64encode(payload).decode()}


def _next_at(run: StoredRun, index: int) -> datetime | None:
    """When the attempt after `run.attempts[index]` began, or is due; None where there is none."""
    if index + 1 < len(run.attempts):
        return run.attempts[index + 1].facts.started_at
    if run.attempts[index].number < run.attempt:
        return run.started_at
    return run.due_at


def _attempt(attempt: StoredAttempt, next_at: datetime | None) -> dict[str, Any]:
    facts = attempt.facts
    delay = None
    if next_at is not None:
        delay = max(0.0, (next_at - facts.started_at).total_seconds() - facts.duration)
    return {
        "number": attempt.number,
        "ended": facts.ended,
        "error": one_line(facts.failure),
        "node": facts.failure.node if facts.failure else None,
        "started_at": moment(facts.started_at),
        "duration_s": facts.duration,
        "delay_s": None if delay is None else round(delay, 3),
        "version": facts.version,
        "traceback": facts.failure.traceback if facts.failure else None,
        "nodes": _nodes(facts.nodes),
    }


def _nodes(data: bytes | None) -> list[dict[str, Any]] | None:
    """What happened to each node of an attempt; None where that was not noted."""
    if data is None:
        return None
    return [
        {
            "node": record.node,
            "status": record.status,
            "started_s": record.started,
            "duration_s": record.duration,
            "attempts": record.attempts,
            "error": record.error or None,
        }
        for record in decode_nodes(data)
    ]
