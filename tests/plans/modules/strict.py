# Hamilton's decorators have no type hints.
# mypy: ignore-errors
"""`@check_output` that stops the run."""

from hamilton.function_modifiers import check_output


@check_output(range=(0, 10), importance="fail")
def level(raw: int) -> int:
    return raw


def doubled(level: int) -> int:
    return 2 * level
