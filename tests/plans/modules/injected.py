# Hamilton's decorators have no type hints.
# mypy: ignore-errors
"""`@inject` with groups of sources and values."""

from hamilton.function_modifiers import group, inject, source, value


def one(start: int) -> int:
    return start + 1


def two(start: int) -> int:
    return start + 2


@inject(numbers=group(source("one"), source("two"), value(10)))
def listed(numbers: list[int]) -> int:
    return sum(numbers)


@inject(numbers=group(first=source("one"), second=source("two"), third=value(5)))
def named(numbers: dict[str, int]) -> str:
    return ",".join(f"{name}={number}" for name, number in numbers.items())


@inject(unit=value("km"), number=source("two"))
def labelled(number: int, unit: str, start: int) -> str:
    return f"{start}:{number}{unit}"
