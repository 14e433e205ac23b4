# Hamilton's decorators have no type hints.
# mypy: ignore-errors
"""Ordinary functions, with optional inputs at every place of a signature."""


def total(first: int, second: int = 2, *, third: int = 3) -> int:
    return first + 10 * second + 100 * third


def middle(second: int = 5, first: int = 7) -> int:
    return second * first


def text(total: int, middle: int) -> str:
    return f"{total}-{middle}"


def nothing(total: int) -> int | None:
    return None


def after_nothing(nothing: int | None, third: int = 4) -> str:
    return f"{nothing} {third}"
