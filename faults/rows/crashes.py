"""Rows 1 to 8 and kills at random times: the daemon dies under load, again and again."""

from __future__ import annotations

import asyncio
import contextlib
import signal

from faults.load import Load, load
from faults.row import Found, Run, row
from fp_events.failpoints import STEPS, VARIABLE

#: A kill comes at one of so many first passings of its step.
PASSINGS = 40
#: Seconds within which a step must have been passed so often.
PATIENCE = 30.0
#: Messages a second.
RATE = 300.0


def _at_step(number: int, step: str) -> None:
    @row(str(number), f"SIGKILL when {step}", "lost 0")
    async def body(run: Run) -> Found:
        kills = run.times(100, 2)
        async with load(run.folder) as on:
            await on.subscribe()
            await on.publish(rate=RATE)
            for _ in range(kills):
                passings = run.rng.randint(1, PASSINGS)
                await on.daemon.start(until="", environ={VARIABLE: f"{step}:{passings}"})
                try:
                    async with asyncio.timeout(PATIENCE):
                        code = await on.daemon.ended()
                except TimeoutError:
                    status = await on.daemon.ask("status")
                    raise AssertionError(f"{step} was not passed {passings} times: {status}") from None
                assert code == -signal.SIGKILL, f"serve ended with {code}: {on.daemon.text} {on.daemon.log[-3:]}"
            return await _counted(on, kills)


for _number, _step in enumerate(STEPS, start=1):
    _at_step(_number, _step)


@row("random", "SIGKILL at random times under load", "lost 0")
async def at_random_times(run: Run) -> Found:
    """From the moment of its start: also while it recovers."""
    kills = run.times(200, 5)
    async with load(run.folder) as on:
        await on.subscribe()
        await on.publish(rate=RATE)
        for _ in range(kills):
            await on.daemon.start(until="")
            # Not a clean end before it: a daemon that ended by itself is a finding.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(run.rng.uniform(0.2, 2.5)):
                    code = await on.daemon.ended()
                    raise AssertionError(f"serve ended by itself with {code}: {on.daemon.text}")
            await on.daemon.kill()
        return await _counted(on, kills)


async def _counted(on: Load, kills: int) -> Found:
    await on.daemon.start()
    account = await on.settle()
    return Found(figure=str(account), held=account.sound, n=kills)
