# Hamilton's decorators have no type hints.
# mypy: ignore-errors
"""`@pipe_input`, `@pipe_output`, `@mutate`."""

from hamilton.function_modifiers import apply_to, mutate, pipe_input, pipe_output, source, step, value


def _add(number: int, amount: int) -> int:
    return number + amount


def _negate(number: int) -> int:
    return -number


def _twice(number: int) -> int:
    return 2 * number


def amount(seed: int) -> int:
    return seed + 100


@pipe_input(
    step(_add, amount=value(5)),
    step(_negate).named("turned", namespace="signs"),
    step(_twice).when(double=True),
)
def into(number: int) -> int:
    return number + 1


@pipe_output(
    step(_add, amount=source("amount")),
    step(_twice),
)
def out_of(into: int) -> int:
    return into


def plain(out_of: int) -> int:
    return out_of


@mutate(apply_to(plain).when(double=True), amount=value(9))
def _shift(number: int, amount: int) -> int:
    return number * amount


@mutate(plain)
def _last(number: int) -> int:
    return number - 1


def after(plain: int) -> str:
    return str(plain)
