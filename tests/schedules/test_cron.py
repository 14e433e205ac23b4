"""Cron rules: as strings and as fields."""

from __future__ import annotations

from typing import Any

import pytest

from .kit import fires, on_the_wall, spec, utc

#: A Thursday.
START = utc("2026-01-01T00:00:00")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*/5 * * * *", ["Thu 01-01 00:05:00", "Thu 01-01 00:10:00"]),
        ("0 */2 * * *", ["Thu 01-01 02:00:00", "Thu 01-01 04:00:00"]),
        ("0 5 * * *", ["Thu 01-01 05:00:00", "Fri 01-02 05:00:00"]),
        ("0 5 * * 1-5", ["Thu 01-01 05:00:00", "Fri 01-02 05:00:00", "Mon 01-05 05:00:00"]),
        ("0 5 * * 0", ["Sun 01-04 05:00:00", "Sun 01-11 05:00:00"]),
        ("0 5 * * 7", ["Sun 01-04 05:00:00", "Sun 01-11 05:00:00"]),
        ("0 5 * * sun", ["Sun 01-04 05:00:00", "Sun 01-11 05:00:00"]),
        ("0 5 * * 1", ["Mon 01-05 05:00:00", "Mon 01-12 05:00:00"]),
        ("0 5 * * 5-7", ["Fri 01-02 05:00:00", "Sat 01-03 05:00:00", "Sun 01-04 05:00:00", "Fri 01-09 05:00:00"]),
        ("0 5 13 * 5", ["Fri 01-02 05:00:00", "Fri 01-09 05:00:00", "Tue 01-13 05:00:00", "Fri 01-16 05:00:00"]),
        ("0 5 */10 * 5", ["Fri 05-01 05:00:00", "Fri 07-31 05:00:00"]),
        ("0 0 L * *", ["Sat 01-31 00:00:00", "Sat 02-28 00:00:00"]),
        ("0 0 LW * *", ["Fri 01-30 00:00:00", "Fri 02-27 00:00:00"]),
        ("0 0 * * 5#2", ["Fri 01-09 00:00:00", "Fri 02-13 00:00:00"]),
        ("0 0 * * 5L", ["Fri 01-30 00:00:00", "Fri 02-27 00:00:00"]),
        ("0 0 29 2 *", ["Tue 02-29 00:00:00", "Sun 02-29 00:00:00"]),
        ("0 0 1 jan,jul *", ["Wed 07-01 00:00:00", "Fri 01-01 00:00:00"]),
        ("*/20 * * * * *", ["Thu 01-01 00:00:20", "Thu 01-01 00:00:40", "Thu 01-01 00:01:00"]),
        ("30 0 5 * * 1-5", ["Thu 01-01 05:00:30", "Fri 01-02 05:00:30", "Mon 01-05 05:00:30"]),
        ("@yearly", ["Fri 01-01 00:00:00"]),
        ("@annually", ["Fri 01-01 00:00:00"]),
        ("@monthly", ["Sun 02-01 00:00:00"]),
        ("@weekly", ["Sun 01-04 00:00:00"]),
        ("@Daily", ["Fri 01-02 00:00:00"]),
        ("@midnight", ["Fri 01-02 00:00:00"]),
        ("@hourly", ["Thu 01-01 01:00:00"]),
    ],
)
def test_a_cron_string_means_what_cron_means(text: str, expected: list[str]) -> None:
    """0 and 7 are Sunday, 1-5 Monday to Friday; a day of the month or a weekday, unless one begins with a star."""
    found = fires(START, len(expected), cron=text)

    assert expected == [f"{at:%a %m-%d %H:%M:%S}" for at in found]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"minute": "0", "hour": "*/2"}, ["Thu 01-01 02:00:00", "Thu 01-01 04:00:00"]),
        (
            {"minute": "0", "hour": "3", "day_of_week": "mon-fri"},
            ["Thu 01-01 03:00:00", "Fri 01-02 03:00:00", "Mon 01-05 03:00:00"],
        ),
        ({"minute": "0", "hour": "*/3", "day_of_week": "mon-fri"}, ["Thu 01-01 03:00:00", "Thu 01-01 06:00:00"]),
        ({"day_of_week": 0}, ["Mon 01-05 00:00:00", "Mon 01-12 00:00:00"]),
        ({"day_of_week": "6"}, ["Sun 01-04 00:00:00", "Sun 01-11 00:00:00"]),
        ({"day_of_week": "sat,Sunday", "hour": 7}, ["Sat 01-03 07:00:00", "Sun 01-04 07:00:00"]),
        ({"hour": 3}, ["Thu 01-01 03:00:00", "Fri 01-02 03:00:00"]),
        ({"minute": 30}, ["Thu 01-01 00:30:00", "Thu 01-01 01:30:00"]),
        ({"second": "*/30"}, ["Thu 01-01 00:00:30", "Thu 01-01 00:01:00"]),
        ({"day": "last"}, ["Sat 01-31 00:00:00", "Sat 02-28 00:00:00"]),
        ({"day": "2nd fri", "hour": 5}, ["Fri 01-09 05:00:00", "Fri 02-13 05:00:00"]),
        ({"day": "last mon, 1"}, ["Mon 01-26 00:00:00", "Sun 02-01 00:00:00"]),
        ({"day": "13", "day_of_week": "fri"}, ["Fri 02-13 00:00:00", "Fri 03-13 00:00:00", "Fri 11-13 00:00:00"]),
        ({"week": 53}, ["Mon 12-28 00:00:00", "Tue 12-29 00:00:00"]),
        ({"month": "feb", "day": 29}, ["Tue 02-29 00:00:00"]),
        ({"month": "jun-aug/2"}, ["Mon 06-01 00:00:00", "Sat 08-01 00:00:00"]),
        ({"year": 2027}, ["Fri 01-01 00:00:00"]),
        (
            {"year": "2026-2027", "month": 1, "day": "5-10/5"},
            ["Mon 01-05 00:00:00", "Sat 01-10 00:00:00", "Tue 01-05 00:00:00", "Sun 01-10 00:00:00"],
        ),
        ({"minute": "7/20"}, ["Thu 01-01 00:07:00", "Thu 01-01 00:27:00", "Thu 01-01 00:47:00", "Thu 01-01 01:07:00"]),
        ({"hour": 3, "minute": None}, ["Thu 01-01 03:00:00"]),
    ],
)
def test_fields_mean_what_apscheduler_means(fields: dict[str, Any], expected: list[str]) -> None:
    """0 is Monday, all fields must match, weeks are those of ISO 8601, smaller fields not given are lowest."""
    found = fires(START, len(expected), cron=fields)

    assert expected == [f"{at:%a %m-%d %H:%M:%S}" for at in found]


