"""kill -9 of a process that commits: nothing it was told to be stored is missing."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path

from fp_events.domain.records import RunQuery
from fp_events.domain.run import RunState
from fp_events.ledgers import sqlite_maintenance
from fp_events.ledgers.sqlite import SqliteLedger

#: Accepts, finishes and marks as sent in bursts of random sizes; prints what each commit has confirmed.
WORKER = """
import asyncio, random, sys
from pathlib import Path
from fp_events.domain.records import Batch, RetentionPolicy, StateWrite
from fp_events.domain.run import RunState
from fp_events.ledgers.sqlite import SqliteLedger
from tests.ledgers.kit import KEEP, accepted, at, finish, finished, publication

async def main(path, life, seed):
    chance = random.Random(seed)
    ledger = SqliteLedger(path)
    await ledger.open()
    print("open", flush=True)
    async def stream(name):
        for turn in range(1_000_000):
            size = chance.randint(1, 40)
            names = [f"{life}-{name}-{turn}-{n}" for n in range(size)]
            await ledger.commit(accepted(*names, state=RunState.RUNNING))
            print("accepted", *names, flush=True)
            write = StateWrite(pipeline="temperature", key=name, value=names[0].encode())
            ends = [finish(run, publications=(publication(run),), state=write) for run in names]
            await ledger.commit(finished(*ends))
            print("finished", *names, flush=True)
            print("sending", *names, flush=True)
            await ledger.commit(Batch(sent=tuple(names)))
            print("sent", *names, flush=True)
    await asyncio.gather(stream("a"), stream("b"), stream("c"))

asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
"""


def nothing() -> dict[str, set[str]]:
    return {"accepted": set(), "finished": set(), "sending": set(), "sent": set()}


async def one_life(path: Path, life: int, seed: int, seconds: float) -> dict[str, set[str]]:
    """Run the worker, kill it after so long, and return what it had confirmed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, str(path), str(life), str(seed), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert b"open\n" == await process.stdout.readline()
    await asyncio.sleep(seconds)  # the moment of death is what is varied
    process.kill()
    output = await process.stdout.read()
    await process.wait()
    confirmed = nothing()
    for line in output.decode().split("\n")[:-1]:
        kind, *names = line.split()
        confirmed[kind].update(names)
    return confirmed


async def test_what_was_confirmed_is_there_after_a_kill(tmp_path: Path) -> None:
    """Random kills, one ledger: runs, results, publications and state are as the last confirmation said."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    path = tmp_path / "ledger.db"
    total = nothing()
    for life in range(8):
        for kind, names in (await one_life(path, life, seed + life, chance.uniform(0.01, 0.4))).items():
            total[kind] |= names

    ledger = SqliteLedger(path)
    opened = await ledger.open()
    runs = {run.run_id: run.state for run in await ledger.runs(RunQuery(limit=10**6))}
    unsent = {row.publication.event_id for row in await ledger.unsent(after_seq=0, limit=10**6)}
    state = {row.value.decode() for row in await ledger.list_states("temperature", limit=9)}
    await ledger.close()

    finished = {name for name, state in runs.items() if state is RunState.FINISHED}
    assert total["accepted"]
    assert set() == total["accepted"] - runs.keys()
    assert set() == total["finished"] - finished
    # A publication is unsent exactly from its run's end to its confirmation.
    assert set() == unsent & total["sent"]
    assert set() == unsent - finished
    assert set() == total["finished"] - total["sending"] - unsent
    assert state <= finished
    assert 9 == opened.epoch
    assert [] == sqlite_maintenance.check(path)
