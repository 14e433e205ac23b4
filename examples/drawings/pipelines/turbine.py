"""Is a turbine too fast?"""

from fp_events import when


def share(rpm: float, limit: float) -> float:
    """Of the speed that it may have."""
    return rpm / limit


@when(lambda share: share > 1)
def excess(share: float) -> float:
    """By how much it is too fast; skipped where it is not."""
    return round(share - 1, 3)


def warning(turbine: str, excess: float) -> dict:
    """What is published of a turbine that is too fast."""
    return {"turbine": turbine, "excess": excess}
