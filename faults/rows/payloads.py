"""Rows 23 to 29: what publishers send."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faults.load import Load, Setup, load
from faults.row import Found, Run, row
from faults.views import MIB, ends_of, peak_rss, pipeline_of
from fp_events.domain.errors import DaemonUnavailable
from tests.endtoend.harness import cli, send

RATE = 100.0
#: MiB of messages that a daemon holds at the most, and copies of the one that is on its way into the ledger: from the
#: socket, as a packet, as a row, as pages.
HELD, COPIES = 256, 4

FRAGILE = {
    "conf/pipelines/fragile.yml": 'triggers: [{topic: "fragile/{line}", map: {x: payload.x}}]\noutputs: [y]\n',
    "pipelines/fragile.py": '''\
"""Raises, whatever it is given."""


def y(x: int) -> int:
    """Never."""
    raise ValueError(f"no {x}")
''',
}
DEADLY = {
    "conf/pipelines/deadly.yml": 'triggers: [{topic: "deadly/{line}", map: {x: payload.x}}]\noutputs: [y]\n',
    "pipelines/deadly.py": '''\
"""Kills the process that runs it."""

import os
import signal


def y(x: int) -> int:
    """Never."""
    os.kill(os.getpid(), signal.SIGKILL)
    return x
''',
}
STRICT = {
    "conf/pipelines/strict.yml": """\
