"""Rows 10 to 15: the broker goes, or the connection does what connections do."""

from __future__ import annotations

import asyncio
import json
import time

from faults.load import Load, Setup, load
from faults.oracle import acknowledged, number_of, read_ledger
from faults.proxy import Proxy
from faults.row import Found, Run, row
from tests.endtoend.gauges import Sample, sample
from tests.endtoend.harness import publish

#: Messages a second.
RATE = 200.0
#: Of the daemon in rows that wait for it, seconds.
KEEPALIVE = 2.0
#: Beside the keepalive: the daemon looks once a second.
LOOK = 1.0
#: What may come and go: a file of a command, a task that is about to end, memory for the 6,000 messages that come at
#: once after a pause of 30 s.
FILES, TASKS, KIB = 3, 3, 16 * 1024

SLOW = {
    "conf/pipelines/slow.yml": """\
triggers: [{topic: "slow/{line}", map: {x: payload}}]
outputs: [{node: y, topic: slowly}]
""",
    "pipelines/slow.py": '''\
"""Takes its time."""

import time


def y(x: int) -> int:
    """The same, later."""
    time.sleep(0.2)
    return x
''',
}


@row("10", "the broker is ended with SIGTERM and started again", "lost 0; recovery in s")
async def broker_ends(run: Run) -> Found:
    """Seconds count from its being there again."""
    times = run.times(20, 1)
    async with load(run.folder) as on:
        await on.daemon.start()
        await on.publish(rate=RATE)
        recovered = []
        for _ in range(times):
            await on.until_results(run.rng.randint(50, 200))
            seen = len(on.daemon.log)
            await on.broker.stop()
            await asyncio.sleep(run.rng.uniform(0, 1))
            await on.broker.start()
            recovered.append(await _until(on, "connected", seen))
        account = await on.settle()
    return Found(figure=f"{account}; connected after {_spread(recovered)}", held=account.sound, n=times)


@row("11", "the broker is killed with SIGKILL", "our loss 0; the broker's own loss counted apart")
async def broker_is_killed(run: Run) -> Found:
    """Ours: what the daemon acknowledged on the wire and does not have. What else is missing, the broker forgot."""
    times = run.times(20, 1)
    async with load(run.folder, Setup(through_proxy=True)) as on:
        await on.daemon.start()
        await on.publish(rate=RATE)
        for _ in range(times):
            await on.until_results(run.rng.randint(50, 300))
            seen = len(on.daemon.log)
            await on.broker.kill()
            await on.broker.start()
            await _until(on, "connected", seen)
        account = await on.settle()
        assert on.proxy is not None
        ours = {_number(payload) for _, payload in on.proxy.acknowledged}
        delivered = {_number(payload) for payload in on.proxy.delivered}
        stored = set(read_ledger(on.ledger).runs)
        theirs = acknowledged(on.log) - delivered
        results = {number_of(payload) for _, payload, _ in on.sink.messages}
        untold = (stored - results) & set(account.lost)
    lost = ours - stored
    figure = f"our loss {len(lost)} of {len(ours)}; the broker lost {len(theirs)} messages and {len(untold)} results"
    return Found(figure=figure, held=not lost and not account.ran_twice_identified, n=times)


@row("12", "the broker is stopped with SIGSTOP and answers nothing", "detected in s; accepted work goes on; lost 0")
async def broker_hangs(run: Run) -> Found:
    """For a minute and more; for the short campaign until it was noticed."""
    times = run.times(3, 1)
    async with load(run.folder, Setup(keepalive=KEEPALIVE, files=SLOW)) as on:
        await on.daemon.start()
        await on.publish(rate=RATE)
        await on.until_results(50)
        noticed, worked = [], True
        for _ in range(times):
            await _pile_up(on)
            seen, before = len(on.daemon.log), await _finished(on)
            on.broker.pause()
            try:
                noticed.append(await _until(on, "disconnected", seen))
                worked = worked and await _finished(on) > before
                await asyncio.sleep(0 if run.short else 60)
            finally:
                on.broker.resume()
            await _until(on, "connected", seen)
        account = await on.settle()
    most = 1.5 * KEEPALIVE + LOOK
    held = account.sound and worked and max(noticed) <= most
    goes_on = "work went on" if worked else "WORK STOOD STILL"
    return Found(figure=f"{account}; noticed after {_spread(noticed)} of {most:.1f} s; {goes_on}", held=held, n=times)


