# Hamilton's decorators have no type hints.
# mypy: ignore-errors
"""`Parallelizable` and `Collect`, and functions beside them."""

from hamilton.htypes import Collect, Parallelizable


def count(start: int) -> int:
    return start + 2


def item(count: int) -> Parallelizable[int]:
    yield from range(count)


def squared(item: int, power: int = 2) -> int:
    return item**power


def collected(squared: Collect[int]) -> int:
    return sum(squared)


def beside(count: int) -> int:
    return -count
