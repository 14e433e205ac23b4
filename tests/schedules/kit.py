"""Rules by their text, and the instants that they give."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from fp_events.domain.schedule import Schedule, ScheduleSpec, StoredSchedule
from fp_events.schedules.reading import make_spec, read_cron, read_dates, read_interval
from fp_events.schedules.rules import Rule, rule_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def spec(**given: Any) -> ScheduleSpec:
    """A specification as people write it."""
    readers: dict[str, Callable[[object], Any]] = {"cron": read_cron, "interval": read_interval, "date": read_dates}
    read: dict[str, Any] = {name: readers[name](value) if name in readers else value for name, value in given.items()}
    return make_spec(**read)


def utc(text: str) -> datetime:
    """A moment of an ISO text without an offset."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def rule(anchor: datetime = EPOCH, **given: Any) -> Rule:
    return rule_of(spec(**given), anchor)


def fires(after: datetime, most: int, **given: Any) -> list[datetime]:
    """The next instants after a moment."""
    found = rule(**given)
    instants: list[datetime] = []
    at = found.next(after)
    while at is not None and len(instants) < most:
        instants.append(at)
        at = found.next(at)
    return instants


def on_the_wall(after: str, most: int, *, zone: str = "UTC", **given: Any) -> list[str]:
    """The next instants after a time of a zone's clock, by that clock: ``03-29 03:00+0200``."""
    there = ZoneInfo(zone)
    begin = datetime.fromisoformat(after).replace(tzinfo=there).astimezone(UTC)
    return [f"{at.astimezone(there):%m-%d %H:%M%z}" for at in fires(begin, most, zone=zone, **given)]


def stored(now: datetime, *, name: str = "s", last: datetime | None = None, **given: Any) -> StoredSchedule:
    """A schedule that began at `now`."""
    wanted = spec(**given)
    return StoredSchedule(
        schedule=Schedule(schedule_id=name, pipeline="report", spec=wanted),
        anchor_at=now,
        next_fire_at=rule_of(wanted, now).next(now),
        last_fire_at=last,
        updated_at=now,
    )
