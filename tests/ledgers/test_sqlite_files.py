"""The file of a SQLite ledger: who may open it, and what it may be."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from fp_events.domain.errors import LedgerCorrupt, LedgerHeld, LedgerNewer, StorageError
from fp_events.domain.records import Batch, StateWrite
from fp_events.domain.run import RunState
from fp_events.ledgers import sqlite_open
from fp_events.ledgers.sqlite import SqliteLedger
from fp_events.ledgers.sqlite_maintenance import backup
from fp_events.ledgers.sqlite_recover import recover
from fp_events.ledgers.sqlite_schema import APPLICATION_ID, MIGRATIONS
from tests.support import require_program

from .kit import accept, accepted, claim, finish, finished, new_run, publication

HOLDER = """
import asyncio, sys
from pathlib import Path
from fp_events.ledgers.sqlite import SqliteLedger

async def main():
    await SqliteLedger(Path(sys.argv[1])).open()
    print("open", flush=True)
    sys.stdin.read()

asyncio.run(main())
"""


async def filled(path: Path, runs: int = 300) -> None:
    """A ledger with so many finished runs, closed."""
    ledger = SqliteLedger(path)
    await ledger.open()
    names = [f"r{n:04}" for n in range(runs)]
    batch = tuple(accept(new_run(name, state=RunState.RUNNING), payload=name.encode() * 50) for name in names)
    await ledger.commit(Batch(accepts=batch))
    await ledger.commit(finished(*(finish(name) for name in names)))
    await ledger.close()


async def test_the_folder_is_made(tmp_path: Path) -> None:
    """A missing folder is no error."""
    ledger = SqliteLedger(tmp_path / "a" / "b" / "ledger.db")
    opened = await ledger.open()
    await ledger.close()

    assert 1 == opened.epoch
    assert (tmp_path / "a" / "b" / "ledger.db").is_file()


async def test_a_second_process_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    """One daemon per ledger; when the first dies, however it does, the next may open."""
    path = tmp_path / "ledger.db"
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, str(path), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert b"open\n" == await holder.stdout.readline()

    ledger = SqliteLedger(path)
    with pytest.raises(LedgerHeld) as refused:
        await ledger.open()
    holder.kill()
    await holder.wait()
    opened = await ledger.open()
    await ledger.close()

    assert (str(path), holder.pid) == (refused.value.path, refused.value.pid)
    assert f"held by process {holder.pid}" in str(refused.value)
    assert 2 == opened.epoch


async def test_a_ledger_is_open_once_in_a_process(tmp_path: Path) -> None:
    """A second opener in the same process is refused as another process would be."""
    ledger = SqliteLedger(tmp_path / "ledger.db")
    await ledger.open()

    with pytest.raises(LedgerHeld, match=f"held by process {os.getpid()}"):
        await SqliteLedger(tmp_path / "ledger.db").open()
    with pytest.raises(LedgerHeld):
        await ledger.open()
    await ledger.commit(accepted("r1"))
    await ledger.close()
    await ledger.open()
    await ledger.close()


async def test_a_stale_owner_is_fenced(tmp_path: Path) -> None:
    """Where the lock failed (its file was deleted), the older owner's results and claims are refused."""
    path = tmp_path / "ledger.db"
    old, new = SqliteLedger(path), SqliteLedger(path)
    await old.open()
    await old.commit(accepted("r1", state=RunState.RUNNING))
    await old.commit(accepted("r2"))
    path.with_name("ledger.db.lock").unlink()
    await new.open()
    await new.commit(claim("r1", 1))
    await new.commit(claim("r2", 1))
    state = StateWrite(pipeline="temperature", key="k", value=b"stale")

    late = await old.commit(
        finished(finish("r1", publications=(publication("e1"),), state=state), finish("r2", publications=()))
    )
    claimed = await old.commit(claim("r2", 2))
    own = await new.commit(finished(finish("r1"), finish("r2")))

    unsent = await new.unsent(after_seq=0, limit=9)
    states = await new.states([("temperature", "k")])
    await old.close()
    await new.close()
    assert [{"r1", "r2"}, {"r2"}, set()] == [set(answer.stale) for answer in (late, claimed, own)]
    assert ([], {}) == (list(unsent), states)


