"""Cron rules by named fields, as APScheduler has them: 0 is Monday, all fields must match, weeks are those of ISO 8601.

A field that is not given is any where it is larger than the smallest given one, else its lowest value: `{hour: 3}`
is 03:00:00 of every day.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Final

#: Larger fields first.
FIELDS: Final = ("year", "month", "day", "week", "day_of_week", "hour", "minute", "second")
_RANGES: Final = {
    "year": (1970, 9998),
    "month": (1, 12),
    "day": (1, 31),
    "week": (1, 53),
    "day_of_week": (0, 6),
    "hour": (0, 23),
    "minute": (0, 59),
    "second": (0, 59),
}
_LOWEST: Final = {"month": "1", "day": "1", "hour": "0", "minute": "0", "second": "0"}
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMES: Final = {
    "month": {name: number for number, name in enumerate(_MONTHS, start=1)},
    "day_of_week": {name: number for number, name in enumerate(_DAYS)},
}
_TERM: Final = re.compile(r"(?P<first>\*|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\d{1,4}))?")
_NTH: Final = re.compile(r"(1st|2nd|3rd|4th|5th|last)\s+(mon|tue|wed|thu|fri|sat|sun)")
#: Days looked through for the next one: leap days fall on a given weekday every 28 years, or 40 over 2100.
_HORIZON: Final = 41 * 366


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRule:
    """The values that each field may have."""

    numbers: Mapping[str, frozenset[int]]
    #: (n, weekday): the n-th of the month; n is 0 for the last one.
    special_days: frozenset[tuple[int, int]]
    last_day: bool
    #: Names times of the day, and not a pace.
    fixed: bool

    def next_wall(self, after: datetime) -> datetime | None:
        """The first matching time on the wall after `after`."""
        day, found = after.date(), self._next_time((after.hour, after.minute, after.second))
        years = self.numbers["year"]
        for _ in range(_HORIZON):
            if found is not None and self._matches(day):
                return datetime.combine(day, found)
            day += timedelta(days=1)
            if day.year not in years:
                year = min((year for year in years if year > day.year), default=None)
                if year is None:
                    return None
                day = date(year, 1, 1)
            found = self._next_time((0, 0, -1))
        return None

    def _next_time(self, after: tuple[int, int, int]) -> time | None:
        """The first time of the day after hour, minute and second."""
        numbers = self.numbers
        for hour in sorted(numbers["hour"]):
            if hour < after[0]:
                continue
            for minute in sorted(numbers["minute"]):
                if (hour, minute) < after[:2]:
                    continue
                for second in sorted(numbers["second"]):
                    if (hour, minute, second) > after:
                        return time(hour, minute, second)
        return None

    def _matches(self, day: date) -> bool:
        numbers = self.numbers
        return (
            day.month in numbers["month"]
            and day.year in numbers["year"]
            and day.weekday() in numbers["day_of_week"]
            and day.isocalendar().week in numbers["week"]
            and self._is_day(day)
        )

    def _is_day(self, day: date) -> bool:
        if day.day in self.numbers["day"]:
            return True
        if not self.special_days and not self.last_day:
            return False
        last = calendar.monthrange(day.year, day.month)[1]
        if self.last_day and day.day == last:
            return True
        weekday = day.weekday()
        return ((day.day + 6) // 7, weekday) in self.special_days or (
            day.day + 7 > last and (0, weekday) in self.special_days
        )


def read_fields(given: Mapping[str, object]) -> dict[str, str]:
    """The fields as text, in order. Raises ValueError with one sentence."""
    from difflib import get_close_matches

    for name in given:
        if name not in FIELDS:
            near = get_close_matches(str(name), FIELDS, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(FIELDS)}"
            raise ValueError(f"unknown field '{name}'; {hint}")
    fields = {name: _text(name, given[name]) for name in FIELDS if given.get(name) is not None}
    if not fields:
        raise ValueError(f"no field is given; known are {', '.join(FIELDS)}")
    rule = compile_fields(tuple(fields.items()))
    before_all = datetime(min(rule.numbers["year"]) - 1, 12, 31, 23, 59, 59)  # noqa: DTZ001 - a time on the wall
    if rule.next_wall(before_all) is None:
        raise ValueError("the fields name no day that ever comes")
    return fields


def _text(name: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"field '{name}' must be text or a whole number")
    return str(value).strip().lower()


@lru_cache(maxsize=4096)
def compile_fields(fields: tuple[tuple[str, str], ...]) -> FieldRule:
    """The rule of fields as `read_fields` returns them. Raises ValueError with one sentence."""
    given = dict(fields)
    smallest = max(FIELDS.index(name) for name in given)
    texts = {
        name: given.get(name, "*" if index < smallest else _LOWEST.get(name, "*")) for index, name in enumerate(FIELDS)
    }
    special: set[tuple[int, int]] = set()
    last_day = False
    numbers: dict[str, frozenset[int]] = {}
    for name, text in texts.items():
        values: set[int] = set()
        for term in text.split(","):
            term = term.strip()  # noqa: PLW2901 - blanks around a comma mean nothing
            if name == "day" and term == "last":
                last_day = True
            elif name == "day" and (nth := _NTH.fullmatch(term)):
                special.add((0 if nth[1] == "last" else int(nth[1][0]), _DAYS.index(nth[2])))
            else:
                values.update(_numbers(name, term))
        numbers[name] = frozenset(values)
    return FieldRule(
        numbers=numbers,
        special_days=frozenset(special),
        last_day=last_day,
        fixed=not texts["hour"].startswith("*") and not texts["minute"].startswith("*"),
    )


def _numbers(name: str, term: str) -> range:
    low, high = _RANGES[name]
    match = _TERM.fullmatch(term)
    if match is None:
        raise _wrong(name, term)
    step = int(match["step"] or 1)
    if match["first"] == "*":
        first, last = low, high
        if match["last"]:
            raise _wrong(name, term)
    else:
        first = _number(name, match["first"], term)
        last = _number(name, match["last"], term) if match["last"] else high if match["step"] else first
    if not low <= first <= last <= high or not step:
        raise _wrong(name, term)
    return range(first, last + 1, step)


def _number(name: str, text: str, term: str) -> int:
    named = _NAMES.get(name, {}).get(text[:3] if text.isalpha() else text)
    if named is not None:
        return named
    if not (text.isascii() and text.isdigit() and len(text) < 5):
        raise _wrong(name, term)
    return int(text)


def _wrong(name: str, term: str) -> ValueError:
    low, high = _RANGES[name]
    names = {"month": " or jan-dec", "day_of_week": " or mon-sun, 0 is Monday", "day": ", last, 2nd fri, last mon"}
    return ValueError(f"field '{name}': '{term}' is not within {low}-{high}{names.get(name, '')}")
