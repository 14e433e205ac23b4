"""Rows 30 to 34: what users' functions do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path
from typing import Any

from faults.load import Load, Setup, load
from faults.row import Found, Run, row
from faults.views import MIB, ends_of, peak_rss, pipeline_of
from tests.endtoend.gauges import sample
from tests.endtoend.harness import publish, send

RATE = 100.0


def _files(name: str, body: str, *, run: str = "") -> dict[str, str]:
    """A pipeline of one function `y(x: int)`."""
    trigger = f'{{topic: "{name}/{{line}}", map: {{x: payload}}}}'
    return {
        f"conf/pipelines/{name}.yml": f"triggers: [{trigger}]\noutputs: [y]\n{run}",
        f"pipelines/{name}.py": f'"""Bad company."""\n\n\ndef y(x: int) -> int:\n    """Never well."""\n{body}',
    }


@row("30", "a function blocks with time.sleep", "the connection and other pipelines unaffected; longest answer")
async def blocking(run: Run) -> Found:
    """On threads, for three times the keepalive; the daemon is asked how it is all the while."""
    keepalive = 2.0
    body = f"    import time\n\n    time.sleep({3 * keepalive})\n    return x\n"
    async with load(run.folder, Setup(files=_files("blocking", body), keepalive=keepalive)) as on:
        await on.daemon.start()
        await on.publish(rate=RATE)
        await on.until_results(50)
        await publish(on.broker.port, "blocking/a", ["1", "2"])
        slowest, results = 0.0, len(on.sink.messages)
        until = time.monotonic() + 3 * keepalive
        while time.monotonic() < until:
            asked = time.monotonic()
            status = await on.daemon.ask("status")
            slowest = max(slowest, time.monotonic() - asked)
            await asyncio.sleep(0.05)
        flowed = len(on.sink.messages) - results
        connections = status["broker"]["connections"]
        account = await on.settle()
    held = account.sound and connections == 1 and flowed > RATE and slowest < 1.0
    figure = f"longest answer {slowest * 1000:.0f} ms, {flowed} results beside it, connections {connections}; {account}"
    return Found(figure=figure, held=held)


@row("31", "a function never ends", "processpool: killed at its timeout; threadpool: slot abandoned, counted")
async def endless(run: Run) -> Found:
    """What the run took above its timeout of one second."""
    times = run.times(20, 1)
    busy, idle = "    while True:\n        x += 1\n", "    import time\n\n    while True:\n        time.sleep(0.01)\n"
    limit = "run: {{timeout: 1s, executor: {{type: {0}, max_workers: {1}}}}}\n"
    files = {
        **_files("inprocess", busy, run=limit.format("processpool", 2)),
        # As many lost threads are replaced as there are.
        **_files("inthread", idle, run=limit.format("threadpool", max(2, times))),
    }
    async with load(run.folder, Setup(files=files)) as on:
        await on.daemon.start()
        await on.publish(rate=RATE)
        for number in range(times):
            await asyncio.gather(
                send(on.broker.port, "inprocess/a", str(number)), send(on.broker.port, "inthread/a", str(number))
            )
            await on.daemon.until(
                lambda status, wanted=number + 1: all(  # type: ignore[misc] # mypy knows no defaults of lambdas
                    ends_of(pipeline_of(status, name)).get("timed_out", 0) == wanted
                    for name in ("inprocess", "inthread")
                )
            )
        status = await on.daemon.ask("status")
        over = {name: await _overshoot(on, name) for name in ("inprocess", "inthread")}
        # Threads that never end end with the process.
        account = await on.settle()
    abandoned = sum(executor.get("abandoned", 0) for executor in status["executors"].values())
    held = account.sound and over["inprocess"] < 1.0 and over["inthread"] < 1.0 and abandoned >= times
    figure = (
        f"overshoot {over['inprocess']:.2f} s in a process, {over['inthread']:.2f} s in a thread; abandoned {abandoned}"
    )
    return Found(figure=f"{figure}; {account}", held=held, n=times)


@row(
    "32",
    "a function ends its process: segmentation fault, sys.exit, os._exit",
    "only that run fails; daemon restarts 0",
)
async def exits(run: Run) -> Found:
    """Segmentation fault, sys.exit and os._exit, in a pool of processes."""
    times = run.times(20, 1)
    body = (
        "    import ctypes\n    import os\n    import sys\n\n"
        "    if x % 3 == 0:\n        ctypes.string_at(0)\n    if x % 3 == 1:\n        sys.exit(3)\n    os._exit(4)\n"
    )
    files = _files("exits", body, run="run: {executor: {type: processpool, max_workers: 2}}\n")
    good = _files("good", "    return x\n", run="run: {executor: {type: processpool, max_workers: 2}}\n")
    async with load(run.folder, Setup(files={**files, **good})) as on:
        await on.daemon.start()
        pid = on.daemon.pid
        await on.publish(rate=RATE)
        for number in range(times):
            await publish(on.broker.port, "exits/a", [str(3 * number + kind) for kind in range(3)])
            await publish(on.broker.port, "good/a", [str(number)])
        status = await on.daemon.until(
            lambda status: (
                sum(ends_of(pipeline_of(status, "exits")).values()) == 3 * times
                and sum(ends_of(pipeline_of(status, "good")).values()) == times
            )
        )
        found = {name: ends_of(pipeline_of(status, name)) for name in ("exits", "good")}
        same = status["pid"] == pid
        account = await on.settle()
    held = account.sound and found == {"exits": {"failed": 3 * times}, "good": {"succeeded": times}} and same
    return Found(figure=f"{found}, daemon restarts {0 if same else 1}; {account}", held=held, n=3 * times)


@row("33", "a function leaks", "the worker is replaced; resident memory is bounded")
async def leaking(run: Run) -> Found:
    """16 MiB each run, in a pool of one process whose bound is 1 GiB."""
    times = run.times(160, 80)
    body = '    _KEPT.append(b"x" * (16 << 20))\n    return os.getpid()\n'
    files = _files("leaking", body, run="run: {executor: {type: processpool, max_workers: 1}}\n")
    files["pipelines/leaking.py"] = files["pipelines/leaking.py"].replace(
        "\n\n\ndef", "\n\nimport os\n\n_KEPT: list[bytes] = []\n\n\ndef", 1
    )
    most = 0
    async with load(run.folder, Setup(files=files)) as on:
        await on.daemon.start()
        await on.publish(rate=RATE / 2)
        await publish(on.broker.port, "leaking/a", [str(number) for number in range(times)])
        while True:
            status = await on.daemon.ask("status")
            most = max(most, _children(on.daemon.pid))
            if sum(ends_of(pipeline_of(status, "leaking")).values()) == times:
                break
            await asyncio.sleep(0.05)
        found = ends_of(pipeline_of(status, "leaking"))
        account = await on.settle()
    held = account.sound and found == {"succeeded": times} and most < 1536 * MIB
    figure = f"{found}, {16 * times} MiB leaked, most at once {most / MIB:.0f} MiB in all processes; {account}"
    return Found(figure=figure, held=held, n=times)


@row("34", "a slow pipeline on a fast topic", "bounded memory, backpressure; peak memory")
async def slow_pipeline(run: Run) -> Found:
    """More bytes than the 256 MiB that a daemon holds; in the short campaign fewer."""
    count, size = (2_000, 1024) if run.short else (40_000, 16 * 1024)
    files = _files("slow", "    import time\n\n    time.sleep(60)\n    return 1\n")
    files["conf/pipelines/slow.yml"] = (
        'triggers: [{topic: "slow/{line}", format: bytes, map: {x: payload.size ?? 1}}]\n'
    )
    async with load(run.folder, Setup(files=files)) as on:
        await on.daemon.start()
        before = (await sample(on.daemon, 0.0)).rss_kib * 1024
        line = "x" * (size - 1)
        for _ in range(4):
            await publish(on.broker.port, "slow/a", [line] * (count // 4))
        status, steady = await _settled(on)
        most = peak_rss(on.daemon.pid)
        pending = status["totals"]["pending"]
        # A drain would wait for a minute.
        await on.daemon.kill()
    growth = (most - before) / MIB
    sent = count * size / MIB
    held = status["totals"]["pending_bytes"] / MIB
    figure = f"{sent:.0f} MiB sent, {pending} runs ({held:.0f} MiB) held, memory grew by {growth:.0f} MiB"
    return Found(figure=figure, held=steady and growth < 2 * 256 + 128, n=count)


async def _settled(on: Load) -> tuple[dict[str, Any], bool]:
    """Wait until nothing more is taken in."""
    last, still = -1, 0
    async with asyncio.timeout(120):
        while still < 10:
            status = await on.daemon.ask("status")
            still = still + 1 if status["totals"]["received"] == last else 0
            last = status["totals"]["received"]
            await asyncio.sleep(0.1)
    return status, True


async def _overshoot(on: Load, name: str) -> float:
    """Seconds that attempts took above their timeout of one, the most."""
    runs = await on.daemon.runs(name)
    return max(float(run["duration_s"]) for run in runs) - 1.0


def _children(pid: int) -> int:
    """Resident bytes of a daemon and all below it."""
    found, waiting = 0, [pid]
    while waiting:
        one = waiting.pop()
        with contextlib.suppress(OSError):
            found += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            for task in Path(f"/proc/{one}/task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
    return found
