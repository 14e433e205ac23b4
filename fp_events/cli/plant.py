"""A plant that is not there: machines that publish what real ones would. The same seed, the same readings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import pi, sin
from random import Random

LINES = ("press", "mill", "oven", "pump")
SITES = ("north", "south")

#: °C at which each line runs.
_LEVELS = {"press": 46.0, "mill": 58.0, "oven": 180.0, "pump": 34.0}
#: mm/s, the amplitude of each line's vibration; the mill is worn.
_AMPLITUDES = {"press": 1.2, "mill": 4.9, "oven": 0.4, "pump": 1.9}
_NOISE = 0.3
_SAMPLES = 64
#: Readings in advance of the first live one: enough for the sample project to know what is ordinary.
_HISTORY = 30
#: Every so many live temperatures one is far off; the first comes early, to be seen.
_ANOMALY_EVERY, _FIRST_ANOMALY = 60, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One message of a machine."""

    topic: str
    payload: bytes
    #: Line or site.
    source: str
    #: What the machine says of the time, ISO 8601 with microseconds.
    measured_at: str
    #: For the screen: ``46.2 °C``.
    shown: str
    #: The simulator made it unusual on purpose.
    anomaly: bool = False


class Plant:
    """Machines with temperatures, vibration and energy meters."""

    def __init__(self, seed: int = 1) -> None:
        self._random = Random(seed)  # noqa: S311 (repeatable, not secret)
        self._temperatures = 0
        self._steps = 0

    def history(self, now: datetime) -> Iterator[Reading]:
        """The last minutes' temperatures, and yesterday's energy with the reading that closes the day."""
        for step in range(_HISTORY):
            at = now - timedelta(seconds=10 * (_HISTORY - step))
            for line in LINES:
                yield self._temperature(line, at, anomaly=False)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        for site in SITES:
            for hour in range(24):
                yield self._energy(site, midnight - timedelta(hours=24 - hour))
            yield self._energy(site, now)

    def live(self, now: datetime) -> Reading:
        """The next reading of some machine."""
        self._steps += 1
        kind = self._steps % 10
        if kind == 0:
            return self._energy(self._random.choice(SITES), now)
        if kind in {3, 6, 9}:
            return self._vibration(self._random.choice(LINES), now)
        self._temperatures += 1
        anomaly = self._temperatures % _ANOMALY_EVERY == _FIRST_ANOMALY
        return self._temperature(self._random.choice(LINES), now, anomaly=anomaly)

    def _temperature(self, line: str, at: datetime, *, anomaly: bool) -> Reading:
        value = _LEVELS[line] + 0.4 * sin(at.timestamp() / 60) + self._random.gauss(0, _NOISE)
        if anomaly:
            value += self._random.choice((-1, 1)) * self._random.uniform(6, 14)
        fields = {"value": round(value, 2), "unit": "°C"}
        return _reading(f"plant/{line}/temperature", line, at, fields, f"{value:.1f} °C", anomaly=anomaly)

    def _vibration(self, line: str, at: datetime) -> Reading:
        samples = [
            round(_AMPLITUDES[line] * sin(8 * pi * step / _SAMPLES) + self._random.gauss(0, 0.1), 3)
            for step in range(_SAMPLES)
        ]
        return _reading(f"plant/{line}/vibration", line, at, {"samples": samples, "unit": "mm/s"}, "")

    def _energy(self, site: str, at: datetime) -> Reading:
        used = round(self._random.uniform(0.8, 1.6), 3)
        return _reading(f"plant/{site}/energy", site, at, {"kwh": used}, f"{used:.2f} kWh")


def _reading(
    topic: str,
    source: str,
    at: datetime,
    fields: Mapping[str, object],
    shown: str,
    *,
    anomaly: bool = False,
) -> Reading:
    measured_at = at.isoformat(timespec="microseconds")
    payload = json.dumps({**fields, "measured_at": measured_at}, ensure_ascii=False).encode()
    return Reading(topic=topic, payload=payload, source=source, measured_at=measured_at, shown=shown, anomaly=anomaly)
