from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest

from fp_events.domain.ports import Ledger
from fp_events.ledgers.memory import MemoryLedger
from fp_events.ledgers.sqlite import SqliteLedger


class House(Protocol):
    """One kind of ledger: how to get one, and what is left of it after a crash."""

    async def crash(self) -> Ledger:
        """The process dies; the ledger as the next one finds it, not yet open."""


class MemoryHouse:
    def __init__(self) -> None:
        self.ledger = MemoryLedger()

    async def crash(self) -> Ledger:
        self.ledger = self.ledger.after_crash()
        return self.ledger

    async def close(self) -> None:
        await self.ledger.close()


class SqliteHouse:
    """A crash leaves the file and its log as they are: the next process finds a copy of both."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self._dead: list[SqliteLedger] = []
        self.ledger = SqliteLedger(folder / "0" / "ledger.db")

    async def crash(self) -> Ledger:
        old = self.ledger
        self._number += 1
        folder = self._folder / str(self._number)
        folder.mkdir(parents=True)
        for name in ("ledger.db", "ledger.db-wal"):
            (folder / name).write_bytes((old.path.parent / name).read_bytes())
        self._dead.append(old)
        self.ledger = SqliteLedger(folder / "ledger.db")
        return self.ledger

    async def close(self) -> None:
        for ledger in (*self._dead, self.ledger):
            await ledger.close()


@pytest.fixture(params=["memory", "sqlite"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MemoryHouse | SqliteHouse]:
    house = MemoryHouse() if request.param == "memory" else SqliteHouse(tmp_path)
    yield house
    await house.close()


@pytest.fixture
async def ledger(house: MemoryHouse | SqliteHouse) -> Ledger:
    """An open, empty ledger of each kind."""
    await house.ledger.open()
    return house.ledger
