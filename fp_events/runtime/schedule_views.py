"""What commands answer about schedules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fp_events.domain.schedule import ScheduleSpec, StoredSchedule
from fp_events.schedules.planning import upcoming, wakes_at
from fp_events.schedules.zones import zone_of

from .views import moment

#: Instants to come that `schedules show` lists.
SHOWN = 5


def schedule_row(stored: StoredSchedule, *, is_served: bool = True) -> dict[str, Any]:
    """A schedule as `schedules list` shows it; `is_served`: its pipeline is there and enabled."""
    schedule, spec = stored.schedule, stored.schedule.spec
    return {
        "schedule_id": schedule.schedule_id,
        "pipeline": schedule.pipeline,
        "kind": spec.kind,
        "expression": _expression(spec),
        "timezone": spec.zone,
        "state": _state(stored, is_served=is_served),
        "source": schedule.source,
        "where": schedule.where or None,
        "next_fire_at": moment(wakes_at(stored)),
        "last_fire_at": moment(stored.last_fire_at),
    }


def schedule_whole(stored: StoredSchedule, *, is_served: bool = True) -> dict[str, Any]:
    """A schedule with its rule, what its runs are given, and the next instants by its own clock."""
    schedule, spec = stored.schedule, stored.schedule.spec
    zone = zone_of(spec.zone)
    return {
        **schedule_row(stored, is_served=is_served),
        "start": moment(spec.start_at),
        "end": moment(spec.end_at),
        "counted_from": moment(spec.start_at or stored.anchor_at) if spec.kind == "interval" else None,
        "jitter_s": spec.jitter,
        "misfire_grace_s": spec.misfire_grace,
        "coalesce": spec.coalesce,
        "max_missed": spec.max_missed,
        "key": schedule.key,
        "request": dict(schedule.request),
        "updated_at": moment(stored.updated_at),
        "upcoming": [at.astimezone(zone).isoformat() for at in upcoming(stored, SHOWN)],
    }


def _expression(spec: ScheduleSpec) -> Any:
    expression = spec.expression
    if isinstance(expression, tuple):
        return expression[0] if len(expression) == 1 else list(expression)
    return dict(expression) if isinstance(expression, Mapping) else expression


def _state(stored: StoredSchedule, *, is_served: bool) -> str:
    if stored.paused:
        return "paused"
    if not stored.schedule.enabled or not is_served:
        return "disabled"
    return "ended" if stored.next_fire_at is None else "active"
