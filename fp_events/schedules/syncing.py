"""What the project's files say of schedules, compared with what the ledger has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from fp_events.domain.schedule import Schedule, StoredSchedule

from .rules import rule_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What is to be stored, and what cannot be."""

    #: None: is to be deleted.
    changes: Mapping[str, StoredSchedule | None]
    #: Schedules of the project whose id one that was added by a command has.
    conflicts: tuple[Schedule, ...]


def new(schedule: Schedule, now: datetime) -> StoredSchedule:
    """A schedule that begins now: what lies before is not missed."""
    anchor = now.replace(microsecond=0)
    next_at = rule_of(schedule.spec, anchor).next(now) if schedule.enabled else None
    return StoredSchedule(schedule=schedule, anchor_at=anchor, next_fire_at=next_at, updated_at=now)


def changed(stored: StoredSchedule, schedule: Schedule, now: datetime) -> StoredSchedule:
    """The schedule with another definition. A new rule begins now; the same rule keeps its place in time."""
    if schedule.spec == stored.schedule.spec and schedule.enabled == stored.schedule.enabled:
        return replace(stored, schedule=schedule, updated_at=now)
    fresh = new(schedule, now)
    return replace(
        fresh,
        paused=stored.paused,
        next_fire_at=None if stored.paused else fresh.next_fire_at,
        last_fire_at=stored.last_fire_at,
    )


def paused(stored: StoredSchedule, now: datetime) -> StoredSchedule:
    """The schedule, which fires no more until it is resumed."""
    return replace(stored, paused=True, next_fire_at=None, updated_at=now)


def resumed(stored: StoredSchedule, now: datetime) -> StoredSchedule:
    """The schedule from now on; what it would have fired meanwhile is not missed."""
    rule = rule_of(stored.schedule.spec, stored.anchor_at)
    next_at = rule.next(now) if stored.schedule.enabled else None
    return replace(stored, paused=False, next_fire_at=next_at, updated_at=now)


def sync(
    stored: Mapping[str, StoredSchedule], configured: Iterable[Schedule], now: datetime, *, overwrite: bool = False
) -> Synced:
    """Make the ledger's schedules those of the project; what commands have added stays.

    With `overwrite` the project wins where both have an id, and pauses of its schedules end.
    """
    changes: dict[str, StoredSchedule | None] = {}
    conflicts: list[Schedule] = []
    wanted = {schedule.schedule_id: schedule for schedule in configured}
    for schedule_id, schedule in wanted.items():
        old = stored.get(schedule_id)
        if old is None:
            changes[schedule_id] = new(schedule, now)
        elif old.schedule.source != "project" and not overwrite:
            conflicts.append(schedule)
        elif old.schedule.source != "project":
            changes[schedule_id] = new(schedule, now)
        else:
            following = changed(old, schedule, now)
            if overwrite and following.paused:
                following = resumed(following, now)
            if following != replace(old, updated_at=now):
                changes[schedule_id] = following
    for schedule_id, old in stored.items():
        if old.schedule.source == "project" and schedule_id not in wanted:
            changes[schedule_id] = None
    return Synced(changes=changes, conflicts=tuple(conflicts))
