"""Cron strings: five fields, six with the seconds first, or a word such as `@daily`."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from cronsim import CronSim, CronSimError

_WORDS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
#: As the library's messages name the fields.
_FIELDS: Final = ("second", "minute", "hour", "day-of-month", "month", "day-of-week")
_RANGES: Final = ("0-59", "0-59", "0-23", "1-31 or L", "1-12 or JAN-DEC", "0-7 or SUN-SAT, 0 and 7 are Sunday")
_ANY_DAY: Final = datetime(2024, 1, 1)  # noqa: DTZ001 - a time on the wall has no zone


def six_fields(text: str) -> str:
    """The six fields that `text` stands for, the second first. Raises ValueError with one sentence."""
    word = text.strip().lower()
    if word == "@reboot":
        raise ValueError("'@reboot' is not a time; use a cron string such as 0 5 * * 1-5")
    if word.startswith("@") and word not in _WORDS:
        raise ValueError(f"'{text}' is not one of {', '.join(_WORDS)}")
    fields = _WORDS.get(word, text).split()
    if len(fields) == 5:
        fields.insert(0, "0")
    if len(fields) != 6:
        raise ValueError(f"'{text}' has {len(fields)} fields; cron has 5, or 6 with the second first")
    expression = " ".join(fields)
    try:
        first = next(CronSim(expression, _ANY_DAY), None)
    except CronSimError as error:
        raise ValueError(_sentence(text, fields, str(error))) from None
    except (AssertionError, ValueError):
        # What the library does not foresee: L/2 with other terms, a number of a thousand digits.
        raise ValueError(f"'{text}' is not a cron string such as 0 5 * * 1-5") from None
    if first is None:
        raise ValueError(f"'{text}' names no day that ever comes")
    return expression


def is_fixed(expression: str) -> bool:
    """Whether the rule names times of the day, and not a pace: neither minute nor hour begins with a star."""
    _, minute, hour, *_ = expression.split()
    return not minute.startswith("*") and not hour.startswith("*")


def next_wall(expression: str, after: datetime) -> datetime | None:
    """The first matching time on the wall after `after`."""
    return next(CronSim(expression, after), None)


def _sentence(text: str, fields: list[str], reason: str) -> str:
    name = reason.removeprefix("Bad ")
    if name not in _FIELDS:
        return f"'{text}' is not a cron string such as 0 5 * * 1-5"
    index = _FIELDS.index(name)
    if name == "day-of-month" and fields[4] != "*" and _is_valid(" ".join([*fields[:4], "*", fields[5]])):
        return f"'{text}' names no day that ever comes"
    return f"'{text}': '{fields[index]}' is no {name} field ({_RANGES[index]})"


def _is_valid(expression: str) -> bool:
    try:
        CronSim(expression, _ANY_DAY)
    except CronSimError:
        return False
    return True
