"""Hear from a machine's vibration whether a bearing is worn: too much computing for the daemon's own process."""

import cmath
import math


def spectrum(samples: list[float]) -> list[float]:
    """Amplitudes of the frequencies, by the definition of Fourier's transform: slow, and easy to read."""
    count = len(samples)
    return [
        abs(sum(x * cmath.exp(-2j * math.pi * k * n / count) for n, x in enumerate(samples))) * 2 / count
        for k in range(count // 2)
    ]


def loudest(spectrum: list[float]) -> int:
    """The frequency with the largest amplitude."""
    return max(range(len(spectrum)), key=lambda k: spectrum[k])


def verdict(machine: str, spectrum: list[float], loudest: int, limit: float) -> dict:
    """What is published."""
    amplitude = round(spectrum[loudest], 3)
    return {"machine": machine, "frequency": loudest, "amplitude": amplitude, "worn": amplitude > limit}
