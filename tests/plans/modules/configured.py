# Hamilton's decorators have no type hints.
# mypy: ignore-errors
"""`@config.when` and its kin."""

from hamilton.function_modifiers import config


@config.when(mode="fast")
def speed__fast(base: int) -> int:
    return base * 10


@config.when(mode="slow")
def speed__slow(base: int, drag: int) -> int:
    return base - drag


@config.when_not(mode="fast")
def warning() -> str:
    return "slow"


@config.when_in(mode=["fast", "slow"])
def known(speed: int) -> str:
    return f"known {speed}"


@config.when_not_in(mode=["fast"])
def extra(speed: int, limit: int) -> bool:
    return speed > limit
