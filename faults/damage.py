"""Damage to a ledger's files, and whether anybody is told."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from fp_events.domain.errors import FpEventsError, LedgerCorrupt
from fp_events.ledgers.sqlite import SqliteLedger

#: What a file without checksums cannot show: a bit within a value is another value, a log that is cut has ended there,
#: and the last commits of a log look like those that a power cut tore.
UNSEEN = ("bit of the file", "end of the log", "bit of the last commits")
#: Bytes at a log's end: some commits.
_LAST = 100_000
#: Every table, whatever it is called, but the one that an open changes.
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'owners'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """How openings of damaged ledgers ended, by kind of damage."""

    refused: Counter[str]
    unharmed: Counter[str]
    #: The ledger opened and had other rows than before.
    silent: Counter[str]
    #: Refused without the command that recovers.
    speechless: Counter[str]

    @property
    def sound(self) -> bool:
        """Nothing was silent but what SQLite cannot see, and every refusal says how to recover."""
        told = self.silent.total() - sum(self.silent[name] for name in UNSEEN)
        return not told and not self.speechless

    def __str__(self) -> str:
        parts = {name: getattr(self, name).total() for name in ("refused", "unharmed", "speechless")}
        said = ", ".join(f"{name} {count}" for name, count in parts.items())
        silent = ", ".join(f"{name} {count}" for name, count in sorted(self.silent.items()))
        return f"{said}; silent {self.silent.total()}" + f" ({silent})" * bool(silent)


async def damaged(ledger: Path, rng: Random, times: int, scratch: Path) -> Damage:
    """Damage copies of a ledger whose owner was killed, and of the same one closed in order."""
    closed = _copy(ledger, scratch / "closed")
    with contextlib.closing(sqlite3.connect(closed)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    truth = _rows(closed)
    found = Damage(refused=Counter(), unharmed=Counter(), silent=Counter(), speechless=Counter())
    kinds = [
        ("bit of the file", closed, "", _flip),
        ("end of the file", closed, "", _truncate),
        ("bit of the log", ledger, "-wal", _flip),
        ("end of the log", ledger, "-wal", _truncate),
        ("bit of the last commits", ledger, "-wal", _flip_end),
    ]
    for number in range(times):
        name, source, suffix, harm = kinds[number % len(kinds)]
        copy = _copy(source, scratch / str(number))
        harm(copy.with_name(copy.name + suffix), rng)
        getattr(found, await _opened(copy, truth)).update([name])
        shutil.rmtree(copy.parent)
    return found


async def _opened(path: Path, truth: dict[str, list[Any]]) -> str:
    """Open as a daemon does, and compare."""
    ledger = SqliteLedger(path)
    try:
        await ledger.open()
        await ledger.close()
        return "unharmed" if _rows(path) == truth else "silent"
    except LedgerCorrupt as error:
        return "refused" if "ledger recover" in str(error) else "speechless"
    except (FpEventsError, sqlite3.Error):
        return "speechless"


def _rows(path: Path) -> dict[str, list[Any]]:
    """All that a ledger says, but who owns it and in which state unfinished runs are."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        names = [name for (name,) in db.execute(_TABLES)]
        db.text_factory = bytes
        return {name: db.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in names}


def _copy(ledger: Path, folder: Path) -> Path:
    folder.mkdir(parents=True)
    for file in ledger.parent.glob(f"{ledger.name}*"):
        if file.suffix != ".db-shm":
            shutil.copy(file, folder)
    return folder / ledger.name


def _flip(file: Path, rng: Random) -> None:
    data = bytearray(file.read_bytes())
    # The last commits of a log have a kind of their own.
    data[rng.randrange(max(1, len(data) - _LAST * file.name.endswith("-wal")))] ^= 1 << rng.randrange(8)
    file.write_bytes(data)


def _flip_end(file: Path, rng: Random) -> None:
    data = bytearray(file.read_bytes())
    data[-1 - rng.randrange(_LAST)] ^= 1 << rng.randrange(8)
    file.write_bytes(data)


def _truncate(file: Path, rng: Random) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: rng.randrange(len(data))])
