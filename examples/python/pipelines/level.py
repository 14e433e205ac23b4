"""A level and whether it is too high."""

import os
from dataclasses import dataclass


@dataclass
class Alarm:
    """What is told."""

    metres: float
    high: bool


def metres(mm: float) -> float:
    """The level in metres."""
    if mm < 0:
        raise ValueError("a level below the floor")
    return mm / 1000


def alarm(metres: float, limit_m: float) -> Alarm:
    """Whether it is above the limit."""
    return Alarm(metres=metres, high=metres > limit_m)


def process(metres: float) -> int:
    """Where it was computed."""
    return os.getpid()
