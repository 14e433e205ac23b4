# Hamilton's decorators have no type hints.
# mypy: ignore-errors
"""`@subdag`, nested, and `@parameterized_subdag`: node names with dots."""

from hamilton.function_modifiers import parameterized_subdag, source, subdag, value

from . import inner


def start(seed: int) -> int:
    return seed + 1


@subdag(inner, inputs={"offset": source("start")}, config={"kind": "square"})
def squared(described: str, shaped: int) -> str:
    return f"{described} {shaped}"


@subdag(inner, inputs={"offset": value(3)}, config={"kind": "cube"})
def cubed(described: str) -> str:
    return described


@parameterized_subdag(
    inner,
    inputs={"offset": source("start")},
    first={"config": {"kind": "square"}},
    second={"config": {"kind": "cube"}, "inputs": {"offset": value(7)}},
)
def each(described: str, base: int) -> str:
    return f"{described} from {base}"


def both(squared: str, cubed: str, first: str, second: str) -> list[str]:
    return [squared, cubed, first, second]
