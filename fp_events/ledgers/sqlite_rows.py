"""Values of the domain as columns, and back."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from fp_events.domain.message import NO_PROPERTIES, Message, Properties, Publication
from fp_events.domain.records import AttemptFacts, StoredAttempt, StoredPublication, StoredRun
from fp_events.domain.run import Cause, Failure, Outcome, RunState

_START = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC; the moment must be aware."""
    return (moment - _START) // _MICROSECOND


def micros_or_none(moment: datetime | None) -> int | None:
    """As `micros`, for a moment that may be missing."""
    return None if moment is None else (moment - _START) // _MICROSECOND


def moment(value: int) -> datetime:
    """The inverse of `micros`."""
    return _START + timedelta(microseconds=value)


def moment_or_none(value: int | None) -> datetime | None:
    """The inverse of `micros_or_none`."""
    return None if value is None else moment(value)


def properties_text(properties: Properties) -> str | None:
    """JSON array of all fields in their order; None for the properties that most messages have: none."""
    if properties is NO_PROPERTIES:
        return None
    correlation = properties.correlation_data
    encoded = None if correlation is None else base64.b64encode(correlation).decode()
    expiry = properties.message_expiry
    return _json((properties.content_type, properties.response_topic, encoded, expiry, properties.user))


def properties_of(text: str | None) -> Properties:
    """The inverse of `properties_text`."""
    if text is None:
        return NO_PROPERTIES
    content_type, response_topic, correlation, message_expiry, user = json.loads(text)
    return Properties(
        content_type=content_type,
        response_topic=response_topic,
        correlation_data=None if correlation is None else base64.b64decode(correlation),
        message_expiry=message_expiry,
        user=tuple((name, value) for name, value in user),
    )


def captures_text(captures: Mapping[str, str]) -> str | None:
    """JSON of the captures; None without any."""
    return _json(dict(captures)) if captures else None


def failure_text(failure: Failure | None) -> str | None:
    """JSON of a failure."""
    if failure is None:
        return None
    return _json([failure.type, failure.message, failure.lineage, failure.node, failure.traceback])


def _json(value: object) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # a lone surrogate, as a file name in an exception's text may have
        return json.dumps(value)


def attempt_of(row: sqlite3.Row, nodes: bytes | None) -> StoredAttempt:
    """A row of `attempts`, and what `traces` has for it."""
    failure = None
    if row["failure"] is not None:
        kind, message, lineage, node, trace = json.loads(row["failure"])
        failure = Failure(type=kind, message=message, lineage=tuple(lineage), node=node, traceback=trace)
    return StoredAttempt(
        number=row["number"],
        facts=AttemptFacts(
            ended=row["ended"],
            failure=failure,
            version=row["version"],
            started_at=moment(row["started_at"]),
            duration=row["duration"],
            nodes=nodes,
        ),
    )


def message_of(row: sqlite3.Row | Mapping[str, Any]) -> Message:
    """The columns of `messages` in a row that may be joined to another table's."""
    return Message(
        topic=row["topic"],
        payload=row["payload"],
        qos=row["qos"],
        retain=bool(row["retain"]),
        properties=properties_of(row["properties"]),
        received_at=moment(row["received_at"]),
    )


def run_of(
    row: sqlite3.Row | Mapping[str, Any],
    message: Message | None,
    attempts: tuple[StoredAttempt, ...],
    nodes: bytes | None = None,
) -> StoredRun:
    """A row of the columns that `RUN_COLUMNS` names; `nodes` are those of an attempt that succeeded."""
    return StoredRun(
        seq=row["seq"],
        run_id=row["run_id"],
        pipeline=row["pipeline"],
        cause=Cause(row["cause"]),
        state=RunState(row["state"]),
        outcome=None if row["outcome"] is None else Outcome(row["outcome"]),
        trigger=row["trigger_index"],
        trigger_topic=row["trigger_topic"],
        key=row["key"],
        captures={} if row["captures"] is None else json.loads(row["captures"]),
        request=row["request"],
        attempt=row["attempt"],
        attempt_base=row["attempt_base"],
        crashes=row["crashes"],
        alone=bool(row["alone"]),
        version=row["version"],
        created_at=moment(row["created_at"]),
        due_at=moment_or_none(row["due_at"]),
        expires_at=moment_or_none(row["expires_at"]),
        deadline_at=moment_or_none(row["deadline_at"]),
        started_at=moment_or_none(row["started_at"]),
        finished_at=moment_or_none(row["finished_at"]),
        duration=row["duration"],
        dead_letter=bool(row["dead_letter"]),
        values=row["outputs"],
        message=message,
        attempts=attempts,
        nodes=nodes,
    )


def publication_of(row: sqlite3.Row | Mapping[str, Any]) -> StoredPublication:
    """A row of `outbox` joined to its run; its payload as bytes, or in hexadecimal digits."""
    payload = row["payload"]
    return StoredPublication(
        seq=row["seq"],
        run_id=row["run_id"],
        pipeline=row["pipeline"],
        publication=Publication(
            event_id=row["event_id"],
            topic=row["topic"],
            payload=bytes.fromhex(payload) if isinstance(payload, str) else payload,
            qos=row["qos"],
            retain=bool(row["retain"]),
            properties=properties_of(row["properties"]),
        ),
        created_at=moment(row["created_at"]),
        refused=row["refused"] or "",
    )
