"""How close to boiling a boiler is."""


def kelvin(celsius: float) -> float:
    """The temperature above absolute zero."""
    if celsius < -273.15:
        raise ValueError(f"{celsius} degrees are below absolute zero")
    return celsius + 273.15


def report(boiler: str, kelvin: float) -> dict:
    """What is left to the boiling point."""
    return {"boiler": boiler, "kelvin": kelvin, "left": round(373.15 - kelvin, 2)}
