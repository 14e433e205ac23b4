"""Finished runs in the ledger: rows of a few real ones, copied by SQL as often as it takes."""

from __future__ import annotations

import shutil
import sqlite3
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks import projects
from benchmarks.broker import broker
from benchmarks.measure import scratch
from benchmarks.passage import Load, drive
from benchmarks.processes import running

from .points import Point, daemon_cost

#: Real runs whose rows are copied.
SEED = 1_000
#: Hours ago at which the first copy finished, within the retention of a day; copies are a millisecond apart.
_HOURS = 6
_FILE = ".fp-events/ledger.db"
#: Nothing is pruned for its size: about 500 bytes a run.
_SETTINGS = projects.Settings(retention="{max_bytes: 1000GiB}")


def ledger(sizes: Sequence[int], messages: int) -> list[Point]:
    """Runs that finished within the day, with their messages."""
    with scratch() as folder:
        seed(folder)
        return [
            daemon_cost(size, _SETTINGS, Load(count=messages), partial(_put, folder / _FILE, size) if size else None)
            for size in sizes
        ]


def seed(folder: Path) -> None:
    """A project whose ledger holds real runs; its daemon has ended."""
    with broker(folder) as place:
        projects.write(folder, place.port, _SETTINGS)
        with running(projects.serve(folder), cwd=folder, log=folder / "system.log") as process:
            control = projects.Control(folder, process)
            control.wait_subscribed()
            control.close()
            if not drive(place.port, Load(count=SEED, rate=SEED), folder).whole:
                raise RuntimeError("the seed of the ledger is not whole")
            time.sleep(1.0)  # marks of what the broker has confirmed follow within a second


def _put(source: Path, rows: int, folder: Path) -> None:
    target = folder / _FILE
    target.parent.mkdir()
    shutil.copy(source, target)
    started = time.monotonic()
    fill(target, rows)
    print(f"  {rows:,} runs written in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def fill(file: Path, rows: int) -> None:
    """Copy the seed's rows until there are `rows` runs; whatever columns the tables have."""
    db = sqlite3.connect(file, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -200000")
        db.execute("BEGIN")
        for table, columns in _tables(db):
            _copy(db, table, columns, copies=rows // SEED - 1)
        db.execute("UPDATE counters SET value = value * ? WHERE name = 'succeeded'", (rows // SEED,))
        db.execute("COMMIT")
        db.execute("PRAGMA journal_mode = WAL")
    finally:
        db.close()


def _tables(db: sqlite3.Connection) -> list[tuple[str, list[str]]]:
    """Tables with a row for each of the seed's runs, and their columns."""
    names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    found = [
        (name, [column for _, column, *_ in db.execute(f"PRAGMA table_info({name})")])
        for name in names
        if db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] == SEED
    ]
    if len(found) < 2:
        raise RuntimeError("the ledger's tables are not what benchmarks/curves/ledger.py takes them for")
    return found


def _copy(db: sqlite3.Connection, table: str, columns: Sequence[str], *, copies: int) -> None:
    db.execute(f"CREATE TEMP TABLE seed AS SELECT * FROM {table} ORDER BY 1")
    values = ", ".join(_copied(column) for column in columns)
    past = ", ".join(f"{name} = {name} - {_HOURS * 3_600_000_000}" for name in columns if name.endswith("_at"))
    for statement in (f"UPDATE {table} SET {past}", f"UPDATE temp.seed SET {past}"):
        if past:
            db.execute(statement)
    db.execute(
        f"WITH RECURSIVE k(v) AS (VALUES (1) UNION ALL SELECT v + 1 FROM k WHERE v < {copies})"
        f" INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM k CROSS JOIN temp.seed AS s"
    )
    db.execute("DROP TABLE temp.seed")


def _copied(column: str) -> str:
    if column in ("id", "seq", "message_id"):
        return f"s.{column} + k.v * {SEED}"
    if column == "run_id":
        # As ids are made: later ones are greater.
        return "printf('%08x%s', k.v, substr(s.run_id, 9))"
    if column in ("session", "packet_id"):
        return "NULL"  # nothing that the broker may deliver again
    return f"s.{column} + k.v * {SEED * 1000}" if column.endswith("_at") else f"s.{column}"
