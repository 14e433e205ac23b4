"""Intervals and dates, and the bounds of every rule."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from .kit import EPOCH, fires, rule, spec, utc

START = utc("2026-01-01T00:00:00")


@pytest.mark.parametrize(
    ("interval", "seconds"),
    [
        (3600, 3600),
        (1.5, 1.5),
        ("90", 90),
        ("45m", 2700),
        ("2h30m", 9000),
        ("1d6h", 108000),
        ("1h30m10s", 5410),
        ({"hours": 2}, 7200),
        ({"hours": 1, "minutes": 30}, 5400),
        ({"hours": 4, "minutes": 30, "seconds": None}, 16200),
        ({"weeks": 1, "days": 2, "hours": 3, "minutes": 4, "seconds": 5}, 788645),
    ],
)
def test_an_interval_is_a_number_a_text_or_units(interval: Any, seconds: float) -> None:
    """Seconds, text such as 2h30m, or units by name: counted from the start."""
    found = fires(START, 2, interval=interval, start="2026-01-01T00:00:00")

    assert [START + timedelta(seconds=seconds), START + timedelta(seconds=2 * seconds)] == found


@pytest.mark.parametrize(
    ("interval", "sentence"),
    [
        (0, "an interval lasts from 1s to 10 years"),
        ("0.5s", "an interval lasts from 1s to 10 years"),
        (1e10, "an interval lasts from 1s to 10 years"),
        ("soon", "'soon' is not an interval such as 45m, 1h30m, or a number of seconds"),
        (True, "True is not an interval such as 45m, 1h30m, or a number of seconds"),
        ({"hour": 1}, "unknown unit 'hour'; known are weeks, days, hours, minutes, seconds"),
        ({"hours": "1"}, "'hours' must be a number"),
        ({"hours": -1}, "'hours' must be a number"),
        ({"hours": float("inf")}, "'hours' must be a number"),
        ({}, "an interval lasts from 1s to 10 years"),
    ],
)
def test_a_wrong_interval_is_one_sentence(interval: Any, sentence: str) -> None:
    """What is wrong, and what would be right."""
    with pytest.raises(ValueError, match=r".") as caught:
        spec(interval=interval)

    assert sentence == str(caught.value)


def test_dates_are_moments_of_the_zone() -> None:
    """Without an offset a date is read by the zone's clock; one in the gap is the gap's end; each comes once."""
    dates = ["2026-07-01T10:00:00", "2026-03-29T02:30:00", "2026-03-01T00:00:00+05:00", "2026-07-01T08:00:00Z"]

    found = fires(START, 9, date=dates, zone="Europe/Berlin")

    assert [utc("2026-02-28T19:00:00"), utc("2026-03-29T01:00:00"), utc("2026-07-01T08:00:00")] == found


def test_a_date_in_the_past_does_not_fire() -> None:
    """What was over before the schedule was there is not missed."""
    assert [] == fires(START, 1, date="2024-08-15T10:30:00")


@pytest.mark.parametrize("date", ["tomorrow", "2026-13-01", 20260101, None, [], "0001-01-01T00:00:00"])
def test_a_wrong_date_is_one_sentence(date: Any) -> None:
    """What is wrong, and what would be right."""
    with pytest.raises(ValueError, match=r"is not a date and time such as|the list of dates is empty"):
        spec(date=date)


@pytest.mark.parametrize("given", [{"cron": "*/10 * * * *"}, {"interval": "10m"}, {"date": ["2026-01-01T00:10:00", "2026-01-01T00:20:00", "2026-01-01T00:40:00"]}])  # fmt: skip
def test_nothing_fires_outside_start_and_end(given: dict[str, Any]) -> None:
    """Both bounds are included."""
    found = fires(EPOCH, 99, start="2026-01-01T00:10:00", end="2026-01-01T00:25:00", **given)

    assert [utc("2026-01-01T00:10:00"), utc("2026-01-01T00:20:00")] == found


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "none of `cron`, `interval` and `date` is given: a schedule has one of them"),
        ({"cron": "@daily", "interval": 60}, "both `cron` and `interval` are given: keep one of them"),
        ({"interval": 60, "start": "2026-01-02", "end": "2026-01-01"}, "`end` is before `start`"),
        ({"interval": 60, "jitter": 60.0}, "a `jitter` of 60 s is not shorter than the 60 s between two fires"),
        (
            {"cron": "0 5,23 * * *", "jitter": 36000.0},
            "a `jitter` of 36000 s is not shorter than the 21600 s between two fires",
        ),
        ({"cron": {"year": 2020}, "start": "2026-01-01"}, "the rule has no time after its start"),
    ],
)
def test_keys_that_do_not_fit_are_one_sentence(given: dict[str, Any], sentence: str) -> None:
    """A schedule has one rule, and bounds within which it can fire."""
    with pytest.raises(ValueError, match=r".") as caught:
        spec(**given)

    assert sentence == str(caught.value)


@pytest.mark.parametrize("given", [{"cron": "* * * * * *"}, {"interval": 1}, {"cron": "0 5 1 * *"}])
def test_the_last_instants_are_found_without_counting_all(given: dict[str, Any]) -> None:
    """After ten years away the latest instants are those that going through all of them would end with."""
    until = utc("2026-06-30T12:00:00")
    asked = rule(**given)

    found = asked.last(utc("2016-01-01T00:00:00"), until, 3)

    assert 3 == len(found)
    assert found == sorted(set(found))
    last = asked.next(found[-1])
    assert last is not None
    assert found[-1] <= until < last
    assert found[1:] == [asked.next(at) for at in found[:2]]
