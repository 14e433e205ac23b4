"""Temperatures that are far from what the last readings lead one to expect.

The window of a line's last readings is state: it comes back as `previous_window` with the line's next reading.
"""

from statistics import fmean, pstdev


def z_score(
    reading: float, previous_window: list[float] | None, minimum_readings: int, noise_floor: float
) -> float | None:
    """Distance of `reading` from the window's mean, in standard deviations; None while the window is short.

    `noise_floor` (°C) is the smallest deviation reckoned with: a flat line would make any change infinite.
    """
    if previous_window is None or len(previous_window) < minimum_readings:
        return None
    return (reading - fmean(previous_window)) / max(pstdev(previous_window), noise_floor)


def window(
    reading: float,
    previous_window: list[float] | None,
    z_score: float | None,
    window_size: int,
    threshold: float,
    noise_floor: float,
) -> list[float]:
    """The last `window_size` readings.

    An unusual reading enters at the threshold: one spike does not blind the next alerts, and a level that
    has really changed is still learnt.
    """
    before = previous_window or []
    if z_score is not None and abs(z_score) > threshold:
        reach = threshold * max(pstdev(before), noise_floor)
        reading = fmean(before) + (reach if z_score > 0 else -reach)
    return [*before, round(reading, 3)][-window_size:]


def alert(line: str, reading: float, measured_at: str, z_score: float | None, threshold: float) -> dict | None:
    """What is published of an unusual reading; None for an ordinary one."""
    if z_score is None or abs(z_score) <= threshold:
        return None
    return {
        "line": line,
        "kind": "temperature_high" if z_score > 0 else "temperature_low",
        "value": reading,
        "z_score": round(z_score, 1),
        "measured_at": measured_at,
    }
