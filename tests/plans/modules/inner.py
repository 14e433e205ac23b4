# Hamilton's decorators have no type hints.
# mypy: ignore-errors
"""What `subdags` runs as a part of itself."""

from hamilton.function_modifiers import config


def base(offset: int) -> int:
    return offset * 2


@config.when(kind="square")
def shaped__square(base: int) -> int:
    return base * base


@config.when(kind="cube")
def shaped__cube(base: int) -> int:
    return base**3


def described(shaped: int, base: int) -> str:
    return f"{shaped}/{base}"
