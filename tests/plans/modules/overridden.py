# Hamilton's decorators have no type hints.
# mypy: ignore-errors
"""A chain to be cut by overrides."""


def a(start: int) -> int:
    return start + 1


def b(a: int) -> int:
    return a * 2


def c(b: int, a: int) -> int:
    return b - a


def d(c: int) -> int:
    return c * c
