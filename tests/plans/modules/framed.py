# Hamilton's decorators have no type hints.
# mypy: ignore-errors
"""`@with_columns` of the pandas plugin."""

import pandas as pd
from hamilton.plugins.h_pandas import with_columns


def ratio(left: pd.Series, right: pd.Series) -> pd.Series:
    return left / right


def shifted(ratio: pd.Series, shift: float) -> pd.Series:
    return ratio + shift


def table(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"left": range(1, rows + 1), "right": range(2, rows + 2)})


@with_columns(ratio, shifted, columns_to_pass=["left", "right"], select=["ratio", "shifted"])
def wide(table: pd.DataFrame) -> pd.DataFrame:
    return table


def summed(wide: pd.DataFrame) -> float:
    return float(wide["shifted"].sum())
