"""Is it warmer than it used to be?"""

import time

from fp_events import cached


@cached(ttl="1h", key=lambda station: station.lower())
def place(station: str) -> tuple[float, float]:
    """Asked of a slow register, once an hour for each station, however its name is written."""
    time.sleep(0.3)
    return (52.5, 13.4) if station.lower() == "berlin" else (0.0, 0.0)


def climate(place: tuple[float, float]) -> dict[str, float]:
    """Computed once for each place."""
    time.sleep(0.3)
    latitude, _ = place
    return {"mean": round(30 - latitude / 3, 1)}


def warning(celsius: float, climate: dict[str, float]) -> str | None:
    """Computed for each message."""
    above = celsius - climate["mean"]
    return f"{above:.1f} degrees above the mean" if above > 5 else None
