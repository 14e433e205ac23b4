"""Write-ahead logs that are damaged, and those that merely ended early."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fp_events.domain.errors import LedgerCorrupt
from fp_events.domain.records import RunQuery
from fp_events.ledgers.sqlite import SqliteLedger

from .kit import accepted


@pytest.fixture
async def killed(tmp_path: Path) -> Path:
    """The files of a ledger whose owner died after ten commits, which are all in the log."""
    ledger = SqliteLedger(tmp_path / "ledger.db")
    await ledger.open()
    for number in range(10):
        await ledger.commit(accepted(f"r{number}"))
    folder = tmp_path / "killed"
    folder.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(ledger.path.with_name(f"ledger.db{suffix}"), folder)
    await ledger.close()
    return folder / "ledger.db"


def files(path: Path) -> dict[str, bytes]:
    return {suffix: path.with_name(f"ledger.db{suffix}").read_bytes() for suffix in ("", "-wal")}


@pytest.mark.parametrize("place", [20, 100, 0.3, 0.5])
async def test_damage_in_the_middle_of_a_log_is_told(killed: Path, place: float) -> None:
    """SQLite would forget, in silence, all commits from the flipped bit on; nothing is changed by looking."""
    log = killed.with_name("ledger.db-wal")
    data = bytearray(log.read_bytes())
    data[int(place * len(data)) if place < 1 else int(place)] ^= 4
    log.write_bytes(data)
    before = files(killed)

    with pytest.raises(LedgerCorrupt, match=r"write-ahead log.*fp-events ledger recover"):
        await SqliteLedger(killed).open()

    assert before == files(killed)


async def test_a_torn_last_commit_is_no_damage(killed: Path) -> None:
    """As a power cut leaves it: the commits before are there."""
    log = killed.with_name("ledger.db-wal")
    log.write_bytes(log.read_bytes()[:-100])
    ledger = SqliteLedger(killed)

    await ledger.open()

    stored = [run.run_id for run in await ledger.runs(RunQuery())]
    await ledger.close()
    assert [f"r{number}" for number in range(8, -1, -1)] == stored


async def test_a_whole_log_is_no_damage(killed: Path) -> None:
    """Everything that was committed is there."""
    ledger = SqliteLedger(killed)

    await ledger.open()

    stored = [run.run_id for run in await ledger.runs(RunQuery())]
    await ledger.close()
    assert [f"r{number}" for number in range(9, -1, -1)] == stored
