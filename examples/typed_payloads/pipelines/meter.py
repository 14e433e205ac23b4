"""A meter's reading becomes a bill."""

from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, Field


class Reading(BaseModel):
    """What a meter sends."""

    kwh: float = Field(ge=0)
    at: datetime
    phases: list[float] = []


@dataclass
class Tariff:
    """From `params`."""

    price: float
    currency: str = "EUR"


def bill(meter: str, reading: Reading, tariff: Tariff) -> dict:
    """`reading` and `tariff` are objects with attributes, not dictionaries."""
    amount = round(reading.kwh * tariff.price, 2)
    return {"meter": meter, "month": reading.at.strftime("%Y-%m"), "amount": amount, "currency": tariff.currency}