async def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    """The error says which folder, and what to do."""
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError) as error:
        await SqliteLedger(tmp_path / "file" / "ledger.db").open()

    assert 74 == error.value.exit_code
    assert str(error.value).startswith(f"{tmp_path}/file: ")
    assert str(error.value).endswith("set another ledger.url")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become a user who may not write")
@pytest.mark.parametrize("target", ["folder", "file"])
async def test_what_cannot_be_written_is_refused(tmp_path: Path, target: str) -> None:
    """A read-only folder or file is an error at open, not at the first message."""
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.geteuid() and parent.stat().st_mode & 0o055 != 0o055 and parent != Path("/"):
            parent.chmod(0o755)
    path = tmp_path / "ledger.db"
    await filled(path, 1)
    path.chmod(0o444)
    if target == "file":
        tmp_path.chmod(0o777)
        path.with_name("ledger.db.lock").chmod(0o666)
    program = (
        # urllib: the other user may be unable to read the interpreter's own modules later.
        "import asyncio, os, sys, urllib.parse\n"
        "from pathlib import Path\n"
        "from fp_events.domain.errors import StorageError\n"
        "from fp_events.ledgers.sqlite import SqliteLedger\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try: asyncio.run(SqliteLedger(Path(sys.argv[1])).open())\n"
        "except StorageError as error: print(error)\n"
    )

    found = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)

    assert "writable" in found.stdout, found.stderr


async def test_a_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    """A SQLite file that is no ledger is refused and unchanged."""
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE theirs (a)")
        db.commit()
    before = path.read_bytes()

    with pytest.raises(StorageError, match="belongs to another program; give the ledger a file of its own"):
        await SqliteLedger(path).open()

    assert before == path.read_bytes()


async def test_a_newer_ledger_is_left_alone(tmp_path: Path) -> None:
    """What a newer version wrote is not guessed at."""
    path = tmp_path / "ledger.db"
    await filled(path, 1)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    with pytest.raises(LedgerNewer, match="has version 99, this program knows 2"):
        await SqliteLedger(path).open()

    with closing(sqlite3.connect(path)) as db:
        assert (99,) == db.execute("PRAGMA user_version").fetchone()


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 0xFF]))