def test_a_rule_of_past_years_is_over() -> None:
    """Fields of years gone by give nothing, and do not search for ever."""
    assert [] == fires(START, 3, cron={"year": "2020-2024", "hour": 3})


def test_a_zone_says_whose_clock_counts() -> None:
    """05:00 in Berlin is not 05:00 in New York, in summer and in winter."""
    days = ("2026-01-01T12:00:00", "2026-07-01T12:00:00")

    found = {zone: [f"{fires(utc(day), 1, cron='0 5 * * *', zone=zone)[0]:%H:%M}" for day in days]
             for zone in ("UTC", "Europe/Berlin", "America/New_York")}  # fmt: skip

    assert {
        "UTC": ["05:00", "05:00"],
        "Europe/Berlin": ["04:00", "03:00"],
        "America/New_York": ["10:00", "09:00"],
    } == found


@pytest.mark.parametrize(
    ("cron", "sentence"),
    [
        ("61 * * * *", "'61 * * * *': '61' is no minute field (0-59)"),
        ("* * * *", "'* * * *' has 4 fields; cron has 5, or 6 with the second first"),
        ("", "'' has 0 fields; cron has 5, or 6 with the second first"),
        ("0 5 * * 8", "'0 5 * * 8': '8' is no day-of-week field (0-7 or SUN-SAT, 0 and 7 are Sunday)"),
        ("0 5 * * fri-mon", "'0 5 * * fri-mon': 'fri-mon' is no day-of-week field (0-7 or SUN-SAT, 0 and 7 are Sunday)"),
        ("0 0 30 2 *", "'0 0 30 2 *' names no day that ever comes"),
        ("0 0 31 4,6 *", "'0 0 31 4,6 *' names no day that ever comes"),
        ("@fortnightly", "'@fortnightly' is not one of @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly"),
        ("@reboot", "'@reboot' is not a time; use a cron string such as 0 5 * * 1-5"),
        ("every day", "'every day' has 2 fields; cron has 5, or 6 with the second first"),
        ("*/0 * * * *", "'*/0 * * * *': '*/0' is no minute field (0-59)"),
        ("* * * * " + "9" * 5000, None),
        (7, "expected a cron string such as '0 5 * * 1-5', or a block of fields"),
        ({"hours": "3"}, "unknown field 'hours'; did you mean 'hour'?"),
        ({"hour": "25"}, "field 'hour': '25' is not within 0-23"),
        ({"hour": "5-3"}, "field 'hour': '5-3' is not within 0-23"),
        ({"hour": "*/0"}, "field 'hour': '*/0' is not within 0-23"),
        ({"hour": "*-3"}, "field 'hour': '*-3' is not within 0-23"),
        ({"hour": ["3"]}, "field 'hour' must be text or a whole number"),
        ({"hour": True}, "field 'hour' must be text or a whole number"),
        ({"day_of_week": "7"}, "field 'day_of_week': '7' is not within 0-6 or mon-sun, 0 is Monday"),
        ({"day_of_week": "fryday"}, "field 'day_of_week': 'fryday' is not within 0-6 or mon-sun, 0 is Monday"),
        ({"month": "feb", "day": "30"}, "the fields name no day that ever comes"),
        ({}, "no field is given; known are year, month, day, week, day_of_week, hour, minute, second"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_one_sentence(cron: Any, sentence: str | None) -> None:
    """What is wrong, and what would be right."""
    with pytest.raises(ValueError, match=r".") as caught:
        spec(cron=cron)

    assert sentence is None or sentence == str(caught.value)


def test_blanks_mean_nothing() -> None:
    """A cron string may have any number of blanks between its fields."""
    assert spec(cron="0 5 * * 1-5") == spec(cron="  0  5 *\t* 1-5 ")


def test_a_clock_without_changes_has_none() -> None:
    """In UTC the hour of other zones' changes is an hour like any other."""
    assert ["03-29 02:30+0000", "03-30 02:30+0000"] == on_the_wall("2026-03-28T12:00", 2, cron="30 2 * * *")
