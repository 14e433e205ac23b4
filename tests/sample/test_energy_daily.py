"""The energy pipeline, without a broker."""

from __future__ import annotations

from typing import Any

from pipelines import energy_daily as pipeline

Day = dict[str, Any]


def feed(readings: list[tuple[str, float]]) -> tuple[list[Day], Day | None]:
    """Summaries of readings one after another, as the daemon would run them, and the day they leave."""
    kept: Day | None = None
    summaries = []
    for measured_at, energy in readings:
        date = pipeline.date(measured_at)
        found = pipeline.summary("east", date, kept)
        if found is not None:
            summaries.append(found)
        kept = pipeline.day(date, energy, kept)
    return summaries, kept


def test_a_day_is_published_when_the_next_begins() -> None:
    """The sums are those of the finished day; the reading that closed it starts the next."""
    summaries, kept = feed(
        [("2025-03-01T08:00:00Z", 1.5), ("2025-03-01T20:00:00Z", 2.25), ("2025-03-02T00:00:00Z", 4.0)]
    )
    assert summaries == [{"site": "east", "date": "2025-03-01", "kwh": 3.75, "readings": 2, "largest": 2.25, "late": 0}]
    assert kept == {"date": "2025-03-02", "kwh": 4.0, "readings": 1, "largest": 4.0, "late": 0}


def test_days_are_those_of_utc() -> None:
    """A reading's own zone decides, not the machine's."""
    dates = [
        pipeline.date(text)
        for text in ("2025-03-01T23:30:00-02:00", "2025-03-02T01:00:00+02:00", "2025-03-01T12:00:00")
    ]
    assert dates == ["2025-03-02", "2025-03-01", "2025-03-01"]


def test_a_late_reading_is_counted_and_changes_no_sum() -> None:
    """A closed day stays closed."""
    summaries, kept = feed([("2025-03-02T08:00:00Z", 1.0), ("2025-03-01T23:59:00Z", 9.0)])
    assert summaries == []
    assert kept == {"date": "2025-03-02", "kwh": 1.0, "readings": 1, "largest": 1.0, "late": 1}


def test_days_without_readings_make_no_summary() -> None:
    """After a gap the last day that had readings is published once."""
    summaries, _ = feed([("2025-03-01T08:00:00Z", 1.0), ("2025-03-09T08:00:00Z", 1.0)])
    assert [summary["date"] for summary in summaries] == ["2025-03-01"]