triggers: [{topic: "strict/{line}", format: json, map: {x: payload.x}}]
outputs: [y]
""",
    "pipelines/strict.py": '''\
"""Takes what it is given."""

from typing import Any


def y(x: Any) -> Any:
    """The same."""
    return x
''',
}
RAW = {
    "conf/pipelines/raw.yml": 'triggers: [{topic: "raw/{rest#}", format: bytes, map: {x: payload}}]\noutputs: [y]\n',
    "pipelines/raw.py": '''\
"""Takes any bytes."""


def y(x: bytes) -> int:
    """How many."""
    return len(x)
''',
}


@row("23", "a payload that always raises", "dead letters; neighbours' p99")
async def always_raises(run: Run) -> Found:
    """Of the time from acceptance to end; beside the same without such payloads."""
    times = run.times(1000, 40)
    async with load(run.folder, Setup(files=FRAGILE)) as on:
        await on.daemon.start()
        await on.publish(rate=RATE, count=times * 2)
        await on.published(all_of_it=True)
        calm = await _p99(on, 0)
        first = on.acknowledged()
        await on.publish(rate=RATE, count=times * 2)
        for number in range(times):
            await send(on.broker.port, "fragile/a", {"x": number})
        await on.published(all_of_it=True)
        await on.daemon.until(lambda status: pipeline_of(status, "fragile")["dead_letters"] == times)
        beside = await _p99(on, first)
        account = await on.settle()
    figure = f"{times} dead letters; neighbours' p99 {beside:.1f} ms, {calm:.1f} ms without; {account}"
    return Found(figure=figure, held=account.sound and beside < 10 * calm + 100, n=times)


@row("24", "a payload that kills the process", "dead letter after 3 crashes alone; bystanders dead-lettered 0")
async def kills_the_process(run: Run) -> Found:
    """The daemon is started again whenever it dies, as a supervisor does. Three crashes alone come after one in
    company, or two where more ran beside it than can run one after the other.
    """
    times = run.times(10, 1)
    starts = []
    async with load(run.folder, Setup(files=DEADLY)) as on:
        await on.daemon.start()
        await on.publish(rate=RATE)
        for number in range(times):
            await on.until_results(20)
            await send(on.broker.port, "deadly/a", {"x": number})
            count = 0
            while await _dies(on, number + 1):
                count += 1
                await on.daemon.start(until="")
            starts.append(count)
        account = await on.settle()
    figure = f"dead letter after {statistics.median(starts):.0f} crashes (most {max(starts)}); {account}"
    return Found(figure=figure, held=account.sound and not account.dead and max(starts) <= 5, n=times)


@row("25", "a payload of 256 MB", "refused or dead-lettered within the memory bound; peak memory")
async def enormous(run: Run) -> Found:
    """As large as the daemon takes, then as MQTT allows, which the broker keeps back; 24 MiB in the short campaign."""
    sizes = [24 * MIB] if run.short else [60 * MIB, 268_435_000]
    async with load(run.folder, Setup(files=STRICT)) as on:
        await on.daemon.start()
        await on.publish(rate=RATE)
        await on.until_results(100)
        before = peak_rss(on.daemon.pid)
        for size in sizes:
            await send(on.broker.port, "strict/a", b'{"x": "' + b"x" * (size - 9) + b'"}')
        # The broker keeps the order: when this one has come, no other will.
        await send(on.broker.port, "strict/a", {"x": 1})
        status = await on.daemon.until(lambda status: "succeeded" in ends_of(pipeline_of(status, "strict")), every=0.1)
        outcome = ends_of(pipeline_of(status, "strict"))
        peak = peak_rss(on.daemon.pid)
        account = await on.settle()
    growth = (peak - before) / MIB
    sent = " and ".join(f"{size / 1e6:.0f} MB" for size in sizes)
    figure = f"{sent}, and a small one: {outcome}, peak {peak / MIB:.0f} MiB (+{growth:.0f} MiB); {account}"
    held = outcome == {"rejected": 1, "succeeded": 1} and growth <= HELD + COPIES * sizes[0] / MIB
    return Found(figure=figure, held=account.sound and held)


@row("26", "JSON nested a million deep, an integer of 5,000 digits", "REJECTED; the daemon lives")
async def deep(run: Run) -> Found:
    """In a pipeline that takes any JSON."""
    payloads = {
        "a million [": b'{"x": ' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}",
        "a million {": b'{"x": ' * 1_000_000 + b"1" + b"}" * 1_000_000,
        "5,000 digits": b'{"x": ' + b"9" * 5000 + b"}",
        "unclosed": b"[" * 1_000_000,
    }
    return await _outcomes(run, payloads, dict.fromkeys(payloads, "rejected"))


@row("27", "NaN, 1e999, a lone surrogate, a key twice", "NaN and surrogates REJECTED; else as documented")
async def odd_json(run: Run) -> Found:
    """docs/formats.md says what becomes of each."""
    payloads = {
        "NaN": b'{"x": NaN}',
        "Infinity": b'{"x": -Infinity}',
        "1e999": b'{"x": 1e999}',
        "surrogate": b'{"x": "\\ud800"}',
        "key twice": b'{"x": 1, "x": 2}',
        "BOM": b'\xef\xbb\xbf{"x": 1}',
    }
    return await _outcomes(run, payloads, {**dict.fromkeys(payloads, "rejected"), "key twice": "succeeded"})


@row("28", "payloads that are not UTF-8", "bytes works, else REJECTED; crashes 0")
async def not_utf8(run: Run) -> Found:
    """Random bytes, to a pipeline of bytes and to one of JSON."""
    times = run.times(200, 10)
    async with load(run.folder, Setup(files={**STRICT, **RAW})) as on:
        await on.daemon.start()
        for _ in range(times):
            payload = b"\xff\xfe" + run.rng.randbytes(run.rng.randint(0, 2000))
            await asyncio.gather(send(on.broker.port, "strict/a", payload), send(on.broker.port, "raw/a", payload))

        def ended(status: dict[str, Any]) -> bool:
            return all(sum(ends_of(pipeline_of(status, name)).values()) == times for name in ("strict", "raw"))

        status = await on.daemon.until(ended)
        found = {name: ends_of(pipeline_of(status, name)) for name in ("strict", "raw")}
        code = await on.daemon.stop()
    held = found == {"strict": {"rejected": times}, "raw": {"succeeded": times}} and code == 0
    return Found(figure=f"json {found['strict']}, bytes {found['raw']}, exit code {code}", held=held, n=times)


@row("29", "topics with ../, //, U+202E, emoji, 60 KB", "opaque: escapes 0, broken log lines 0")
async def odd_topics(run: Run) -> Found:
    """No file appears, no line of log or table is broken, every run ends."""
    topics = [
        "raw/../../../escaped",
        "raw//",
        "raw/\u202etxt.exe",
        "raw/🏭/🌡",
        "raw/" + "x" * 60_000,
        "raw/$(touch escaped)/`id`;&",
        "raw/<script>alert(1)</script>",
        "raw/-rf",
        "raw/%s%n{rest}",
        "raw/a b",
    ]
    async with load(run.folder, Setup(files=RAW)) as on:
        await on.daemon.start()
        before = _files(run.folder)
        for topic in topics:
            await send(on.broker.port, topic, b"1")
        status = await on.daemon.until(
            lambda status: sum(ends_of(pipeline_of(status, "raw")).values()) >= len(topics) or not status["pipelines"]
        )
        listed = await cli(run.folder, "runs", "list")
        shown = await cli(run.folder, "status")
        await on.daemon.stop()
        made = sorted(_files(run.folder) - before)
    outcomes = ends_of(pipeline_of(status, "raw"))
    raw = sum("\u202e" in text or "\x1b]" in text for text in (listed.out, shown.out, *on.daemon.text))
    broken = [line for line in on.daemon.text if line.startswith("{")]
    held = outcomes == {"succeeded": len(topics)} and not made and not broken and not raw and not listed.code
    figure = f"{outcomes}; files made {len(made)}; broken log lines {len(broken)}; unescaped {raw}"
    return Found(figure=figure, held=held, n=len(topics), note=", ".join(made))


async def _outcomes(run: Run, payloads: Mapping[str, bytes], wanted: Mapping[str, str]) -> Found:
    """Send each to a pipeline that takes any JSON; how their runs ended."""
    found: dict[str, str] = {}
    async with load(run.folder, Setup(files=STRICT)) as on:
        await on.daemon.start()
        await on.publish(rate=RATE)
        for name, payload in payloads.items():
            before = ends_of(pipeline_of(await on.daemon.ask("status"), "strict"))
            await send(on.broker.port, "strict/a", payload)
            count = sum(before.values())
            status = await on.daemon.until(
                lambda status, count=count: sum(ends_of(pipeline_of(status, "strict")).values()) > count  # type: ignore[misc] # mypy knows no defaults of lambdas
            )
            after = ends_of(pipeline_of(status, "strict"))
            found[name] = next(outcome for outcome in after if after[outcome] != before.get(outcome, 0))
        account = await on.settle()
    figure = ", ".join(f"{name}: {outcome}" for name, outcome in found.items())
    return Found(figure=f"{figure}; neighbours {account}", held=found == wanted and account.sound, n=len(payloads))


async def _dies(on: Load, dead_letters: int) -> bool:
    """Wait until the daemon has died, or has given up on its poison; True where it died."""
    ended = asyncio.create_task(on.daemon.ended())
    try:
        while True:
            await asyncio.wait((ended,), timeout=0.02)
            if ended.done():
                return True
            # It is not there yet, or dies in the middle of an answer.
            with contextlib.suppress(DaemonUnavailable, OSError, EOFError, ValueError):
                status = await on.daemon.ask("status")
                if pipeline_of(status, "deadly")["dead_letters"] >= dead_letters:
                    return False
    finally:
        ended.cancel()


async def _p99(on: Load, first: int) -> float:
    """Milliseconds from acceptance to end, from the ledger, of all runs after the first so many."""
    await on.daemon.until(lambda status: not status["totals"]["pending"])
    with contextlib.closing(sqlite3.connect(f"file:{on.ledger}?mode=ro", uri=True)) as db:
        rows = db.execute(
            "SELECT finished_at - created_at FROM runs WHERE pipeline = 'count' AND outcome = 'succeeded'"
            " ORDER BY seq LIMIT -1 OFFSET ?",
            (first,),
        ).fetchall()
    quantiles: list[float] = statistics.quantiles([micros / 1000 for (micros,) in rows], n=100)
    return quantiles[98]


def _files(folder: Path) -> set[str]:
    """What is in the project, and what a topic that is taken for a path would make outside of it."""
    outside = (folder / ".fp-events" / "../../../escaped", folder.parent / "escaped", Path("escaped"))
    return {str(path) for path in folder.rglob("*")} | {str(path) for path in outside if path.exists()}
