# Hamilton's decorators have no type hints.
# mypy: ignore-errors
"""`@does` and tags."""

from hamilton.function_modifiers import does, extract_fields, tag, tag_outputs


def _sum(**numbers: int) -> int:
    return sum(numbers.values())


def _scale(number: int, factor: int = 2) -> int:
    return number * factor


@tag(owner="ops", **{"unit.of": "m"})
@does(_sum)
def total(a: int, b: int, c: int) -> int:
    """All of them."""


@does(_scale, number="total")
def scaled(total: int) -> int:
    """Twice the total."""


@tag_outputs(left={"side": "l"}, right={"side": "r"})
@extract_fields({"left": int, "right": int})
def sides(scaled: int) -> dict:
    return {"left": scaled, "right": -scaled}
