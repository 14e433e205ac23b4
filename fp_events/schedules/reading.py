"""What people write for a schedule becomes a specification. All errors are ValueErrors with one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from math import inf
from typing import Any, Final

from fp_events.domain.durations import parse_duration
from fp_events.domain.schedule import Coalesce, Expression, Kind, ScheduleSpec

from . import cron_text
from .cron_fields import read_fields
from .rules import Rule, rule_of
from .zones import instant_of, zone_of

#: Seconds: a pace that a ledger on a slow disk keeps up with, and ten years.
SHORTEST: Final = 1.0
LONGEST: Final = 10 * 366 * 24 * 3600.0
#: Runs that one return from a long absence may make.
MOST_MISSED: Final = 10_000
#: Instants that are compared with the jitter: it must not bring two of them out of order.
_LOOKED_AT: Final = 200

_UNITS: Final = {"weeks": 604800.0, "days": 86400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0}


def read_cron(value: object) -> str | dict[str, str]:
    """A cron string, checked, or its fields."""
    if isinstance(value, Mapping):
        return read_fields(value)
    if not isinstance(value, str):
        raise ValueError("expected a cron string such as '0 5 * * 1-5', or a block of fields")
    cron_text.six_fields(value)
    return " ".join(value.split())


def read_interval(value: object) -> float:
    """Seconds of a number, of text such as ``1h30m``, or of ``{hours: 1, minutes: 30}``."""
    seconds = _sum(value) if isinstance(value, Mapping) else _duration(value)
    if not SHORTEST <= seconds <= LONGEST:
        raise ValueError("an interval lasts from 1s to 10 years")
    return seconds


def _duration(value: object) -> float:
    try:
        return parse_duration(value)
    except ValueError:
        raise ValueError(f"{value!r} is not an interval such as 45m, 1h30m, or a number of seconds") from None


def _sum(value: Mapping[Any, Any]) -> float:
    seconds = 0.0
    for name, count in value.items():
        if count is None:
            continue
        if name not in _UNITS:
            raise ValueError(f"unknown unit '{name}'; known are {', '.join(_UNITS)}")
        if isinstance(count, bool) or not isinstance(count, int | float) or not 0 <= count < inf:
            raise ValueError(f"'{name}' must be a number")
        seconds += _UNITS[name] * count
    return seconds


def read_dates(value: object) -> tuple[str, ...]:
    """One moment or a list of moments, as ISO 8601 texts."""
    texts = value if isinstance(value, list | tuple) else [value]
    if not texts:
        raise ValueError("the list of dates is empty")
    return tuple(read_moment(text) for text in texts)


def read_moment(value: object) -> str:
    """A moment as ISO 8601 text, with or without an offset."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or not 1971 <= moment.year < 9000:
        raise ValueError(f"{value!r} is not a date and time such as 2030-08-15T10:30:00")
    return str(value)


def make_spec(
    *,
    cron: str | Mapping[str, str] | None = None,
    interval: float | None = None,
    date: tuple[str, ...] | None = None,
    zone: str = "UTC",
    start: str | None = None,
    end: str | None = None,
    jitter: float = 0.0,
    misfire_grace: float | None = None,
    coalesce: Coalesce = "latest",
    max_missed: int = 100,
) -> ScheduleSpec:
    """The specification of values that the functions above have read; moments without an offset are `zone`'s."""
    given: dict[Kind, Expression | None] = {"cron": cron, "interval": interval, "date": date}
    kinds = [kind for kind, value in given.items() if value is not None]
    if len(kinds) != 1:
        what = "none of `cron`, `interval` and `date` is given" if not kinds else f"both `{kinds[0]}` and `{kinds[1]}`"
        raise ValueError(f"{what}: a schedule has one of them" if not kinds else f"{what} are given: keep one of them")
    kind = kinds[0]
    expression = given[kind]
    assert expression is not None
    if date is not None:
        expression = tuple(sorted(_moment(text, zone).isoformat() for text in date))
    spec = ScheduleSpec(
        kind=kind,
        expression=expression,
        zone=zone,
        start_at=None if start is None else _moment(start, zone),
        end_at=None if end is None else _moment(end, zone),
        jitter=jitter,
        misfire_grace=misfire_grace,
        coalesce=coalesce,
        max_missed=max_missed,
    )
    _check(spec)
    return spec


def _moment(text: str, zone: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return instant_of(moment, zone_of(zone)) if moment.tzinfo is None else moment.astimezone(UTC)


def _check(spec: ScheduleSpec) -> None:
    if spec.start_at is not None and spec.end_at is not None and spec.end_at < spec.start_at:
        raise ValueError("`end` is before `start`")
    beginning = spec.start_at or datetime(1970, 1, 1, tzinfo=UTC)
    rule = rule_of(spec, beginning)
    first = rule.next(beginning)
    if first is None and spec.kind != "date" and spec.end_at is None:
        raise ValueError("the rule has no time after its start")
    if spec.jitter and first is not None and (shortest := _shortest(rule, first)) <= spec.jitter:
        raise ValueError(f"a `jitter` of {spec.jitter:g} s is not shorter than the {shortest:g} s between two fires")


def _shortest(rule: Rule, at: datetime) -> float:
    """Seconds between two instants that follow each other, the least of the first ones."""
    shortest = inf
    for _ in range(_LOOKED_AT):
        following = rule.next(at)
        if following is None:
            break
        shortest = min(shortest, (following - at).total_seconds())
        at = following
    return shortest
