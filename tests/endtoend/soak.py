"""A daemon under a steady load for as long as one likes: does anything grow?

    python -m tests.endtoend.soak --rate 100 --seconds 600 --idle 60

First come `--warm` messages as fast as they go: memory that fills once, the ledger's page cache and its
window of 65,535 packet ids, is full before growth is measured. Prints a sample every five seconds, a
verdict, and a line of JSON. Ends with 1 where the verdict is bad. Linux only: figures come from ``/proc``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.brokers import mosquitto

from .gauges import Sample, cpu_seconds, sample, slope
from .harness import PATIENCE, ROOT, Daemon, Listener, publish, serving, write_project

DEVICES = 4
#: Bursts of the publishers in a second.
BURSTS = 2
#: Seconds between samples.
EVERY = 5.0
#: Growth of resident memory that passes for noise.
KIB_PER_MINUTE = 300.0
#: The part of the samples, from the end, over which growth is measured.
STEADY = 0.75
#: Growth over that part that passes: files come and go with commands, a pool's threads start as they are needed.
GROWTH = {"fds": 2, "threads": 6, "tasks": 2}
#: Seconds that the messages of the warm-up may take.
WARMING = 300

CALM = ("autosave_on_changes false", "autosave_interval 1800")
FILES = {
    "conf/project.yml": 'name: soak\nmqtt: {{url: "mqtt://127.0.0.1:{port}"}}\n',
    "conf/pipelines/smooth.yml": """\
triggers:
  - {topic: "load/{device}", map: {value: payload.v, sent_at: payload.at}, key: "{device}"}
