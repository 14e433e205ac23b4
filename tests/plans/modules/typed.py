# Hamilton's decorators have no type hints.
# mypy: ignore-errors
"""Future annotations, generics, new types, classes of the module itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, NewType

import pandas as pd

Celsius = NewType("Celsius", float)


@dataclass
class Reading:
    value: float
    unit: str = "C"


def reading(raw: float, unit: Literal["C", "F"] = "C") -> Reading:
    return Reading(raw, unit)


def celsius(reading: Reading) -> Celsius:
    return Celsius(reading.value)


def values(celsius: Celsius, more: list[float] | None = None) -> list[float]:
    return [celsius, *(more or [])]


def mapping(values: list[float]) -> dict[str, list[float]]:
    return {"values": values}


def series(values: list[float]) -> Annotated[pd.Series, float]:
    return pd.Series(values)


def anything(mapping: dict[str, list[float]], reading: Reading) -> Any:
    return (mapping, reading)
