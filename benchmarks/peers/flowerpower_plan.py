"""The five nodes as FlowerPower's plugin feeds them; the last notes index and time in a file, as there is no result."""

import os
import struct
import time

FILE = os.open("runs", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def celsius(mqtt_message: dict) -> float:
    return (mqtt_message["reading"] - 32.0) / 1.8


def scaled(celsius: float, factor: float = 1.5) -> float:
    return celsius * factor


def offset(scaled: float) -> float:
    return scaled + 0.5


def level(offset: float) -> str:
    return "high" if offset > 40.0 else "normal"


def result(mqtt_message: dict, offset: float, level: str) -> dict:
    os.write(FILE, struct.pack("=dd", mqtt_message["i"], time.monotonic()))
    return {"i": mqtt_message["i"], "value": offset, "level": level}
