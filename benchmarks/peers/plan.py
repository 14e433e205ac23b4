"""Five nodes: the work of every system that takes Hamilton modules or plain functions."""


def celsius(reading: float) -> float:
    return (reading - 32.0) / 1.8


def scaled(celsius: float, factor: float) -> float:
    return celsius * factor


def offset(scaled: float) -> float:
    return scaled + 0.5


def level(offset: float) -> str:
    return "high" if offset > 40.0 else "normal"


def result(i: int, offset: float, level: str) -> dict:
    return {"i": i, "value": offset, "level": level}
