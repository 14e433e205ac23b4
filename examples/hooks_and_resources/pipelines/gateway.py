"""Readings of devices behind a gateway, with the place that a database knows of each."""

from sqlite3 import Connection


def celsius(value: float, unit: str, units: dict) -> float:
    """One unit for all."""
    factor, offset = units[unit]
    return round(value * factor + offset, 2)


def place(device: str, plant: Connection) -> str:
    """Where the device hangs."""
    row = plant.execute("SELECT place FROM devices WHERE name = ?", (device,)).fetchone()
    return row[0] if row else "unknown"


def reading(gateway: str, device: str, celsius: float, place: str) -> dict:
    """What is published."""
    return {"device": device, "place": place, "celsius": celsius, "by": gateway}
