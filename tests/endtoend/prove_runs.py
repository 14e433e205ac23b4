"""What is promised of runs, at its full size: `python -m tests.endtoend.prove_runs` prints the figures.

10,000 runs that start later, over SIGKILL of the daemon: each once, and how late. Ten reloads amid 1,000 messages a
second, one of them broken: every message's result once, and the versions that made them.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from faults.load import load
from fp_events.domain.errors import CommandRefused, DaemonUnavailable
from tests.brokers import mosquitto

from .harness import Daemon, write_project

#: Runs, and seconds over which they are spread, from some seconds on.
DELAYED, SPREAD, FROM = 10_000, 30.0, 12.0
RATE, RELOADS = 1_000.0, 10

LATER_PY = '''\
"""Notes when it ran."""

import os
import time


def ran(n: int, log: str) -> int:
    """Append number and time."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, f"{n} {time.time()}\\n".encode())
    os.close(file)
    return n
'''


async def delayed(folder: Path) -> str:
    """Runs that start later, and a daemon that dies before the first and amid them."""
    log = folder / "ran.log"
    async with mosquitto() as broker:
        write_project(
            folder,
            {
                "conf/project.yml": f'name: later\nmqtt: {{url: "mqtt://127.0.0.1:{broker.port}"}}\n'
                "log: {level: WARNING, format: json}\n",
                "conf/pipelines/later.yml": f"params: {{log: {json.dumps(str(log))}}}\n",
                "pipelines/later.py": LATER_PY,
            },
        )
        daemon = Daemon(folder)
        await daemon.start(until="")
        await _answers(daemon)
        rng = random.Random(20261120)
        began = time.time()
        due = {n: began + FROM + rng.uniform(0.0, SPREAD) for n in range(DELAYED)}
        for start in range(0, DELAYED, 100):
            await asyncio.gather(
                *(
                    daemon.ask(
                        "run",
                        pipeline="later",
                        inputs={"n": n},
                        run_at=datetime.fromtimestamp(due[n], UTC).isoformat(),
                    )
                    for n in range(start, start + 100)
                )
            )
        submitted = time.time() - began
        await daemon.kill()
        await daemon.start(until="")
        await _answers(daemon)
        back = time.time()
        while not log.exists() or len(log.read_text().splitlines()) < DELAYED:
            await asyncio.sleep(0.5)
            if time.time() > began + submitted + FROM + SPREAD + 60:
                break
        await daemon.stop()
    rows = [line.split() for line in log.read_text().splitlines()]
    counts = Counter(int(n) for n, _ in rows)
    # Those that were due while no daemon ran are late by that.
    late = sorted(1000 * (float(at) - due[int(n)]) for n, at in rows if due[int(n)] > back)
    return (
        f"{DELAYED} delayed runs over SIGKILL: {len(counts)} ran, {sum(c > 1 for c in counts.values())} twice;"
        f" late p50 {statistics.median(late):.0f} ms, p99 {late[int(0.99 * len(late))]:.0f} ms ({len(late)} of them)"
    )


async def reloads(folder: Path) -> str:
    """Reloads amid messages."""
    async with load(folder) as made:
        await made.subscribe()
        await made.daemon.start()
        await made.publish(rate=RATE)
        module = folder / "pipelines/count.py"
        code = module.read_text()
        done = refused = 0
        for number in range(RELOADS):
            await asyncio.sleep(1.0)
            broken = number == RELOADS // 2
            changed = code.replace("(previous_total or 0) + 1", f"(previous_total or 0) + 1 + 0 * len(str({number}))")
            module.write_text("def broken(:\n" if broken else changed)
            try:
                await made.daemon.ask("reload")
                done += 1
            except CommandRefused:
                refused += 1
        await asyncio.sleep(1.0)
        account = await made.settle()
        versions = Counter(properties.get("version") for _, _, properties in made.sink.messages)
        connections = len([line for line in made.daemon.log if line.get("event") == "connected"])
    return (
        f"{done} reloads and {refused} refused at {RATE:g} messages a second: {account}; {len(versions)} versions in the"
        f" results' properties; connected {connections - 1} time(s) in that life; sound: {account.sound}"
    )


async def _answers(daemon: Daemon) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await daemon.ask("status")
                return
            except DaemonUnavailable:
                await asyncio.sleep(0.1)


async def main() -> None:
    """Both."""
    for prove in (delayed, reloads):
        with tempfile.TemporaryDirectory(prefix="prove-") as name:
            print(await prove(Path(name)), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
