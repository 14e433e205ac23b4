"""The machine-temperature series, a rolling z-score pipeline for it, and what pandas says it must give."""

from __future__ import annotations

import csv
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pandas as pd
import pytest

#: The series lies beside the checkout; see its README for source and licence.
DATA = Path(__file__).parents[3] / "shared" / "data"
WINDOW = 288
THRESHOLD = 3.5

PROJECT = {
    "conf/project.yml": """\
name: machine
mqtt: {{url: "mqtt://127.0.0.1:{port}", protocol: "{protocol}"}}
""",
    "conf/pipelines/zscore.yml": """\
triggers:
  - topic: plant/{machine}/temperature
    map: {position: payload.i, reading: payload.value}
    key: "{machine}"
state: {window: previous_window}
outputs:
  - {node: result, topic: "results/{machine}"}
  - {node: alert, topic: "alerts/{machine}"}
params: {size: 288, threshold: 3.5}
""",
    "pipelines/zscore.py": '''\
"""How far a reading lies from the mean of those before it."""

import math


def window(reading: float, previous_window: list | None, size: int) -> list:
    """The last readings, this one included."""
    return [*(previous_window or []), reading][-size:]


def mean(window: list) -> float:
    """Of the window."""
    return math.fsum(window) / len(window)


def deviation(window: list, mean: float) -> float | None:
    """Standard deviation of the sample; unknown for one reading."""
    if len(window) < 2:
        return None
    return math.sqrt(math.fsum((x - mean) ** 2 for x in window) / (len(window) - 1))


def zscore(reading: float, mean: float, deviation: float | None) -> float | None:
    """In standard deviations."""
    return (reading - mean) / deviation if deviation else None


def result(position: int, reading: float, mean: float, zscore: float | None) -> dict:
    """Every reading's."""
    return {"i": position, "value": reading, "mean": mean, "zscore": zscore}


def alert(position: int, reading: float, zscore: float | None, threshold: float) -> dict | None:
    """Only what is far out."""
    if zscore is None or abs(zscore) <= threshold:
        return None
    return {"i": position, "value": reading, "zscore": zscore}
''',
}


@dataclass(frozen=True)
class Expected:
    """What pandas computes offline."""

    values: list[float]
    means: list[float]
    zscores: list[float | None]
    alerts: list[int]


def readings() -> list[tuple[str, float]]:
    """(timestamp, value) in the order of the file; where it is not at hand, a made-up series as long as it."""
    path = DATA / "machine_temperature_system_failure.csv"
    if not path.exists():
        if os.environ.get("SERIES") == "required":
            pytest.fail(f"{path.name} is not beside the checkout")
        return _made_up()
    with path.open() as file:
        return [(row["timestamp"], float(row["value"])) for row in csv.DictReader(file)]


def _made_up() -> list[tuple[str, float]]:
    rng = Random(7)
    level, rows = 80.0, []
    for index in range(22_695):
        level += rng.gauss(0, 0.8) - (level - 80.0) * 0.01
        jump = rng.choice((-40.0, 30.0)) if rng.random() < 0.002 else 0.0
        rows.append((f"reading {index:05}", level + jump))
    return rows


def windows() -> list[tuple[str, str]]:
    """The labelled anomaly windows."""
    if not DATA.exists():
        return []
    found = json.loads((DATA / "machine_temperature_anomaly_windows.json").read_text())
    return [(start[:19], end[:19]) for start, end in found]


def expected(rows: list[tuple[str, float]]) -> Expected:
    """Offline, from the same rows."""
    series = pd.Series([value for _, value in rows])
    rolling = series.rolling(WINDOW, min_periods=1)
    mean, deviation = rolling.mean(), rolling.std()
    zscores: list[float] = ((series - mean) / deviation).tolist()
    scores = [None if math.isnan(z) else z for z in zscores]
    return Expected(
        values=[float(value) for value in series],
        means=[float(value) for value in mean],
        zscores=scores,
        alerts=[index for index, z in enumerate(scores) if z is not None and abs(z) > THRESHOLD],
    )


def lines(rows: list[tuple[str, float]]) -> list[str]:
    """Payloads: timestamps repeat in the file, so readings are told apart by their position."""
    return [
        json.dumps({"i": index, "at": at, "value": value}, separators=(",", ":"))
        for index, (at, value) in enumerate(rows)
    ]
