"""Schedules as rows, and back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from fp_events.domain.schedule import Expression, Schedule, ScheduleFired, ScheduleSpec, ScheduleWrite, StoredSchedule

from .sqlite_rows import micros, micros_or_none, moment, moment_or_none
from .sqlite_statements import insert, write_rows

_COLUMNS = "id pipeline spec enabled next_fire_at last_fire_at request updated_at"
_PUT = insert("schedules", _COLUMNS, "INSERT OR REPLACE")
_FIRED = "UPDATE schedules SET last_fire_at = v.column2, next_fire_at = v.column3 FROM"
_WHERE = "AS v WHERE schedules.id = v.column1"


def write_schedules(db: sqlite3.Connection, writes: Sequence[ScheduleWrite], fired: Sequence[ScheduleFired]) -> None:
    """Execute the changes of one batch."""
    rows: list[object] = []
    for write in writes:
        if write.stored is None:
            db.execute("DELETE FROM schedules WHERE id = ?", (write.schedule_id,))
        else:
            rows += _row(write.stored)
    if rows:
        write_rows(db, _PUT, 8, rows)
    if fired:
        moved = [
            value
            for item in fired
            for value in (item.schedule_id, micros(item.last_fire_at), micros_or_none(item.next_fire_at))
        ]
        write_rows(db, _FIRED, 3, moved, _WHERE)


def read_schedules(db: sqlite3.Connection) -> list[StoredSchedule]:
    """As Ledger.schedules."""
    return [_stored(row) for row in db.execute("SELECT * FROM schedules ORDER BY id")]


def _row(stored: StoredSchedule) -> tuple[object, ...]:
    schedule = stored.schedule
    return (
        schedule.schedule_id,
        schedule.pipeline,
        json.dumps(_spec_json(stored)),
        stored.schedule.enabled and not stored.paused,
        micros_or_none(stored.next_fire_at),
        micros_or_none(stored.last_fire_at),
        json.dumps(dict(schedule.request)),
        micros(stored.updated_at),
    )


def _spec_json(stored: StoredSchedule) -> dict[str, Any]:
    schedule, spec = stored.schedule, stored.schedule.spec
    return {
        "kind": spec.kind,
        "expression": spec.expression,
        "zone": spec.zone,
        "start_at": micros_or_none(spec.start_at),
        "end_at": micros_or_none(spec.end_at),
        "jitter": spec.jitter,
        "misfire_grace": spec.misfire_grace,
        "coalesce": spec.coalesce,
        "max_missed": spec.max_missed,
        "key": schedule.key,
        "source": schedule.source,
        "where": schedule.where,
        "enabled": schedule.enabled,
        "paused": stored.paused,
        "anchor_at": micros(stored.anchor_at),
    }


def _stored(row: sqlite3.Row) -> StoredSchedule:
    found = json.loads(row["spec"])
    expression: Expression = tuple(found["expression"]) if found["kind"] == "date" else found["expression"]
    spec = ScheduleSpec(
        kind=found["kind"],
        expression=expression,
        zone=found["zone"],
        start_at=moment_or_none(found["start_at"]),
        end_at=moment_or_none(found["end_at"]),
        jitter=found["jitter"],
        misfire_grace=found["misfire_grace"],
        coalesce=found["coalesce"],
        max_missed=found["max_missed"],
    )
    schedule = Schedule(
        schedule_id=row["id"],
        pipeline=row["pipeline"],
        spec=spec,
        request=json.loads(row["request"] or "{}"),
        key=found["key"],
        enabled=found["enabled"],
        source=found["source"],
        where=found["where"],
    )
    return StoredSchedule(
        schedule=schedule,
        paused=found["paused"],
        anchor_at=moment(found["anchor_at"]),
        next_fire_at=moment_or_none(row["next_fire_at"]),
        last_fire_at=moment_or_none(row["last_fire_at"]),
        updated_at=moment(row["updated_at"]),
    )