state: {level: previous_level}
outputs: [{node: smoothed, topic: "done/{device}"}]
""",
    "pipelines/smooth.py": '''\
"""Exponential smoothing."""


def level(value: float, previous_level: float | None) -> float:
    """By device."""
    return value if previous_level is None else 0.9 * previous_level + 0.1 * value


def smoothed(level: float, sent_at: float) -> dict:
    """With the time of its reading."""
    return {"level": level, "at": sent_at}
''',
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """What a soak found."""

    rate: int
    seconds: float
    #: Messages before, and what one second of them was.
    warm: int
    warm_per_second: float
    sent: int
    results: int
    #: Per cent of one processor.
    idle_cpu: float
    load_cpu: float
    idle_rss_kib: int
    #: From the publisher's clock to the result's arrival, milliseconds.
    latency_p50: float
    latency_p99: float
    #: By linear regression over the samples after the warm-up, per minute.
    rss_kib_per_minute: float
    fds_per_minute: float
    threads_per_minute: float
    tasks_per_minute: float | None
    samples: tuple[Sample, ...]

    @property
    def problems(self) -> list[str]:
        """What is wrong; empty if nothing is."""
        found = []
        if self.results != self.sent:
            found.append(f"{self.sent} messages were sent and {self.results} results came")
        for name, most in GROWTH.items():
            growth = (getattr(self, f"{name}_per_minute") or 0.0) * STEADY * self.seconds / 60
            if growth > most:
                found.append(f"{name} grow by {growth:.1f}")
        if self.seconds >= 120 and self.rss_kib_per_minute > KIB_PER_MINUTE:
            found.append(f"memory grows by {self.rss_kib_per_minute:.0f} KiB a minute")
        return found


async def soak(
    *, rate: int, seconds: float, idle: float, warm: int = 0, every: float = EVERY, show: bool = False
) -> Report:
    """Idle for `idle` seconds, `warm` messages at once, then `rate` messages a second for `seconds`."""
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        async with (
            mosquitto(CALM) as broker,
            Listener(broker.port, "done/#") as results,
            serving(_project(Path(folder), broker.port)) as daemon,
        ):
            idle_cpu = await _idle(daemon, idle)
            idle_rss = (await sample(daemon, 0.0)).rss_kib
            pace = await _warm(broker.port, warm, results)
            busy, started = cpu_seconds(daemon.pid), time.monotonic()
            loading = asyncio.create_task(asyncio.to_thread(_publish, broker.port, rate, seconds))
            samples = await _watch(daemon, seconds, every, show=show)
            sent = await loading
            load_cpu = 100 * (cpu_seconds(daemon.pid) - busy) / (time.monotonic() - started)
            with contextlib.suppress(TimeoutError):
                await results.all_of(warm + sent)
            assert await daemon.stop() == 0
    steady = samples[-round(STEADY * len(samples)) :]
    came = results.messages[warm:]
    cuts = statistics.quantiles([1000 * (message.at - message.json["at"]) for message in came], n=100)
    return Report(
        rate=rate,
        seconds=seconds,
        warm=warm,
        warm_per_second=round(pace, 1),
        sent=sent,
        results=len(came),
        idle_cpu=round(idle_cpu, 2),
        load_cpu=round(load_cpu, 2),
        idle_rss_kib=idle_rss,
        latency_p50=round(cuts[49], 2),
        latency_p99=round(cuts[98], 2),
        rss_kib_per_minute=round(slope(steady, "rss_kib"), 2),
        fds_per_minute=round(slope(steady, "fds"), 3),
        threads_per_minute=round(slope(steady, "threads"), 3),
        tasks_per_minute=None if steady[0].tasks is None else round(slope(steady, "tasks"), 3),
        samples=tuple(samples),
    )


def _project(folder: Path, port: int) -> Path:
    files = dict(FILES)
    files["conf/project.yml"] = files["conf/project.yml"].format(port=port)
    return write_project(folder, files)


async def _idle(daemon: Daemon, seconds: float) -> float:
    """Per cent of one processor that a daemon without messages takes."""
    before, started = cpu_seconds(daemon.pid), time.monotonic()
    await asyncio.sleep(seconds)
    return 100 * (cpu_seconds(daemon.pid) - before) / (time.monotonic() - started)


async def _warm(port: int, count: int, results: Listener) -> float:
    """So many messages as fast as they go; results a second."""
    started = time.monotonic()
    line = json.dumps({"v": 1.0, "at": time.time()})
    shares = [len(range(number, count, DEVICES)) for number in range(DEVICES)]
    async with asyncio.timeout(WARMING):
        await asyncio.gather(
            *(publish(port, f"load/device-{number}", [line] * share) for number, share in enumerate(shares) if share)
        )
        while len(results.messages) < count:
            await asyncio.sleep(0.1)
    return count / (time.monotonic() - started)


async def _watch(daemon: Daemon, seconds: float, every: float, *, show: bool) -> list[Sample]:
    found: list[Sample] = []
    started = time.monotonic()
    for number in range(1, round(seconds / every) + 1):
        await asyncio.sleep(max(0.0, started + number * every - time.monotonic()))
        found.append(await sample(daemon, time.monotonic() - started))
        if show:
            print(found[-1].row if len(found) > 1 else f"{Sample.HEAD}\n{found[-1].row}", flush=True)
    return found


def _publish(port: int, rate: int, seconds: float) -> int:
    """A client by device, fed in bursts; how many messages."""
    program = [sys.executable, "-m", "tests.lines", "--port", str(port), "--protocol", "3.1.1"]
    processes = [
        subprocess.Popen([*program, "--topic", f"load/device-{number}"], stdin=subprocess.PIPE, text=True, cwd=ROOT)
        for number in range(DEVICES)
    ]
    sent = 0
    started = time.monotonic()
    for burst in range(1, round(seconds * BURSTS) + 1):
        time.sleep(max(0.0, started + burst / BURSTS - time.monotonic()))
        while sent < rate * burst / BURSTS:
            stdin = processes[sent % DEVICES].stdin
            assert stdin is not None
            stdin.write(json.dumps({"v": sent % 97, "at": time.time()}) + "\n")
            sent += 1
        for process in processes:
            assert process.stdin is not None
            process.stdin.flush()
    for process in processes:
        process.communicate(timeout=PATIENCE)
    return sent


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=100, help="messages a second")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--idle", type=float, default=60.0, help="seconds without messages before")
    parser.add_argument("--warm", type=int, default=100_000, help="messages before, as fast as they go")
    given = parser.parse_args()
    report = asyncio.run(soak(rate=given.rate, seconds=given.seconds, idle=given.idle, warm=given.warm, show=True))
    for problem in report.problems:
        print(f"BAD: {problem}")
    if not report.problems:
        print("GOOD: all results came, and nothing grows")
    facts = {name: value for name, value in dataclasses.asdict(report).items() if name != "samples"}
    print(json.dumps({**facts, "last": dataclasses.asdict(report.samples[-1]), "problems": report.problems}))
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
