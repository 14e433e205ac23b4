"""What runs are given, opened once per worker."""

import sqlite3
from collections.abc import Iterator


def open_database(file: str) -> Iterator[sqlite3.Connection]:
    """Devices and their places; what follows `yield` runs at the end of the worker."""
    # Threads share it.
    connection = sqlite3.connect(file, check_same_thread=False)
    connection.execute("CREATE TABLE IF NOT EXISTS devices (name TEXT PRIMARY KEY, place TEXT)")
    connection.execute("INSERT OR IGNORE INTO devices VALUES ('boiler', 'cellar')")
    connection.commit()
    try:
        yield connection
    finally:
        connection.close()


def unit_table() -> dict:
    """Factor and offset of each unit to °C."""
    return {"C": (1, 0), "F": (5 / 9, -160 / 9), "K": (1, -273.15)}
