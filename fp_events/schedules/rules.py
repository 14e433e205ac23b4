"""From a specification to the instants at which it fires."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial

from fp_events.domain.schedule import ScheduleSpec

from . import cron_text
from .cron_fields import compile_fields
from .zones import NextWall, next_fixed, next_repeating, zone_of

#: First span searched for the last instants before a moment; it grows fourfold.
_SPAN = timedelta(minutes=1)
_NOTHING = timedelta(0)
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The instants of one schedule, all UTC."""

    #: The first instant after a moment, whatever the bounds.
    following: Callable[[datetime], datetime | None]
    start_at: datetime | None
    end_at: datetime | None

    def next(self, after: datetime) -> datetime | None:
        """The first instant after `after`; None: there is none."""
        if self.start_at is not None and after < self.start_at:
            after = self.start_at - _TICK
        try:
            found = self.following(after)
        except OverflowError:  # after the year 9999
            return None
        return None if found is None or (self.end_at is not None and found > self.end_at) else found

    def last(self, since: datetime, until: datetime, most: int) -> list[datetime]:
        """The last `most` instants from `since` to `until`, both included, in order."""
        span = _SPAN
        while True:
            begin = max(since, until - span)
            found: deque[datetime] = deque(maxlen=most)
            at = self.next(begin - _TICK)
            while at is not None and at <= until:
                found.append(at)
                at = self.next(at)
            if len(found) == most or begin == since:
                return list(found)
            span *= 4


def rule_of(spec: ScheduleSpec, anchor_at: datetime) -> Rule:
    """The rule of a valid specification; intervals without a start are counted from `anchor_at`."""
    return _compiled(_key(spec), spec.zone, spec.start_at, spec.end_at, anchor_at if spec.kind == "interval" else None)


def _key(spec: ScheduleSpec) -> tuple[str, object]:
    expression = spec.expression
    return spec.kind, tuple(expression.items()) if isinstance(expression, dict) else expression


@lru_cache(maxsize=4096)
def _compiled(
    what: tuple[str, object], zone: str, start_at: datetime | None, end_at: datetime | None, anchor: datetime | None
) -> Rule:
    kind, expression = what
    following: Callable[[datetime], datetime | None]
    if kind == "interval":
        assert isinstance(expression, float)
        assert anchor is not None
        following = partial(_next_interval, timedelta(seconds=expression), start_at or anchor)
    elif kind == "date":
        assert isinstance(expression, tuple)
        following = partial(_next_date, tuple(datetime.fromisoformat(text).astimezone(UTC) for text in expression))
    else:
        following = _cron(expression, zone)
    return Rule(following=following, start_at=start_at, end_at=end_at)


def _cron(expression: object, zone: str) -> Callable[[datetime], datetime | None]:
    next_wall: NextWall
    if isinstance(expression, str):
        six = cron_text.six_fields(expression)
        next_wall, fixed = partial(cron_text.next_wall, six), cron_text.is_fixed(six)
    else:
        assert isinstance(expression, tuple)
        fields = compile_fields(expression)
        next_wall, fixed = fields.next_wall, fields.fixed
    search = next_fixed if fixed else next_repeating
    return lambda after: search(next_wall, after, zone_of(zone))


def _next_interval(every: timedelta, start: datetime, after: datetime) -> datetime:
    return start if after < start else start + ((after - start) // every + 1) * every


def _next_date(instants: tuple[datetime, ...], after: datetime) -> datetime | None:
    return next((at for at in instants if at > after), None)
