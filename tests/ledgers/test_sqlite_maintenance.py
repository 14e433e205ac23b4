"""What an operator does to a ledger's file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from fp_events.domain.errors import LedgerCorrupt, LedgerHeld, StorageError
from fp_events.domain.records import Batch, RunQuery, StateWrite
from fp_events.domain.run import Outcome, RunState
from fp_events.ledgers.sqlite import SqliteLedger
from fp_events.ledgers.sqlite_maintenance import backup, check, vacuum
from fp_events.ledgers.sqlite_recover import recover

from .kit import FACTS, accept, accepted, finish, finished, new_run, publication


async def busy(path: Path, runs: int = 400) -> SqliteLedger:
    """An open ledger with runs of every kind; payloads tell which run they belong to."""
    ledger = SqliteLedger(path)
    await ledger.open()
    names = [f"r{n:04}" for n in range(runs)]
    batch = tuple(accept(new_run(name, state=RunState.RUNNING), payload=name.encode() * 50) for name in names)
    await ledger.commit(Batch(accepts=batch))
    half = names[: runs // 2]
    await ledger.commit(finished(*(finish(name, publications=(publication(name),)) for name in half)))
    letter = finish(names[-1], outcome=Outcome.FAILED, facts=FACTS, dead_letter=True)
    state = StateWrite(pipeline="temperature", key="k", value=b"window")
    await ledger.commit(Batch(finishes=(letter,), states=(state,), settings={"session": b"7"}))
    return ledger


async def all_runs(path: Path) -> dict[str, bytes | None]:
    """Run ids and payloads of a closed ledger, read through its public door."""
    ledger = SqliteLedger(path)
    await ledger.open()
    names = [run.run_id for run in await ledger.runs(RunQuery(limit=10**6))]
    found: dict[str, bytes | None] = {}
    for name in names:
        run = await ledger.run(name)
        assert run is not None
        found[name] = None if run.message is None else run.message.payload
    await ledger.close()
    return found


async def test_a_sound_ledger_is_found_sound_beside_a_daemon(tmp_path: Path) -> None:
    """Checking needs no lock and finds nothing."""
    ledger = await busy(tmp_path / "ledger.db")

    assert [] == check(ledger.path)
    await ledger.close()
    assert [] == check(ledger.path)


async def test_a_check_finds_what_sqlite_does_not(tmp_path: Path) -> None:
    """Rows that contradict each other are named."""
    path = tmp_path / "ledger.db"
    await (await busy(path)).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM messages WHERE id = 3")
        db.execute("UPDATE messages SET uses = 9 WHERE id = 4")
        db.execute("DELETE FROM ended_runs WHERE seq = 5")
        db.execute("UPDATE counters SET value = 1 WHERE name = 'queued'")
        db.execute("UPDATE outbox SET run_seq = 100000 WHERE seq IN (1, 2)")
        db.execute("UPDATE attempts SET run_seq = 100000")
        db.execute("INSERT INTO traces (run_seq, number, nodes) VALUES (100000, 1, '[]')")
        db.execute("INSERT INTO live_runs (seq, state, epoch, attempt) VALUES (100000, 'queued', 0, 0)")
        db.commit()

    expected = [
        "1 runs whose message is missing",
        "1 messages with a wrong number of runs",
        "2 publications whose run is missing",
        "1 attempts whose run is missing",
        "1 nodes of attempts whose run is missing",
        "1 states or outcomes whose run is missing",
        "1 runs whose state and outcome disagree",
        "1 counters that disagree with the runs",
    ]
    assert expected == check(path)


async def test_a_check_finds_damage(tmp_path: Path) -> None:
    """Damage is an answer of the check, not an error."""
    path = tmp_path / "ledger.db"
    await (await busy(path)).close()
    with path.open("r+b") as file:
        file.seek(8 * 4096)
        file.write(b"\xff" * 200)

    assert check(path)
    path.write_bytes(b"junk")
    assert ["the ledger is damaged (it does not begin as a SQLite file does)"] == check(path)


async def test_a_backup_beside_a_daemon_is_a_ledger(tmp_path: Path) -> None:
    """The copy has everything that was committed, and opens."""
    ledger = await busy(tmp_path / "ledger.db")
    target = tmp_path / "copy.db"

    size = backup(ledger.path, target)
    await ledger.commit(accepted("later"))
    await ledger.close()

    copied = await all_runs(target)
    assert target.stat().st_size >= size > 0
    assert {f"r{n:04}": f"r{n:04}".encode() * 50 for n in range(400)} == copied
    assert [] == check(target)


async def test_copies_replace_nothing(tmp_path: Path) -> None:
    """A target that exists, a folder that does not, and a ledger that is not there are refused."""
    path = tmp_path / "ledger.db"
    await (await busy(path, 4)).close()
    (tmp_path / "taken").touch()

    for copy in (backup, recover):
        with pytest.raises(StorageError, match="the target exists; give another name"):
            copy(path, tmp_path / "taken")
        with pytest.raises(StorageError, match="there is no such folder; create it first"):
            copy(path, tmp_path / "none" / "copy")
        with pytest.raises(StorageError, match="there is no ledger; `fp-events serve` makes it"):
            copy(tmp_path / "nothing", tmp_path / "copy")
    assert b"" == (tmp_path / "taken").read_bytes()


async def test_a_vacuum_makes_the_file_smaller(tmp_path: Path) -> None:
    """Free pages go back; the daemon must not be running."""
    ledger = await busy(tmp_path / "ledger.db")
    with pytest.raises(LedgerHeld):
        vacuum(ledger.path)
    await ledger.purge([f"r{n:04}" for n in range(190)])
    await ledger.close()

    before, after = vacuum(ledger.path)

    assert after < before
    assert (after, 210) == (ledger.path.stat().st_size, len(await all_runs(ledger.path)))
    assert [] == check(ledger.path)


def pages_of(path: Path, table: str) -> list[int]:
    """Numbers of a table's leaf pages, from 1."""
    with closing(sqlite3.connect(path)) as db:
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    data = path.read_bytes()
    page = data[(root - 1) * 4096 : root * 4096]
    assert page[0] == 5, "an interior table page (SQLite file format, 1.6)"
    cells = int.from_bytes(page[3:5], "big")
    offsets = [int.from_bytes(page[12 + 2 * n : 14 + 2 * n], "big") for n in range(cells)]
    return [int.from_bytes(page[offset : offset + 4], "big") for offset in offsets]


