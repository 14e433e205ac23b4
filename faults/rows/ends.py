"""Rows 43 and 44: ends that are asked for. Rows 45 and 46: parts that do not exist."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any

from faults.load import Setup, load
from faults.oracle import read_ledger
from faults.row import Found, Run, left, row
from tests.endtoend.harness import publish

RATE = 200.0
SLOW = {
    # One at a time: what is left of earlier rounds would fill every thread.
    "conf/pipelines/slow.yml": """\
triggers: [{topic: "slow/{line}", map: {x: payload}, concurrency: 1}]
outputs: [y]
""",
    "pipelines/slow.py": '''\
"""Takes twenty seconds."""

import time


def y(x: int) -> int:
    """The same, later."""
    time.sleep(20)
    return x
''',
}


@row("43", "SIGTERM under load", "drains within the grace; lost 0")
async def drain(run: Run) -> Found:
    """Exit code 0 each time, and everything is there in the end."""
    times = run.times(30, 2)
    codes, took = [], []
    async with load(run.folder) as on:
        await on.subscribe()
        await on.publish(rate=RATE)
        for _ in range(times):
            await on.daemon.start()
            await on.until_results(run.rng.randint(10, 200))
            started = time.monotonic()
            codes.append(await on.daemon.stop())
            took.append(time.monotonic() - started)
        await on.daemon.start()
        account = await on.settle()
    figure = f"exit codes {sorted(set(codes))}, at most {max(took):.2f} s; {account}"
    held = account.sound and set(codes) == {0} and max(took) < 30 and not account.effects_again
    return Found(figure=figure, held=held, n=times)


@row("44", "a second SIGTERM during a drain", "stops at once; lost 0")
async def second_signal(run: Run) -> Found:
    """While a run of twenty seconds holds the first one up."""
    times = run.times(20, 1)
    took, unfinished = [], True
    async with load(run.folder, Setup(files=SLOW)) as on:
        await on.subscribe()
        await on.publish(rate=RATE)
        for number in range(times):
            await on.daemon.start()
            await on.until_results(20)
            await publish(on.broker.port, "slow/a", [str(number)])
            await on.daemon.until(lambda status: any(row["executing"] for row in _triggers(status)))
            on.daemon.signal(signal.SIGTERM)
            await asyncio.sleep(run.rng.uniform(0.2, 0.6))
            started = time.monotonic()
            await on.daemon.stop()
            took.append(time.monotonic() - started)
            unfinished = unfinished and bool(read_ledger(on.ledger, "slow").pending)
        # The slow runs are there still; what is counted are the others.
        await on.daemon.start()
        await on.published()
        await on.daemon.until(lambda status: _counted(status) >= on.acknowledged())
        on.daemon.signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        await on.daemon.stop()
        account = on.account()
    figure = (
        f"at most {max(took):.2f} s after the second; unfinished runs {'kept' if unfinished else 'LOST'}; {account}"
    )
    return Found(figure=figure, held=account.sound and unfinished and max(took) < 3, n=times)


def _triggers(status: dict[str, Any]) -> list[dict[str, Any]]:
    found = next(pipeline for pipeline in status["pipelines"] if pipeline["name"] == "slow")
    triggers: list[dict[str, Any]] = found["triggers"]
    return triggers


def _counted(status: dict[str, Any]) -> int:
    return int(next(pipeline for pipeline in status["pipelines"] if pipeline["name"] == "count")["succeeded"])


left("45", "one of 3 replicas is killed", "its accepted work recovers; lost by cause", "replicas are not built")
left("46", "a fenced owner comes back", "its late commit is refused; stale 0", "replicas are not built")
