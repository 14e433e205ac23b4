"""Rows 1 to 8 and kills at random times: the daemon dies under load, again and again."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace

from faults.load import Load, load
from faults.row import Found, Run, row
from fp_events.failpoints import STEPS, VARIABLE

#: A kill comes at one of so many first passings of its step.
PASSINGS = 20
#: Seconds after which a daemon that has not passed its step so often, on a busy machine, dies all the same.
PATIENCE = 20.0
#: Messages a second: few enough that a daemon which mostly starts and dies keeps up with them.
RATE = 100.0


def _at_step(number: int, step: str) -> None:
    @row(str(number), f"SIGKILL when {step}", "lost 0")
    async def body(run: Run) -> Found:
        """At one of its first passings, under load; the next life goes on under the same load."""
        kills, late = run.times(100, 1), 0
        async with load(run.folder) as on:
            await on.subscribe()
            await on.publish(rate=RATE)
            for _ in range(kills):
                await on.catch_up()
                await on.daemon.start(until="", environ={VARIABLE: f"{step}:{run.rng.randint(1, PASSINGS)}"})
                late += not await _died(on, PATIENCE)
            found = await _counted(on, kills)
        assert late < kills, "it never died at that step"
        return replace(found, note=f"{late} of these at another moment" if late else "")


for _number, _step in enumerate(STEPS, start=1):
    _at_step(_number, _step)


@row("random", "SIGKILL at random times under load", "lost 0")
async def at_random_times(run: Run) -> Found:
    """Up to 1.5 s after it has connected; each fourth time, after its process was started."""
    kills = run.times(200, 3)
    async with load(run.folder) as on:
        await killed_at_random(run, on, kills)
        return await _counted(on, kills)


async def killed_at_random(run: Run, on: Load, kills: int, *, rate: float = RATE, qos: int = 1) -> None:
    """Kill it so often while messages come, each fourth time while it starts; they go on coming."""
    await on.subscribe()
    await on.publish(rate=rate, qos=qos)
    for number in range(kills):
        await on.catch_up()
        await on.daemon.start(until="" if number % 4 == 3 else "connected")
        await _died(on, run.rng.uniform(0.0, 1.5))


async def _counted(on: Load, kills: int) -> Found:
    await on.daemon.start()
    account = await on.settle()
    return Found(figure=str(account), held=account.sound, n=kills)


async def _died(on: Load, patience: float) -> bool:
    """Wait until the daemon has killed itself, or kill it; True where it did. Another end is a finding."""
    try:
        async with asyncio.timeout(patience):
            code = await on.daemon.ended()
    except TimeoutError:
        await on.daemon.kill()
        return False
    assert code == -signal.SIGKILL, f"serve ended by itself with {code}: {on.daemon.text} {on.daemon.log[-3:]}"
    return True
