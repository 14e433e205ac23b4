"""Spring and autumn in three zones: Berlin and New York change by an hour, Lord Howe by half an hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .kit import fires, on_the_wall, rule

#: Zone, the day before the clock goes forward, the day before it goes back.
BERLIN = ("Europe/Berlin", "2026-03-28T12:00", "2026-10-24T12:00")
NEW_YORK = ("America/New_York", "2026-03-07T12:00", "2026-10-31T12:00")
LORD_HOWE = ("Australia/Lord_Howe", "2026-10-03T12:00", "2026-04-04T12:00")

#: The two ways of writing a rule follow the same clock.
WRITINGS = [
    lambda minute, hour: f"{minute} {hour} * * *",
    lambda minute, hour: f"0 {minute} {hour} * * *",
    lambda minute, hour: {"minute": minute, "hour": hour},
]


@pytest.mark.parametrize("write", WRITINGS)
@pytest.mark.parametrize(
    ("place", "minute", "hour", "expected"),
    [
        (BERLIN, "30", "2", ["03-29 03:00+0200", "03-30 02:30+0200"]),
        (BERLIN, "0", "3", ["03-29 03:00+0200", "03-30 03:00+0200"]),
        (BERLIN, "59", "1", ["03-29 01:59+0100", "03-30 01:59+0200"]),
        (BERLIN, "0,30", "2", ["03-29 03:00+0200", "03-30 02:00+0200", "03-30 02:30+0200"]),
        (NEW_YORK, "30", "2", ["03-08 03:00-0400", "03-09 02:30-0400"]),
        (NEW_YORK, "59", "1", ["03-08 01:59-0500", "03-09 01:59-0400"]),
        (LORD_HOWE, "15", "2", ["10-04 02:30+1100", "10-05 02:15+1100"]),
        (LORD_HOWE, "30", "2", ["10-04 02:30+1100", "10-05 02:30+1100"]),
        (LORD_HOWE, "0", "3", ["10-04 03:00+1100", "10-05 03:00+1100"]),
    ],
)
def test_a_time_that_is_jumped_over_comes_at_the_end_of_the_jump(
    place: tuple[str, str, str], minute: str, hour: str, expected: list[str], write: Any
) -> None:
    """A fixed time fires once on the day when the clock goes forward, be it in the gap or beside it."""
    zone, spring, _ = place

    assert expected == on_the_wall(spring, len(expected), zone=zone, cron=write(minute, hour))


@pytest.mark.parametrize("write", WRITINGS)
@pytest.mark.parametrize(
    ("place", "minute", "hour", "expected"),
    [
        (BERLIN, "30", "2", ["10-25 02:30+0200", "10-26 02:30+0100"]),
        (BERLIN, "0", "3", ["10-25 03:00+0100", "10-26 03:00+0100"]),
        (NEW_YORK, "30", "1", ["11-01 01:30-0400", "11-02 01:30-0500"]),
        (NEW_YORK, "0", "2", ["11-01 02:00-0500", "11-02 02:00-0500"]),
        (LORD_HOWE, "45", "1", ["04-05 01:45+1100", "04-06 01:45+1030"]),
        (LORD_HOWE, "15", "1", ["04-05 01:15+1100", "04-06 01:15+1030"]),
    ],
)
def test_a_time_that_comes_twice_fires_once(
    place: tuple[str, str, str], minute: str, hour: str, expected: list[str], write: Any
) -> None:
    """A fixed time fires the first time on the day when the clock goes back."""
    zone, _, autumn = place

    assert expected == on_the_wall(autumn, len(expected), zone=zone, cron=write(minute, hour))


@pytest.mark.parametrize("write", WRITINGS)
@pytest.mark.parametrize("place", [BERLIN, NEW_YORK, LORD_HOWE])
@pytest.mark.parametrize("season", [1, 2])
def test_a_pace_is_kept(place: tuple[str, str, str], season: int, write: Any) -> None:
    """Every quarter of an hour is every 15 minutes, in both nights too."""
    zone = place[0]
    begin = datetime.fromisoformat(place[season]).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)

    found = fires(begin, 200, zone=zone, cron=write("*/15", "*"))

    assert {timedelta(minutes=15)} == {later - earlier for earlier, later in pairwise(found)}


@pytest.mark.parametrize("write", WRITINGS)
@pytest.mark.parametrize(
    ("zone", "after", "hours", "expected"),
    [
        ("Europe/Berlin", "2026-03-29T00:59", "1-3", ["01:00", "01:30", "03:00", "03:30", "01:00"]),
        ("Europe/Berlin", "2026-10-25T01:59", "2-3", ["02:00", "02:30", "02:00", "02:30", "03:00", "03:30"]),
        ("America/New_York", "2026-11-01T00:59", "1-2", ["01:00", "01:30", "01:00", "01:30", "02:00", "02:30"]),
        ("Australia/Lord_Howe", "2026-10-04T01:29", "1-3", ["01:30", "02:30", "03:00", "03:30", "01:00"]),
        ("Australia/Lord_Howe", "2026-04-05T01:29", "1-3", ["01:30", "01:30", "02:00", "02:30", "03:00", "03:30"]),
    ],
)
def test_times_of_a_pace_are_left_out_or_come_twice(
    zone: str, after: str, hours: str, expected: list[str], write: Any
) -> None:
    """What is not on the clock does not fire; an hour that comes twice fires twice."""
    found = on_the_wall(after, len(expected), zone=zone, cron=write("*/30", hours))

    assert expected == [text[6:11] for text in found]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_an_interval_does_not_look_at_the_wall(zone: str) -> None:
    """Two hours are two hours, whatever the clock does."""
    found = fires(datetime(2026, 3, 1, tzinfo=UTC), 5000, interval="2h", zone=zone)

    assert {timedelta(hours=2)} == {later - earlier for earlier, later in pairwise(found)}


_RULES = st.sampled_from(["30 2 * * *", "*/30 1-3 * * *", "15 */2 * * 0", "0,15 1,2,3 * * *", "*/7 2 4,25,29 * *"])
_ZONES = st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "UTC"])


@settings(max_examples=150, deadline=None)
@given(_RULES, _ZONES, st.integers(0, 366 * 24 * 60), st.integers(1, 10**6))
def test_where_one_begins_to_look_makes_no_difference(cron: str, zone: str, minutes: int, more: int) -> None:
    """The next instant is the same from every moment before it, grows, and is later than asked."""
    asked = rule(cron=cron, zone=zone)
    begin = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    first = asked.next(begin)
    assert first is not None
    assert first > begin
    between = begin + (first - begin) * (more / 10**6) - timedelta(microseconds=1)

    assert first == asked.next(max(begin, between))
    following = asked.next(first)
    assert following is not None
    assert following > first
