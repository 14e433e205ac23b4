"""Rows 9 and 16 to 19: power, disks, files, locks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from faults.damage import damaged
from faults.load import Load, Setup, load
from faults.row import Found, Run, Skipped, row
from faults.shim import shim
from faults.syscalls import CALLS, check

RATE = 200.0
#: Seconds that packets which left before a failure may take through the proxy.
ON_THE_WAY = 0.05


@row("9", "a power cut: what had reached the disk when a message was acknowledged?", "order violations 0")
async def power_cut(run: Run) -> Found:
    """Read from the daemon's system calls: each PUBACK is sent after the sync that covers its message."""
    if shutil.which("strace") is None:
        raise Skipped("strace is not installed: apt install strace")
    trace = run.folder / "trace"
    options = ("-D", "-f", "-yy", "-xx", "-s", "70000", "--seccomp-bpf", "-e", f"trace={CALLS}", "-o", str(trace))
    async with load(run.folder) as on:
        await on.subscribe()
        await on.daemon.start(under=("strace", *options))
        await on.publish(rate=RATE, count=200 if run.short else 5000)
        await on.published(all_of_it=True)
        account = await on.settle()
        with trace.open(errors="replace") as lines:
            order = check(lines, on.broker.port)
    held = account.sound and not order.violations and order.acknowledged >= account.acknowledged
    figure = f"violations {len(order.violations)} of {order.acknowledged} acknowledgements, {order.syncs} syncs"
    return Found(figure=f"{figure}; {account}", held=held, n=order.acknowledged)


@row("16", "the disk is full", "nothing is acknowledged meanwhile, it goes on alone, lost 0")
async def disk_full(run: Run) -> Found:
    """A file system of 8 MiB that a ballast fills."""
    times = run.times(20, 1)
    with _small_disk(run.folder / ".fp-events", 8 if run.short else 64) as disk:
        async with load(run.folder, Setup(through_proxy=True)) as on:
            assert on.proxy is not None
            await on.daemon.start()
            await on.publish(rate=RATE)
            meanwhile = 0
            for _ in range(times):
                await on.until_results(50)
                ballast = disk / "ballast"
                _fill(ballast)
                status = await on.daemon.until(lambda status: bool(status["ledger"]["problem"]))
                assert "disk is full" in status["ledger"]["problem"]
                before = len(on.proxy.acknowledged)
                await asyncio.sleep(1.0)
                meanwhile += len(on.proxy.acknowledged) - before
                ballast.unlink()
                await on.daemon.until(lambda status: not status["ledger"]["problem"])
            account = await on.settle()
    held = account.sound and not meanwhile
    return Found(figure=f"{account}; acknowledged meanwhile {meanwhile}", held=held, n=times)


@row("17", "the disk fails: fsync gives EIO", "the daemon ends; acknowledgements after 0")
async def disk_fails(run: Run) -> Found:
    """A library under the daemon fails the syncs of the log from one moment on."""
    times = run.times(20, 1)
    library = shim(run.folder)
    codes: set[int] = set()
    late = 0
    async with load(run.folder, Setup(through_proxy=True)) as on:
        assert on.proxy is not None
        await on.subscribe()
        await on.publish(rate=RATE)
        for number in range(times):
            switch = run.folder / f"eio-{number}"
            await on.daemon.start(environ={"LD_PRELOAD": str(library), "FAULTS_EIO": str(switch)})
            await on.until_results(run.rng.randint(20, 100))
            switch.touch()
            codes.add(await on.daemon.ended())
            failed = int(switch.read_text()) / 1e9
            late += sum(at > failed + ON_THE_WAY for at, _ in on.proxy.acknowledged)
            # The next life acknowledges again.
            on.proxy.acknowledged.clear()
        await on.daemon.start()
        account = await on.settle()
    held = account.sound and not late and codes == {74}
    figure = f"exit codes {sorted(codes)}; acknowledged after the failure {late}; {account}"
    return Found(figure=figure, held=held, n=times)


@row("18", "the ledger is damaged: a flipped bit, a lost end", "refused, with the command that recovers; silent 0")
async def damaged_ledger(run: Run) -> Found:
    """A bit anywhere, or an end anywhere, of a ledger that was closed and of the log of one that was not.

    What SQLite has no means to see is counted apart: `damage.UNSEEN`.
    """
    times = run.times(300, 12)
    async with load(run.folder) as on:
        await on.daemon.start()
        await on.publish(rate=500, count=400)
        await on.published(all_of_it=True)
        await on.daemon.until(lambda status: status["totals"]["finished"] >= 400)
        await on.daemon.kill()
        found = await damaged(on.ledger, run.rng, times, run.folder / "copies")
    return Found(figure=str(found), held=found.sound, n=times)


@row("19", "another program has locked the ledger", "not dropped; lost 0; the problem is named")
async def locked_ledger(run: Run) -> Found:
    """For a minute; in the short campaign until the daemon says so."""
    times = run.times(5, 1)
    waited = []
    async with load(run.folder) as on:
        await on.daemon.start()
        await on.publish(rate=RATE)
        for _ in range(times):
            await on.until_results(50)
            waited.append(await _locked(on, 0.0 if run.short else 60.0))
        account = await on.settle()
    figure = f"{account}; named after {max(waited):.1f} s"
    return Found(figure=figure, held=account.sound, n=times)


async def _locked(on: Load, seconds: float) -> float:
    """Hold the lock until the daemon names it, and for so long; how long the naming took."""
    started = time.monotonic()
    with contextlib.closing(sqlite3.connect(on.ledger, isolation_level=None, timeout=30)) as other:
        other.execute("BEGIN IMMEDIATE")
        status = await on.daemon.until(lambda status: bool(status["ledger"]["problem"]), every=0.1)
        assert "locked" in status["ledger"]["problem"]
        named = time.monotonic() - started
        await asyncio.sleep(seconds)
        other.execute("ROLLBACK")
    await on.daemon.until(lambda status: not status["ledger"]["problem"])
    return named


@contextlib.contextmanager
def _small_disk(folder: Path, mebibytes: int) -> Iterator[Path]:
    folder.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=700", "none", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        raise Skipped("only root can mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(ballast: Path) -> None:
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