@pytest.mark.parametrize("damage", ["header", "text", "truncated", "short", "page"])
async def test_a_damaged_ledger_is_refused_and_kept(tmp_path: Path, damage: str) -> None:
    """Damage is found at open; the error names the way out and the file stays as it is."""
    path = tmp_path / "ledger.db"
    await filled(path)
    if damage == "header":
        flip(path, 3)
    elif damage == "text":
        path.write_text("not a ledger at all\n")
    elif damage == "truncated":
        os.truncate(path, path.stat().st_size // 2)
    elif damage == "short":
        os.truncate(path, 60)
    else:
        flip(path, 5 * 4096)  # the kind of a page
    before = path.read_bytes()

    with pytest.raises(LedgerCorrupt, match="fp-events ledger recover") as error:
        await SqliteLedger(path).open()

    assert "\n" not in str(error.value)
    assert before == path.read_bytes()
    with pytest.raises(LedgerCorrupt):  # and not LedgerHeld: the lock was given back
        await SqliteLedger(path).open()


async def test_an_empty_file_becomes_a_ledger(tmp_path: Path) -> None:
    """A crash before the first byte leaves nothing that could be lost."""
    path = tmp_path / "ledger.db"
    path.touch()
    ledger = SqliteLedger(path)

    assert 1 == (await ledger.open()).epoch
    await ledger.close()


async def test_the_first_version_becomes_this_one(tmp_path: Path) -> None:
    """A ledger that knows nothing of nodes takes them in after its first opening."""
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        sqlite_open.migrate(db, path, 0, MIGRATIONS[:1])
    ledger = SqliteLedger(path)
    await ledger.open()
    await ledger.commit(accepted("r1", state=RunState.RUNNING))

    await ledger.commit(finished(replace(finish("r1"), nodes=b"[]")))
    run = await ledger.run("r1")
    await ledger.close()

    assert run is not None
    assert b"[]" == run.nodes


async def test_a_migration_keeps_a_copy_and_is_whole_or_nothing(tmp_path: Path) -> None:
    """An older file is copied first; a step that fails leaves the file at the version before it."""
    path = tmp_path / "ledger.db"
    await filled(path, 3)
    second = ("CREATE TABLE extra (a)", "INSERT INTO extra SELECT count(*) FROM runs")
    third = ("CREATE TABLE more (a)", "INSERT INTO nowhere VALUES (1)")

    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        with pytest.raises(sqlite3.OperationalError, match="nowhere"):
            sqlite_open.migrate(db, path, len(MIGRATIONS), (*MIGRATIONS, second, third))
        assert (len(MIGRATIONS) + 1,) == db.execute("PRAGMA user_version").fetchone()
        assert (3,) == db.execute("SELECT a FROM extra").fetchone()
        assert [] == db.execute("SELECT name FROM sqlite_master WHERE name = 'more'").fetchall()

    (copy,) = tmp_path.glob(f"ledger.db.v{len(MIGRATIONS)}-*.backup")
    with closing(sqlite3.connect(copy)) as db:
        assert (len(MIGRATIONS),) == db.execute("PRAGMA user_version").fetchone()
        assert (3,) == db.execute("SELECT count(*) FROM runs").fetchone()
        assert (APPLICATION_ID,) == db.execute("PRAGMA application_id").fetchone()


async def test_the_promise_of_each_setting(tmp_path: Path) -> None:
    """With `full` every commit waits for the disk; with `normal` none does."""
    calls = {}
    for synchronous in ("full", "normal"):
        program = (
            "import asyncio, sys\n"
            "from pathlib import Path\n"
            "from fp_events.domain.records import Batch\n"
            "from fp_events.ledgers.sqlite import SqliteLedger\n"
            "async def main():\n"
            f"    ledger = SqliteLedger(Path(sys.argv[1]), synchronous={synchronous!r})\n"
            "    await ledger.open()\n"
            "    for number in range(50):\n"
            "        await ledger.commit(Batch(settings={'a': b'%d' % number}))\n"
            "asyncio.run(main())\n"
        )
        trace = tmp_path / f"{synchronous}.trace"
        path = tmp_path / synchronous / "ledger.db"
        strace = [require_program("strace"), "-f", "-e", "trace=fsync,fdatasync", "-o", str(trace)]
        subprocess.run([*strace, sys.executable, "-c", program, str(path)], check=True)
        calls[synchronous] = trace.read_text().count("sync(")

    assert calls["full"] - calls["normal"] >= 50


async def test_nobody_else_reads_what_it_holds(tmp_path: Path) -> None:
    """The file, what SQLite puts beside it, a backup, a recovered copy, and the folder that it makes."""
    path = tmp_path / "made" / "ledger.db"
    before = os.umask(0o022)
    try:
        ledger = SqliteLedger(path)
        await ledger.open()
        await ledger.commit(accepted("r1"))
        backup(path, tmp_path / "copy.db")
        beside = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
        await ledger.close()
        recover(path, tmp_path / "recovered.db")
    finally:
        os.umask(before)

    assert beside == dict.fromkeys(("ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.lock"), 0o600)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("made", "copy.db", "recovered.db")] == [
        0o700,
        0o600,
        0o600,
    ]
