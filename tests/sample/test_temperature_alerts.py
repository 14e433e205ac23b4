"""The temperature pipeline, without a broker."""

from __future__ import annotations

from typing import Any

from pipelines import temperature_alerts as pipeline

Alert = dict[str, Any]


def feed(readings: list[float], *, threshold: float = 4.0) -> tuple[list[Alert | None], list[float]]:
    """Alerts of readings one after another, as the daemon would run them, and the window they leave."""
    kept: list[float] | None = None
    alerts = []
    for reading in readings:
        score = pipeline.z_score(reading, kept, minimum_readings=5, noise_floor=0.2)
        alerts.append(pipeline.alert("north", reading, "2025-01-01T00:00:00Z", score, threshold))
        kept = pipeline.window(reading, kept, score, window_size=10, threshold=threshold, noise_floor=0.2)
    return alerts, kept or []


def test_nothing_is_unusual_before_enough_readings() -> None:
    """The first readings, however wild, make no alert."""
    alerts, _ = feed([20.0, 90.0, -40.0, 20.0, 20.0])
    assert alerts == [None] * 5


def test_a_spike_makes_one_alert() -> None:
    """A reading far above the window is published with its distance."""
    alerts, _ = feed([20.0, 20.1, 19.9, 20.0, 20.1, 35.0, 20.0])
    assert alerts[:5] + alerts[6:] == [None] * 6
    assert alerts[5] == {
        "line": "north",
        "kind": "temperature_high",
        "value": 35.0,
        "z_score": 74.9,
        "measured_at": "2025-01-01T00:00:00Z",
    }


def test_a_drop_is_an_alert_of_its_own_kind() -> None:
    """A reading far below the window is called low."""
    alerts, _ = feed([20.0] * 6 + [10.0])
    assert alerts[-1] is not None
    assert alerts[-1]["kind"] == "temperature_low"


def test_a_flat_line_is_not_alarmed_by_its_last_digit() -> None:
    """The noise floor stands in for a deviation of zero."""
    alerts, _ = feed([20.0] * 8 + [20.1])
    assert alerts == [None] * 9


def test_a_spike_does_not_blind_the_next_alert() -> None:
    """The window takes a spike at the threshold, so a second spike is seen as well."""
    alerts, _ = feed([20.0] * 6 + [60.0, 60.0])
    assert [alert is not None for alert in alerts[-2:]] == [True, True]


def test_a_new_level_is_learnt() -> None:
    """A lasting change stops being unusual."""
    alerts, kept = feed([20.0] * 10 + [26.0] * 30)
    assert alerts[10] is not None
    assert alerts[-1] is None
    assert kept[-1] == 26.0


def test_the_window_has_an_end() -> None:
    """Only the last readings are kept."""
    _, kept = feed([float(20 + number % 2) for number in range(50)])
    assert len(kept) == 10
