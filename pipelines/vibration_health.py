"""What a block of vibration samples says of a machine.

RMS velocity is judged by the zones of ISO 20816-3; the crest factor tells knocking bearings from a machine
that merely runs rough.
"""

from math import sqrt
from statistics import fmean


def centred(samples: list[float]) -> list[float]:
    """The samples around their mean: a sensor's offset is no vibration. Raises ValueError for an empty block."""
    if not samples:
        raise ValueError("a block of vibration has no samples")
    offset = fmean(samples)
    return [sample - offset for sample in samples]


def rms(centred: list[float]) -> float:
    """Root mean square, mm/s."""
    return sqrt(fmean(sample * sample for sample in centred))


def peak(centred: list[float]) -> float:
    """The largest excursion, mm/s."""
    return max(abs(sample) for sample in centred)


def crest_factor(rms: float, peak: float) -> float:
    """Peak over RMS; 0 for a machine that stands still."""
    return peak / rms if rms > 0 else 0.0


def zone(rms: float, zones: dict[str, float]) -> str:
    """The machine's zone: A good, B acceptable for long, C not for long, D harmful."""
    if rms <= zones["good"]:
        return "A"
    if rms <= zones["acceptable"]:
        return "B"
    return "C" if rms <= zones["alarming"] else "D"


def health(line: str, measured_at: str, rms: float, crest_factor: float, zone: str, crest_limit: float) -> dict:
    """What is published for every block."""
    return {
        "line": line,
        "rms": round(rms, 3),
        "crest_factor": round(crest_factor, 2),
        "zone": zone,
        "knocking": crest_factor > crest_limit,
        "measured_at": measured_at,
    }
