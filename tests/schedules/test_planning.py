"""What is due, what becomes of missed instants, and that none comes twice. The clock is an argument."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from fp_events.domain.schedule import StoredSchedule
from fp_events.schedules.planning import due, upcoming, wakes_at

from .kit import stored, utc

NOON = utc("2026-05-01T12:00:00")
MINUTE = timedelta(minutes=1)


def fire(row: StoredSchedule, now: datetime) -> tuple[StoredSchedule, list[datetime]]:
    """The schedule after a look at the clock, and the instants that made runs."""
    found = due(row, now)
    if found is None:
        return row, []
    return replace(row, last_fire_at=found.last, next_fire_at=found.next_fire_at), list(found.instants)


def minutes(instants: list[datetime]) -> list[float]:
    """Minutes after noon."""
    return [(at - NOON) / MINUTE for at in instants]


def test_nothing_is_due_before_its_time() -> None:
    """An instant is due when the clock has reached it, not a moment earlier."""
    row = stored(NOON, interval="5m")
    at = NOON + 5 * MINUTE

    assert due(row, at - timedelta(microseconds=1)) is None
    found = due(row, at)
    assert found is not None
    assert ((at,), at, NOON + 10 * MINUTE) == (found.instants, found.last, found.next_fire_at)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [50]),
        ({"coalesce": "latest"}, [50]),
        ({"coalesce": "all"}, [5, 10, 15, 20, 25, 30, 35, 40, 45, 50]),
        ({"coalesce": "all", "max_missed": 3}, [40, 45, 50]),
        ({"coalesce": "all", "max_missed": 1}, [50]),
    ],
)
@pytest.mark.parametrize("rule", [{"interval": "5m"}, {"cron": "*/5 * * * *"}, {"cron": {"minute": "*/5"}}])
def test_ten_missed_instants(given: dict[str, Any], expected: list[float], rule: dict[str, Any]) -> None:
    """After a while away the latest instant makes a run, or all do, up to a bound; then it goes on as before."""
    row, found = fire(stored(NOON, **rule, **given), NOON + 52 * MINUTE)

    assert expected == minutes(found)
    assert [] == fire(row, NOON + 54 * MINUTE)[1]
    assert [55] == minutes(fire(row, NOON + 55 * MINUTE)[1])


def test_several_dates_are_missed_together() -> None:
    """Dates are made up for as other rules are, and after the last one nothing is left."""
    dates = ["2026-05-01T12:05:00", "2026-05-01T12:10:00", "2026-05-01T13:00:00"]

    row, found = fire(stored(NOON, date=dates, coalesce="all"), NOON + 20 * MINUTE)
    last, rest = fire(row, NOON + 70 * MINUTE)

    assert [5, 10] == minutes(found)
    assert [60] == minutes(rest)
    assert last.next_fire_at is None
    assert due(last, NOON + 9999 * MINUTE) is None


def test_a_clock_set_back_an_hour_fires_nothing_twice() -> None:
    """From minute 61 the clock goes back to minute 1: nothing fires until it has come where it was."""
    row = stored(NOON, interval="5m")
    fired: list[datetime] = []
    for minute in [*range(62), *range(1, 130)]:
        row, found = fire(row, NOON + minute * MINUTE)
        fired += found

    assert list(range(5, 130, 5)) == minutes(fired)


def test_a_clock_set_forward_misses_what_it_jumped_over() -> None:
    """The instants of the jump are missed ones: the latest is made up for."""
    row = stored(NOON, interval="5m")
    fired: list[datetime] = []
    for minute in [*range(12), *range(61, 72)]:
        row, found = fire(row, NOON + minute * MINUTE)
        fired += found

    assert [5, 10, 60, 65, 70] == minutes(fired)


@pytest.mark.parametrize("coalesce", ["latest", "all"])
def test_any_clock_gives_every_instant_at_most_once(coalesce: str) -> None:
    """However the clock jumps, instants that fire only grow."""
    rng = Random(7)
    row = stored(NOON, cron="*/7 * * * *", coalesce=coalesce)
    now, fired = NOON, []
    for _ in range(2000):
        now += timedelta(seconds=rng.choice([30, 60, 300, 3600, 7200, 90_000, -60, -3600, -80_000]))
        row, found = fire(row, now)
        fired += found

    assert fired == sorted(set(fired))
    assert len(fired) > 100


def test_jitter_delays_each_instant_by_its_own_amount_and_loses_none() -> None:
    """Runs come between their instant and the jitter after it, the same after a restart, spread over all of it."""
    row = stored(NOON, interval="1m", jitter=59.0)
    delays = []
    for _ in range(300):
        at, instant = wakes_at(row), row.next_fire_at
        assert at is not None
        assert instant is not None
        delays.append((at - instant).total_seconds())
        assert due(row, at - timedelta(milliseconds=1)) is None
        row, found = fire(row, at)
        assert [instant] == found

    assert 0 <= min(delays) < 5
    assert 54 < max(delays) < 59


def test_missed_instants_with_jitter_leave_the_one_that_is_still_held_back() -> None:
    """An instant whose delay is not over is not missed: it comes at its own time."""
    row = stored(NOON, interval="10m", jitter=599.0, coalesce="all")
    now = NOON + 100 * MINUTE
    late = stored(now - timedelta(microseconds=1), interval="10m", jitter=599.0)
    assert late.next_fire_at is not None

    following, found = fire(row, now + timedelta(microseconds=1))

    assert list(range(10, 100, 10)) == minutes(found)
    assert now == following.next_fire_at


def test_instants_to_come_are_listed() -> None:
    """The one that is due first, then those after it."""
    row = stored(NOON, cron="*/20 * * * *")

    assert [20, 40, 60] == minutes(upcoming(row, 3))
    assert [] == upcoming(replace(row, next_fire_at=None), 3)
