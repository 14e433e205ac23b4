"""Many rows by one statement.

`executemany` hands the interpreter lock over at every row, so beside a thread that computes each row may wait for
the switch interval. One statement of many rows hands it over once. Statements come in sizes that are powers of
two, so that a few of them serve every burst and stay prepared.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from functools import cache

import orjson

#: Rows in one statement; 25 columns of them stay below SQLite's limit of 32,766 parameters.
MOST_ROWS = 256


def write_rows(db: sqlite3.Connection, head: str, width: int, values: Sequence[object], tail: str = "") -> None:
    """Execute `head VALUES (…), (…) tail` for `values`, which hold `width` parameters a row."""
    start = 0
    left = len(values) // width
    while left:
        size = min(MOST_ROWS, 1 << (left.bit_length() - 1))
        end = start + size * width
        db.execute(_values_statement(head, width, size, tail), values[start:end])
        start = end
        left -= size


def write_in(db: sqlite3.Connection, head: str, values: Sequence[object], tail: str = "") -> None:
    """Execute `head IN (…) tail` for all `values`."""
    for chunk in _padded(values):
        db.execute(_in_statement(head, len(chunk), tail), chunk)


def read_in(db: sqlite3.Connection, head: str, values: Sequence[object], tail: str = "") -> Iterable[list[object]]:
    """Rows of `head IN (…) tail`, whose only column gathers them as one JSON array."""
    for chunk in _padded(values):
        (text,) = db.execute(_in_statement(head, len(chunk), tail), chunk).fetchone()
        yield from orjson.loads(text)


def _padded(values: Sequence[object]) -> Iterable[Sequence[object]]:
    for start in range(0, len(values), MOST_ROWS):
        chunk = values[start : start + MOST_ROWS]
        missing = (1 << (len(chunk) - 1).bit_length()) - len(chunk)
        yield [*chunk, *[None] * missing] if missing else chunk


@cache
def _values_statement(head: str, width: int, size: int, tail: str) -> str:
    row = "(" + ",".join("?" * width) + ")"
    return f"{head} VALUES {','.join([row] * size)} {tail}"


@cache
def _in_statement(head: str, size: int, tail: str) -> str:
    return f"{head} IN ({','.join('?' * size)}) {tail}"
