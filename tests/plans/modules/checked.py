# Hamilton's decorators have no type hints.
# mypy: ignore-errors
"""`@check_output`: validators become nodes; warnings do not stop a run."""

import pandas as pd
from hamilton.function_modifiers import check_output


@check_output(data_type=float, range=(0.0, 200.0), importance="warn")
def celsius(reading: float) -> float:
    return (reading - 32) / 1.8


@check_output(range=(-100.0, 100.0), allow_nans=False, importance="warn")
def series(celsius: float) -> pd.Series:
    return pd.Series([celsius, celsius + 1])


def mean(series: pd.Series) -> float:
    return float(series.mean())
