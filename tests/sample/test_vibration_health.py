"""The vibration pipeline, without a broker."""

from __future__ import annotations

from math import isclose, pi, sin, sqrt

import pytest

from pipelines import vibration_health as pipeline

ZONES = {"good": 1.4, "acceptable": 2.8, "alarming": 4.5}


def sine(amplitude: float, offset: float = 0.0) -> list[float]:
    return [offset + amplitude * sin(2 * pi * step / 64) for step in range(64)]


def test_rms_of_a_sine_is_its_amplitude_over_root_two() -> None:
    """Known values: a sine's RMS, and its crest factor of root two."""
    centred = pipeline.centred(sine(3.0))
    rms, peak = pipeline.rms(centred), pipeline.peak(centred)
    assert isclose(3.0 / sqrt(2), rms, rel_tol=1e-9)
    assert isclose(sqrt(2), pipeline.crest_factor(rms, peak), rel_tol=1e-9)


def test_a_sensors_offset_is_no_vibration() -> None:
    """The mean is taken off first."""
    assert isclose(pipeline.rms(pipeline.centred(sine(1.0))), pipeline.rms(pipeline.centred(sine(1.0, offset=9.81))))


def test_a_machine_that_stands_still_has_no_crest() -> None:
    """No division by zero."""
    centred = pipeline.centred([2.5] * 8)
    assert pipeline.crest_factor(pipeline.rms(centred), pipeline.peak(centred)) == 0.0


@pytest.mark.parametrize(
    ("rms", "expected"), [(0.0, "A"), (1.4, "A"), (1.41, "B"), (2.8, "B"), (4.5, "C"), (4.51, "D")]
)
def test_zones_include_their_upper_limit(rms: float, expected: str) -> None:
    """The limits of ISO 20816-3 belong to the better zone."""
    assert expected == pipeline.zone(rms, ZONES)


def test_an_empty_block_is_an_error() -> None:
    """It becomes a dead letter, not a healthy machine."""
    with pytest.raises(ValueError, match="no samples"):
        pipeline.centred([])


def test_health_tells_knocking_from_roughness() -> None:
    """A crest factor above its limit is named."""
    report = pipeline.health("north", "2025-01-01T00:00:00Z", 1.23456, 6.0, "A", 5.0)
    assert report == {
        "line": "north",
        "rms": 1.235,
        "crest_factor": 6.0,
        "zone": "A",
        "knocking": True,
        "measured_at": "2025-01-01T00:00:00Z",
    }
