"""Disks that are full, locked or failing."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from io import FileIO
from pathlib import Path

import pytest

from fp_events.domain.errors import LedgerFailed, StorageError
from fp_events.domain.records import Batch, RunQuery
from fp_events.ledgers.sqlite import SqliteLedger

from .kit import accept, accepted, new_run


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip("only root can mount a small file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(ballast: Path) -> None:
    """Take all the room there is."""

    def write_on(file: FileIO) -> None:
        while True:
            file.write(bytes(4096))

    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        write_on(file)


async def problem(ledger: SqliteLedger) -> str:
    """What the ledger says, once it says something."""
    while not ledger.problem:
        await asyncio.sleep(0.01)
    return ledger.problem


async def test_a_full_disk_is_waited_for(small_disk: Path) -> None:
    """Commits wait, the problem is named, and work goes on by itself once there is room."""
    ledger = SqliteLedger(small_disk / "ledger.db")
    await ledger.open()
    await ledger.commit(accepted("r1"))
    ballast = small_disk / "ballast"
    fill(ballast)

    big = Batch(accepts=(accept(new_run("r2"), payload=bytes(200_000)),))
    waiting = [asyncio.ensure_future(ledger.commit(batch)) for batch in (big, accepted("r3"))]
    said = await problem(ledger)
    still = [task.done() for task in waiting]
    ballast.unlink()
    answers = await asyncio.gather(*waiting)

    stored = [run.run_id for run in await ledger.runs(RunQuery())]
    after = ledger.problem
    await ledger.close()
    assert f"{ledger.path}: the disk is full; free some space, and work goes on" == said
    assert [False, False] == still
    assert [("r2",), ("r3",)] == [answer.accepted[0].run_ids for answer in answers]
    assert (["r3", "r2", "r1"], "") == (stored, after)


async def test_closing_does_not_wait_for_a_full_disk(small_disk: Path) -> None:
    """What waits gets an error, and what was committed is there at the next open."""
    ledger = SqliteLedger(small_disk / "ledger.db")
    await ledger.open()
    await ledger.commit(accepted("r1"))
    batch = Batch(accepts=(accept(new_run("r2"), payload=bytes(3_000_000)),))
    waiting = asyncio.ensure_future(ledger.commit(batch))
    await problem(ledger)

    await ledger.close()

    with pytest.raises(StorageError, match="the ledger was closed before this could be stored"):
        await waiting
    await ledger.open()
    stored = [run.run_id for run in await ledger.runs(RunQuery())]
    await ledger.close()
    assert ["r1"] == stored


async def test_a_lock_of_another_program_is_waited_for(tmp_path: Path) -> None:
    """Someone's open transaction holds commits up for longer than SQLite waits by itself, and drops none."""
    ledger = SqliteLedger(tmp_path / "ledger.db")
    await ledger.open()
    with closing(sqlite3.connect(ledger.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.ensure_future(ledger.commit(accepted("r1")))
        said = await problem(ledger)
        done = waiting.done()
        other.execute("ROLLBACK")
    answer = await waiting

    after = ledger.problem
    await ledger.close()
    assert f"{ledger.path}: another program has locked the ledger; close it, and work goes on" == said
    assert (False, ("r1",), "") == (done, answer.accepted[0].run_ids, after)


#: A file size limit makes writes fail as a broken disk does: with an error that is not "full".
FAILING = """
import asyncio, resource, sys
from pathlib import Path
from fp_events.domain.errors import LedgerFailed
from fp_events.ledgers.sqlite import SqliteLedger
from tests.ledgers.kit import accepted

async def main(path):
    ledger = SqliteLedger(path)
    await ledger.open()
    await ledger.commit(accepted("r0"))
    limit = path.with_name(path.name + "-wal").stat().st_size + 8192
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    stored = 1
    try:
        while True:
            await ledger.commit(accepted(f"r{stored}"))
            stored += 1
    except LedgerFailed as error:
        print(stored, error.exit_code, error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for call in (ledger.commit(accepted("late")), ledger.prune(KEEP, NOON), ledger.purge(["r0"])):
        try:
            await call
        except LedgerFailed as error:
            print("again", type(error).__name__)
    await ledger.close()

from tests.ledgers.kit import KEEP, NOON
asyncio.run(main(Path(sys.argv[1])))
"""


async def test_a_failing_disk_ends_the_ledger(tmp_path: Path) -> None:
    """After a write error nothing is ever confirmed again, even if the disk seems to be well."""
    path = tmp_path / "ledger.db"
    found = subprocess.run([sys.executable, "-c", FAILING, str(path)], capture_output=True, text=True, check=False)
    assert "" == found.stderr
    first, *others = found.stdout.splitlines()
    stored, code, *words = first.split()

    ledger = SqliteLedger(path)
    await ledger.open()
    runs = [run.run_id for run in await ledger.runs(RunQuery(limit=1000))]
    await ledger.close()

    assert "74" == code
    assert f"{path}: the disk failed under the ledger" in " ".join(words)
    assert ["again LedgerFailed"] * 3 == others
    assert {f"r{n}" for n in range(int(stored))} <= set(runs)
    assert "late" not in runs


async def test_a_deleted_ledger_confirms_nothing(tmp_path: Path) -> None:
    """A file that was deleted or replaced can still be written, but nobody will ever read it."""
    ledger = SqliteLedger(tmp_path / "ledger.db")
    await ledger.open()
    await ledger.commit(accepted("r1"))
    ledger.path.unlink()

    with pytest.raises(LedgerFailed, match="was deleted or replaced"):
        await ledger.commit(accepted("r2"))

    await ledger.close()