async def test_a_recovery_saves_what_is_not_damaged(tmp_path: Path) -> None:
    """Two damaged pages cost their own rows and no others; what was saved is a sound ledger, and says what is lost."""
    path, target = tmp_path / "ledger.db", tmp_path / "saved.db"
    await (await busy(path)).close()
    leaves = pages_of(path, "messages")
    with path.open("r+b") as file:
        for page in (leaves[3], leaves[-2]):
            file.seek((page - 1) * 4096)
            file.write(b"\xff" * 4096)
    before = path.read_bytes()
    with pytest.raises(LedgerCorrupt):
        await SqliteLedger(path).open()

    counts = recover(path, target)

    found = check(target)
    saved = await all_runs(target)
    lost = 400 - counts["messages"]
    unusable = counts["unfinished_without_message"]
    assert (before, []) == (path.read_bytes(), found)
    assert 2 <= lost <= 60
    assert (400, 400 - unusable) == (counts["accepted_runs"], len(saved))
    assert lost - unusable == sum(payload is None for payload in saved.values())
    assert all(payload in (None, name.encode() * 50) for name, payload in saved.items())
    assert (1, 1, 1, 200) == (counts["state"], counts["settings"], counts["attempts"], counts["outbox"])


async def test_a_run_of_unknown_state_runs_again(tmp_path: Path) -> None:
    """Where it cannot be read whether a run has ended, a second run is better than none."""
    path, target = tmp_path / "ledger.db", tmp_path / "saved.db"
    await (await busy(path)).close()
    leaf = pages_of(path, "ended_runs")[1]
    with path.open("r+b") as file:
        file.seek((leaf - 1) * 4096)
        file.write(b"\xff" * 4096)

    counts = recover(path, target)

    again = counts["queued_again"]
    ledger = SqliteLedger(target)
    opened = await ledger.open()
    await ledger.close()
    assert [] == check(target)
    assert 1 <= again <= 100
    assert (400, 201 - again) == (counts["accepted_runs"], counts["ended_runs"])
    assert {RunState.QUEUED: 199 + again} == opened.unfinished


async def test_a_truncated_ledger_gives_what_is_left(tmp_path: Path) -> None:
    """Half a file is half a ledger, not nothing."""
    path, target = tmp_path / "ledger.db", tmp_path / "saved.db"
    await (await busy(path)).close()
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 3 // 4 // 4096 * 4096)

    counts = recover(path, target)

    assert [] == check(target)
    assert counts["messages"] > 0
    assert counts["accepted_runs"] > 0


async def test_nothing_can_be_recovered_from_junk(tmp_path: Path) -> None:
    """A file without a beginning is not a ledger any more."""
    (tmp_path / "ledger.db").write_bytes(b"junk" * 5000)

    with pytest.raises(LedgerCorrupt, match="nothing can be read from the ledger; restore a backup"):
        recover(tmp_path / "ledger.db", tmp_path / "saved.db")

    assert not (tmp_path / "saved.db").exists()
