"""Many rows by one statement.

Each step of a statement hands the interpreter lock over, so beside a thread that computes each row of `executemany`
may wait for the switch interval. One statement of many rows hands it over once. Statements come in sizes that are
powers of two, filled up with rows of NULL, so that a few of them serve every burst and stay prepared.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from functools import cache

import orjson

#: Rows in one statement; 17 columns of them stay below SQLite's limit of 32,766 parameters.
MOST_ROWS = 1024


def insert(table: str, columns: str, verb: str = "INSERT", **constants: str) -> str:
    """Head of a statement that inserts rows of `columns`, in this order, with some columns the same in all rows."""
    names = columns.split()
    values = [f"column{number}" for number in range(1, len(names) + 1)]
    into = ", ".join([*names, *constants])
    return f"{verb} INTO {table} ({into}) SELECT {', '.join([*values, *constants.values()])} FROM"


def write_rows(
    db: sqlite3.Connection, head: str, width: int, values: Sequence[object], tail: str = "WHERE column1 IS NOT NULL"
) -> None:
    """Execute `head (VALUES (…), (…)) tail` for `values`, which hold `width` parameters a row.

    `tail` has to leave out rows of NULL.
    """
    start = 0
    left = len(values) // width
    while left > 0:
        size = _size(left)
        end = start + size * width
        chunk = values[start:end] if start or end != len(values) else values
        if size > left:
            chunk = [*chunk, *[None] * ((size - left) * width)]
        db.execute(_values_statement(head, width, size, tail), chunk)
        start = end
        left -= size


def _size(left: int) -> int:
    """Rows of the next statement: more than are left where that is a few more."""
    if left >= MOST_ROWS:
        return MOST_ROWS
    enough = 1 << (left - 1).bit_length()
    return enough if enough - left <= left // 4 else enough >> 1


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
    return f"{head} (VALUES {','.join([row] * size)}) {tail}"


@cache
def _in_statement(head: str, size: int, tail: str) -> str:
    return f"{head} IN ({','.join('?' * size)}) {tail}"
