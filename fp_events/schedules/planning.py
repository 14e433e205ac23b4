"""Which instants are due, what becomes of those that were missed, and what follows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b

from fp_events.domain.schedule import StoredSchedule

from .rules import rule_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What is to be done now for one schedule."""

    #: Each makes a run, in this order.
    instants: tuple[datetime, ...]
    #: The last instant that is accounted for.
    last: datetime
    next_fire_at: datetime | None


def delay(schedule_id: str, instant: datetime, jitter: float) -> timedelta:
    """How much later than its instant a run comes: from 0 to `jitter` seconds, the same whenever it is asked."""
    if not jitter:
        return timedelta(0)
    digest = blake2b(f"{schedule_id} {instant.isoformat()}".encode(), digest_size=8).digest()
    return timedelta(seconds=jitter * int.from_bytes(digest) / 2**64)


def wakes_at(stored: StoredSchedule) -> datetime | None:
    """When the schedule has something to do."""
    at = stored.next_fire_at
    return None if at is None else at + delay(stored.schedule.schedule_id, at, stored.schedule.spec.jitter)


def due(stored: StoredSchedule, now: datetime) -> Due | None:
    """What is due at `now`; None: nothing yet.

    Instants before `next_fire_at` are never looked at again, whatever the clock says: none fires twice.
    """
    at, wakes = stored.next_fire_at, wakes_at(stored)
    if at is None or wakes is None or wakes > now:
        return None
    schedule = stored.schedule
    spec = schedule.spec
    rule = rule_of(spec, stored.anchor_at)
    most = 1 if spec.coalesce == "latest" else spec.max_missed
    following = rule.next(at)
    if following is None or following > now:
        return Due(instants=(at,), last=at, next_fire_at=following)
    # One more, since the last one may still be held back by its jitter.
    found = rule.last(at, now, most + 1)
    if found and found[-1] + delay(schedule.schedule_id, found[-1], spec.jitter) > now:
        found.pop()
    # The rule of a newer version may not have the instant that an older one has promised.
    instants = tuple(found[-most:]) or (at,)
    return Due(instants=instants, last=instants[-1], next_fire_at=rule.next(instants[-1]))


def upcoming(stored: StoredSchedule, most: int) -> list[datetime]:
    """The next instants, the one that is due first."""
    found: list[datetime] = []
    rule = rule_of(stored.schedule.spec, stored.anchor_at)
    at = stored.next_fire_at
    while at is not None and len(found) < most:
        found.append(at)
        at = rule.next(at)
    return found
