"""What a message costs in the SQLite ledger, beside nothing and beside threads that compute.

python -m benchmarks.ledger [--burst N] [--rounds N] [--busy N] [--rows N] [--folder DIR]

Each transaction is what the runtime has waiting in a burst: accepts (RUNNING), finishes of the burst before, sent
marks of the one before that. CPU is that of the threads that serve the ledger; wall time is that of a commit.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from uuid_utils import uuid7

from fp_events.domain.message import Message, Properties, Publication
from fp_events.domain.records import Accept, Batch, Finish, NewRun, TransportKey
from fp_events.domain.run import Cause, Outcome, RunState
from fp_events.ledgers.sqlite import SqliteLedger

#: Packet ids in use at a time.
PACKETS = 60_000


def batches(bursts: int, size: int, first: int = 0) -> list[Batch]:
    """So many full transactions, and two shorter ones around them."""
    ids = [[str(uuid7()) for _ in range(size)] for _ in range(bursts)]
    made = []
    for number in range(bursts + 2):
        accepted = ids[number] if number < bursts else []
        finished = ids[number - 1] if 1 <= number <= bursts else []
        sent = ids[number - 2] if number >= 2 else []
        start = first + number * size
        made.append(
            Batch(
                accepts=tuple(_accept(run_id, start + index) for index, run_id in enumerate(accepted)),
                finishes=tuple(_finish(run_id) for run_id in finished),
                sent=tuple(f"{run_id}:alert:0" for run_id in sent),
                confirmed_message_id=start - size if start > size else None,
            )
        )
    return made


def _accept(run_id: str, number: int) -> Accept:
    now = datetime.now(UTC)
    payload = json.dumps({"i": number, "reading": 60.0 + number % 40, "unit": "C", "ok": True}).encode()
    message = Message(topic=f"plant/line{number % 10}/temperature", payload=payload, qos=1, received_at=now)
    run = NewRun(
        run_id=run_id,
        pipeline="temperature",
        cause=Cause.MESSAGE,
        trigger=0,
        trigger_topic="plant/{line}/temperature",
        state=RunState.RUNNING,
        captures={"line": f"line{number % 10}"},
        created_at=now,
    )
    return Accept(message=message, runs=(run,), transport_key=TransportKey(1, number % PACKETS + 1))


def _finish(run_id: str) -> Finish:
    now = datetime.now(UTC)
    event_id = f"{run_id}:alert:0"
    user = (("run_id", run_id), ("event_id", event_id), ("pipeline", "temperature"), ("version", "3f9a0c2d11e4"))
    publication = Publication(
        event_id=event_id,
        topic="alerts/line7",
        payload=b'{"celsius": 64.5, "limit": 80.0, "alert": false}',
        qos=1,
        properties=Properties(content_type="application/json", user=user),
    )
    return Finish(
        run_id=run_id,
        attempt=1,
        outcome=Outcome.SUCCEEDED,
        finished_at=now,
        started_at=now,
        duration=0.0002,
        version="3f9a0c2d11e4",
        values=b'{"alert": {"celsius": 64.5, "limit": 80.0, "alert": false}}',
        publications=(publication,),
    )


def ledger_cpu() -> float:
    """CPU seconds of the ledger's threads and of the caller."""
    ours = [t for t in threading.enumerate() if t.name.startswith("ledger") or t is threading.current_thread()]
    return sum(time.clock_gettime(time.pthread_getcpuclockid(t.ident)) for t in ours if t.ident)


@contextmanager
def busy_threads(number: int) -> Iterator[None]:
    """Threads that compute in Python all the time."""
    stop = threading.Event()

    def compute() -> None:
        value = 0
        while not stop.is_set():
            for step in range(1000):
                value = (value * 31 + step) & 0xFFFF

    threads = [threading.Thread(target=compute) for _ in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


async def one_round(ledger: SqliteLedger, bursts: int, size: int, busy: int) -> tuple[float, list[float]]:
    """µs of CPU per message, and the seconds of each commit."""
    made = batches(bursts, size)
    gc.collect()
    gc.freeze()
    seconds = []
    with busy_threads(busy):
        before = ledger_cpu()
        for batch in made:
            started = time.perf_counter()
            await ledger.commit(batch)
            seconds.append(time.perf_counter() - started)
        cpu = ledger_cpu() - before
    gc.unfreeze()
    return cpu / (bursts * size) * 1e6, seconds


async def fill(ledger: SqliteLedger, rows: int) -> None:
    """Finished runs, with their results sent."""
    for start in range(0, rows, 100_000):
        for batch in batches(min(100, (rows - start) // 1000), 1000, start):
            await ledger.commit(batch)


async def measure(folder: Path, size: int, rounds: int, busy: int, rows: int, messages: int) -> dict[str, float]:
    """Medians over the rounds."""
    ledger = SqliteLedger(folder / "ledger.db")
    await ledger.open()
    try:
        await fill(ledger, rows)
        bursts = max(4, messages // size)
        await one_round(ledger, bursts, size, 0)
        figures = [await one_round(ledger, bursts, size, busy) for _ in range(rounds)]
    finally:
        await ledger.close()
    waits = sorted(seconds for _, each in figures for seconds in each)
    return {
        "cpu_us": statistics.median(cpu for cpu, _ in figures),
        "cpu_us_least": min(cpu for cpu, _ in figures),
        "commit_p50_ms": waits[len(waits) // 2] * 1000,
        "commit_p99_ms": waits[len(waits) * 99 // 100] * 1000,
        "wall_us": sum(waits) / (rounds * bursts * size) * 1e6,
    }


def main() -> None:
    """Print one line of JSON per load."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--burst", type=int, default=250)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=10_000, help="per round")
    parser.add_argument("--busy", type=int, nargs="*", default=[0, 1], help="threads that compute beside it")
    parser.add_argument("--rows", type=int, default=0, help="finished runs in the file before")
    parser.add_argument("--folder", type=Path, default=None, help="where the file is made")
    given = parser.parse_args()
    for busy in given.busy:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            figures = asyncio.run(measure(Path(folder), given.burst, given.rounds, busy, given.rows, given.messages))
        rounded = {name: round(value, 2) for name, value in figures.items()}
        print(json.dumps({"burst": given.burst, "busy": busy, "rows": given.rows, **rounded}))


if __name__ == "__main__":
    main()