@row("13", "a connection is half open: nothing passes, nothing closes", "detected within 1.5 x keepalive")
async def half_open(run: Run) -> Found:
    """The daemon's clock starts at its last packet, so a second of looking is added."""
    times = run.times(10, 1)
    async with load(run.folder, Setup(keepalive=KEEPALIVE, through_proxy=True)) as on:
        assert on.proxy is not None
        await on.daemon.start()
        await on.publish(rate=RATE)
        noticed = []
        for _ in range(times):
            await on.until_results(50)
            seen = len(on.daemon.log)
            on.proxy.frozen = True
            noticed.append(await _until(on, "disconnected", seen))
            on.proxy.frozen = False
            await _until(on, "connected", seen)
        account = await on.settle()
    most = 1.5 * KEEPALIVE + LOOK
    held = account.sound and max(noticed) <= most
    return Found(figure=f"{account}; noticed after {_spread(noticed)} of {most:.1f} s", held=held, n=times)


@row("14", "the connection is cut every 2 s", "no growth of tasks, files, memory; lost 0")
async def flapping(run: Run) -> Found:
    """Compared with the same daemon after as many cuts under the same load: by then it has had what comes at once when
    the connection is back, thousands of messages after a pause of up to 30 s.
    """
    times = run.times(60, 3)
    async with load(run.folder, Setup(through_proxy=True)) as on:
        assert on.proxy is not None
        await on.daemon.start()
        await on.publish(rate=RATE)
        await on.until_results(400)
        before = await _cut_often(on, on.proxy, times)
        after = await _cut_often(on, on.proxy, times)
        connections = on.proxy.connections
        account = await on.settle()
    growth = _growth(before, after)
    figure = f"{account}; {growth}; {connections} connections"
    held = account.sound and after.fds - before.fds <= FILES and (after.tasks or 0) - (before.tasks or 0) <= TASKS
    # Short runs grow since pages of the ledger's cache fill for the first time.
    held = held and (run.short or after.rss_kib - before.rss_kib <= KIB)
    return Found(figure=figure, held=held, n=times)


@row("15", "acknowledgements are lost, all else passes", "no acknowledgement for an older connection; lost 0")
async def acknowledgements_are_lost(run: Run) -> Found:
    """The broker sends everything again after a cut. What had no `message_id` may run twice: by the order of TCP the
    broker had its acknowledgement when it answered what was sent after it.
    """
    times = run.times(20, 1)
    async with load(run.folder, Setup(through_proxy=True)) as on:
        assert on.proxy is not None
        await on.daemon.start()
        await on.publish(rate=RATE)
        for _ in range(times):
            seen = len(on.daemon.log)
            on.proxy.swallow_acks = True
            await on.until_results(run.rng.randint(50, 300))
            on.proxy.cut()
            on.proxy.swallow_acks = False
            await _until(on, "connected", seen)
        account = await on.settle()
        stale = on.proxy.stale
    return Found(figure=f"{account}; {stale} for an older connection", held=account.sound and not stale, n=times)


@row("slow", "every packet takes 150 ms each way, and the daemon is killed", "lost 0")
async def slow_line(run: Run) -> Found:
    """Much is under way when it dies."""
    times = run.times(20, 1)
    async with load(run.folder, Setup(through_proxy=True)) as on:
        assert on.proxy is not None
        on.proxy.delay = 0.15
        await on.subscribe()
        await on.publish(rate=RATE)
        for _ in range(times):
            await on.daemon.start()
            await on.until_results(run.rng.randint(50, 200))
            await on.daemon.kill()
        await on.daemon.start()
        account = await on.settle()
    return Found(figure=str(account), held=account.sound, n=times)


async def _until(on: Load, event: str, seen: int) -> float:
    """Seconds until the daemon logs it."""
    started = time.monotonic()
    await on.daemon.logged(event, after=seen)
    return time.monotonic() - started


async def _pile_up(on: Load) -> None:
    """Accepted work for longer than the broker takes to be missed."""
    await publish(on.broker.port, "slow/a", [str(number) for number in range(300)])
    await on.daemon.until(lambda status: status["totals"]["pending"] >= 100)


async def _finished(on: Load) -> int:
    return int((await on.daemon.ask("status"))["totals"]["finished"])


def _number(packet: bytes) -> int:
    return number_of(packet[packet.rindex(b"{") :])


async def _cut_often(on: Load, proxy: Proxy, times: int) -> Sample:
    for _ in range(times):
        await asyncio.sleep(2.0)
        proxy.cut()
    # After so many losses in a row the daemon waits for up to 30 s.
    await on.until_results(100, 45.0)
    return await sample(on.daemon, 0.0)


def _growth(before: Sample, after: Sample) -> str:
    return json.dumps(
        {name: (getattr(after, name) or 0) - (getattr(before, name) or 0) for name in ("rss_kib", "fds", "tasks")}
    )


def _spread(seconds: list[float]) -> str:
    if len(seconds) == 1:
        return f"{seconds[0]:.2f} s"
    ordered = sorted(seconds)
    return f"{ordered[len(ordered) // 2]:.2f} s (most {ordered[-1]:.2f} s)"
