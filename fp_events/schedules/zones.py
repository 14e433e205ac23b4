"""From a wall clock to instants, over changes of the zone's offset.

A rule of fixed times (`30 2 * * *`) means once a day: a time that the clock jumps over is taken at the end of the
jump, a time that comes twice is taken the first time. A rule that repeats (`*/15 * * * *`) means an even pace: times
that do not exist are left out, and an hour that comes twice has its times twice. So does cron on Debian (cron(8)).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

#: The first matching time of a wall clock that is later than the one given; both naive. None: there is none.
NextWall = Callable[[datetime], datetime | None]

_SECOND = timedelta(seconds=1)


def zone_of(name: str) -> ZoneInfo:
    """The zone of an IANA name; raises ValueError."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"'{name}' is not a time zone such as Europe/Berlin") from error


def instant_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """The instant of a time on the wall, UTC: the first of two, or the end of the jump that leaves it out."""
    instant = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall:
        return instant
    # The offset before the jump gives an instant after it, by as much as the time lies inside the jump.
    return _change(instant - timedelta(days=1), instant, zone)


def next_fixed(next_wall: NextWall, after: datetime, zone: ZoneInfo) -> datetime | None:
    """The first instant after `after` of a rule of fixed times."""
    wall: datetime | None = after.astimezone(zone).replace(tzinfo=None)
    while wall is not None:
        wall = next_wall(wall)
        if wall is None:
            return None
        instant = instant_of(wall, zone)
        # Within an hour that comes twice the wall clock is behind: its times have been.
        if instant > after:
            return instant
    return None


def next_repeating(next_wall: NextWall, after: datetime, zone: ZoneInfo) -> datetime | None:
    """The first instant after `after` of a rule that repeats."""
    offset = _offset(after, zone)
    wall = (after + offset).replace(tzinfo=None)
    while True:
        found = next_wall(wall)
        if found is None:
            return None
        instant = found.replace(tzinfo=UTC) - offset
        if _offset(instant, zone) == offset:
            return instant
        # The clock was changed before: look again from there, by the new offset.
        after = _change(after, instant, zone)
        offset = _offset(after, zone)
        wall = (after + offset).replace(tzinfo=None) - _SECOND


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def _change(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """The first second after `low`, and not after the whole second `high`, whose offset is not that of `low`."""
    before = _offset(low, zone)
    low = low.replace(microsecond=0)
    while high - low > _SECOND:
        middle = low + timedelta(seconds=(high - low) // (2 * _SECOND))
        if _offset(middle, zone) == before:
            low = middle
        else:
            high = middle
    return high
