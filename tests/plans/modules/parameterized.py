# Hamilton's decorators have no type hints.
# mypy: ignore-errors
"""`@parameterize` and its family."""

import pandas as pd
from hamilton.function_modifiers import (
    ParameterizedExtract,
    parameterize,
    parameterize_extract_columns,
    parameterize_sources,
    parameterize_values,
    source,
    value,
)


@parameterize(
    plus_one={"amount": value(1)},
    plus_base={"amount": source("base")},
)
def plus(base: int, amount: int) -> int:
    """{base} plus {amount}."""
    return base + amount


@parameterize_sources(sum_ab={"left": "a", "right": "b"}, sum_ba={"left": "b", "right": "a"})
def joined(left: str, right: str) -> str:
    return left + right


@parameterize_values("factor", {("doubled", "Twice."): 2, ("tripled", "Thrice."): 3})
def multiple(base: int, factor: int) -> int:
    return base * factor


@parameterize_extract_columns(
    ParameterizedExtract(("low", "high"), {"step": value(1)}),
    ParameterizedExtract(("lower", "higher"), {"step": source("base")}),
)
def columns(step: int) -> pd.DataFrame:
    return pd.DataFrame([[step, step + 1], [step * 2, step * 3]])
