"""A ledger in trouble: nothing is acknowledged, nothing is lost, work goes on alone."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from fp_events.domain.errors import LedgerFailed
from fp_events.ledgers import sqlite_file
from fp_events.runtime import housekeeping, patience

from .conftest import House


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for five seconds here."""
    monkeypatch.setattr(sqlite_file, "BUSY_TIMEOUT", 0.02)
    monkeypatch.setattr(patience, "PAUSE", 0.02)
    monkeypatch.setattr(housekeeping, "PRUNE_EVERY", 0.02)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program writes to the ledger."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def ledger_file(house: House) -> Path:
    return house.folder / ".fp-events" / "ledger.db"


def unacknowledged(house: House) -> int:
    session: Any = house.broker._sessions["daemon"]
    return len(session._unacknowledged)


async def test_a_locked_ledger_is_waited_for(house: House) -> None:
    """Intake stops, the status says why, pruning fails without harm; then everything goes on."""
    house.use_sqlite()
    house.pipeline()
    async with house.serving() as daemon:
        house.publish("in/work", 0)
        await daemon.until(lambda: house.published("out/work"))
        await daemon.service.parts.committer.flushed()
        with locked(ledger_file(house)):
            await daemon.until(lambda: any(event == "pruning_failed" for event, _ in daemon.log))
            for number in range(1, 20):
                house.publish("in/work", number)
            status = await daemon.asked(lambda status: status["ledger"]["problem"])
            assert "locked" in status["ledger"]["problem"]
            assert 19 == unacknowledged(house)
            assert [0] == house.steering.calls
        await daemon.outcomes(20)
        assert (await daemon.ask("status"))["ledger"]["problem"] is None
        assert 0 == unacknowledged(house)


async def test_a_daemon_with_a_locked_ledger_ends(house: House) -> None:
    """What cannot be stored is not acknowledged: the broker keeps it for the next life."""
    house.use_sqlite()
    house.pipeline()
    async with house.serving() as daemon:
        with locked(ledger_file(house)):
            house.publish("in/work", 1)
            await daemon.asked(lambda status: status["ledger"]["problem"])
            daemon.service.stop()
            await asyncio.sleep(0)
            await daemon.stop()
    async with house.serving() as daemon:
        assert ["succeeded"] == await daemon.outcomes(1)
        assert {1: 1} == dict(house.steering.attempts)


async def test_a_claim_that_becomes_durable_during_a_drain_starts_nothing(house: House) -> None:
    """It is given back."""
    house.use_sqlite()
    house.pipeline(run={"max_retries": 1, "retry_delay": 0.05})
    async with house.serving() as daemon:
        house.publish("in/work", 1, "fail", "ok")
        await daemon.until(lambda: daemon.retries)
        with locked(ledger_file(house)):
            await daemon.asked(lambda status: status["ledger"]["problem"])
            stopping = asyncio.create_task(daemon.stop())
            await daemon.asked(lambda status: status["draining"])
        assert await stopping
        assert 1 == house.steering.attempts[1]
    async with house.serving() as daemon:
        assert ["succeeded"] == await daemon.outcomes(1)
        assert 2 == house.steering.attempts[1]


async def test_a_deleted_ledger_ends_the_daemon(house: House) -> None:
    """What is written to a file that is gone is not durable: nothing more is acknowledged."""
    house.use_sqlite()
    house.pipeline()
    async with house.serving() as daemon:
        ledger_file(house).unlink()
        house.publish("in/work", 1)
        with pytest.raises(BaseExceptionGroup) as raised:
            await daemon.task
        assert raised.group_contains(LedgerFailed, depth=None)
        assert [] == house.steering.calls
        assert 1 == unacknowledged(house)
