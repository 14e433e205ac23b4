# Hamilton's decorators have no type hints.
# mypy: ignore-errors
"""Decorators that Hamilton keeps for older modules: their newer names do the same."""

from hamilton.function_modifiers import (
    parameterized_inputs,
    parametrized,
    parametrized_input,
    pipe,
    source,
    step,
    value,
)


@parametrized("limit", {("low", "The lower one."): 10, ("high", "The higher one."): 100})
def over(reading: float, limit: int) -> bool:
    """Whether the reading is above it."""
    return reading > limit


@parametrized_input("unit", {"metres": ("first_metres", "Of metres."), "feet": ("first_feet", "Of feet.")})
def first(unit: list[float]) -> float:
    return unit[0]


@parameterized_inputs(
    wide={"left": "metres", "right": "feet"},
    narrow={"left": "feet", "right": "metres"},
)
def difference(left: list[float], right: list[float], reading: float) -> float:
    """{left} without {right}."""
    return left[0] - right[0] + reading


def _plus(number: float, amount: float) -> float:
    return number + amount


@pipe(step(_plus, amount=value(1)), step(_plus, amount=source("wide")))
def piped(reading: float) -> float:
    return reading
