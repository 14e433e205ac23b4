# Hamilton's decorators have no type hints.
# mypy: ignore-errors
"""`@extract_columns`, `@extract_fields`, `@unpack_fields`."""

from typing import TypedDict

import pandas as pd
from hamilton.function_modifiers import extract_columns, extract_fields, unpack_fields


class Place(TypedDict):
    lat: float
    lon: float


@extract_columns("x", "y")
def frame(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"x": range(rows), "y": [row * 1.5 for row in range(rows)]})


def xy(x: pd.Series, y: pd.Series) -> pd.Series:
    return x + y


@extract_fields({"name": str, "size": int})
def facts(rows: int) -> dict:
    return {"name": "rows", "size": rows}


@extract_fields()
def place(rows: int) -> Place:
    return {"lat": rows + 0.5, "lon": -0.5}


def label(name: str, size: int, lat: float) -> str:
    return f"{name} {size} {lat}"


@unpack_fields("low", "high")
def bounds(size: int) -> tuple[int, int]:
    return (-size, size)


def span(low: int, high: int) -> int:
    return high - low
