"""The simulated plant is repeatable, and its anomalies are those that the sample pipelines find."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from fp_events.cli.plant import LINES, SITES, Plant, Reading
from pipelines import energy_daily, temperature_alerts

NOW = datetime(2025, 6, 1, 12, 0, tzinfo=UTC)


def live(plant: Plant, count: int) -> list[Reading]:
    return [plant.live(NOW + timedelta(seconds=0.05 * step)) for step in range(count)]


def test_the_same_seed_gives_the_same_readings() -> None:
    """A demonstration can be repeated."""
    first, second, other = Plant(seed=7), Plant(seed=7), Plant(seed=8)
    assert [*first.history(NOW), *live(first, 50)] == [*second.history(NOW), *live(second, 50)]
    assert live(Plant(seed=7), 50) != live(other, 50)


def test_every_machine_speaks() -> None:
    """All lines and sites, on the topics of the sample project."""
    topics = {reading.topic for reading in live(Plant(), 400)}
    expected = {f"plant/{line}/{kind}" for line in LINES for kind in ("temperature", "vibration")}
    assert topics == expected | {f"plant/{site}/energy" for site in SITES}


def test_the_sample_pipeline_finds_the_anomalies() -> None:
    """Every one of them, the first within two dozen live readings, and next to nothing else."""
    plant = Plant()
    windows: dict[str, list[float]] = {}

    def alarmed(reading: Reading) -> bool:
        value = json.loads(reading.payload)["value"]
        score = temperature_alerts.z_score(value, windows.get(reading.source), 15, 0.2)
        windows[reading.source] = temperature_alerts.window(value, windows.get(reading.source), score, 60, 4.5, 0.2)
        return temperature_alerts.alert(reading.source, value, reading.measured_at, score, 4.5) is not None

    history = [alarmed(reading) for reading in plant.history(NOW) if reading.topic.endswith("temperature")]
    readings = [reading for reading in live(plant, 10_000) if reading.topic.endswith("temperature")]
    verdicts = [(alarmed(reading), reading.anomaly) for reading in readings]
    assert not any(history)
    assert verdicts.count((False, True)) == 0
    assert verdicts.count((True, False)) <= 2
    assert (True, True) in verdicts[:24]


def test_the_history_closes_a_day_of_energy() -> None:
    """So that a daily summary is seen in the first seconds."""
    days: dict[str, dict[str, object]] = {}
    summaries = []
    for reading in Plant().history(NOW):
        if reading.topic.endswith("energy"):
            date = energy_daily.date(reading.measured_at)
            summaries.append(energy_daily.summary(reading.source, date, days.get(reading.source)))
            days[reading.source] = energy_daily.day(date, json.loads(reading.payload)["kwh"], days.get(reading.source))
    found = [(each["site"], each["date"], each["readings"]) for each in summaries if each]
    assert found == [(site, "2025-05-31", 24) for site in SITES]
