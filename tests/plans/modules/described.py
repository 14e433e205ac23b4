# Hamilton's decorators have no type hints.
# mypy: ignore-errors
"""What says something of a node and leaves its value alone, checks of one's own, and what is no node."""

import pandas as pd
from hamilton.data_quality.base import DataValidator, ValidationResult
from hamilton.function_modifiers import cache, check_output_custom, hamilton_exclude, parameterize, schema, tag, value
from hamilton.plugins.h_pandas import with_columns


class Positive(DataValidator):
    """Above zero."""

    def applies_to(self, datatype: type[type]) -> bool:
        return issubclass(datatype, int | float)

    def description(self) -> str:
        return "above zero"

    @classmethod
    def name(cls) -> str:
        return "positive"

    def validate(self, dataset: float) -> ValidationResult:
        return ValidationResult(passes=dataset > 0, message=f"{dataset} is above zero or not")


@check_output_custom(Positive(importance="fail"))
def gain(reading: float) -> float:
    return reading - 1


@cache(behavior="recompute", format="json")
@tag(owner="ops")
def kept(gain: float) -> float:
    return gain * 2


@schema.output(("line", "str"), ("value", "float"))
def table(kept: float) -> pd.DataFrame:
    return pd.DataFrame({"line": ["a", "b"], "value": [kept, kept + 1]})


@hamilton_exclude
def helper(anything: int) -> int:
    return anything


@cache(behavior="disable")
@parameterize(once={"times": value(helper(1))}, twice={"times": value(helper(2))})
def often(kept: float, times: int) -> float:
    return kept * times


def share(value: pd.Series) -> pd.Series:
    return value / value.sum()


@with_columns(share, columns_to_pass=["value"], select=["share"])
def shared(table: pd.DataFrame) -> pd.DataFrame:
    return table
