"""One passage of messages: load in, results out, and what the system paid for it."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from array import array
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .processes import cpu, memory, running


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is published."""

    count: int
    #: Messages per second; None: as fast as the broker takes them.
    rate: float | None = None
    topic: str = "in/a"
    #: `{}` in the topic counts from 0 to this.
    topics: int = 1
    #: Bytes added to each payload.
    pad: int = 0
    #: Seconds after which the load ends, finished or not.
    seconds: float = 300.0

    def command(self, port: int, out: Path) -> list[str]:
        """The generator's command line."""
        command = [sys.executable, "-m", "benchmarks.generator", "--port", str(port), "--out", str(out)]
        for name, value in (
            ("count", self.count),
            ("topic", self.topic),
            ("topics", self.topics),
            ("pad", self.pad),
            ("seconds", self.seconds),
            ("rate", self.rate),
        ):
            command += [f"--{name}", str(value)] if value is not None else []
        return command


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """What came of a load."""

    sent: int
    distinct: int
    duplicates: int
    #: Seconds from the first message published to the last result.
    seconds: float
    #: Microseconds of the system's CPU per result, user and system.
    cpu_us: float
    #: Peak of the system's RSS so far, in MiB.
    peak: float
    #: CPU of our own two processes, likewise.
    generator_us: float
    sink_us: float
    #: Milliseconds from publishing to the result, sorted.
    delays: Sequence[float]

    @property
    def whole(self) -> bool:
        """Whether every message had its result."""
        return self.distinct == self.sent

    @property
    def per_second(self) -> float:
        """Distinct results per second."""
        return self.distinct / self.seconds if self.seconds > 0 else 0.0

    def percentile(self, percent: float) -> float:
        """Of the delays, in ms."""
        if not self.delays:
            return float("nan")
        return self.delays[min(len(self.delays) - 1, int(len(self.delays) * percent / 100))]


def drive(
    port: int,
    load: Load,
    folder: Path,
    *,
    pid: int | None = None,
    results: str = "out/#",
    file: Path | None = None,
    quiet: float = 10.0,
) -> Passed:
    """Send a load through the system `pid` and collect its results, from the broker or from a file of pairs."""
    sent_file, arrived_file = folder / "sent", folder / "arrived"
    sink = [sys.executable, "-m", "benchmarks.sink", "--port", str(port), "--count", str(load.count)]
    sink += ["--topic", results, "--quiet", str(quiet), "--out", str(arrived_file)]
    sink += ["--file", str(file)] if file is not None else []
    sink += ["--nap", "0.0005"] if load.rate is None else []
    with ExitStack() as stack:
        receiver = stack.enter_context(running(sink, stdout=subprocess.PIPE, log=folder / "sink.log"))
        assert receiver.stdout is not None
        if receiver.stdout.readline() != "ready\n":
            raise RuntimeError(f"the sink did not start: {(folder / 'sink.log').read_text()[-500:]}")
        before = cpu(pid) if pid else 0.0
        sender = stack.enter_context(
            running(load.command(port, sent_file), stdout=subprocess.PIPE, log=folder / "generator.log")
        )
        published = _answer(sender, load.seconds + 60)
        received = _answer(receiver, load.seconds + quiet + 600)
        spent, peak = (cpu(pid) - before, memory(pid)) if pid else (math.nan, math.nan)
    sent, pairs = _doubles(sent_file), _doubles(arrived_file)
    delays = sorted((at - sent[int(i)]) * 1000 for i, at in zip(pairs[::2], pairs[1::2], strict=True))
    return Passed(
        sent=published["sent"],
        distinct=received["distinct"],
        duplicates=received["results"] - received["distinct"],
        seconds=(received["last"] or published["ended"]) - published["started"],
        cpu_us=spent / max(received["distinct"], 1) * 1e6,
        peak=peak,
        generator_us=published["cpu_us"],
        sink_us=received["cpu_us"],
        delays=delays,
    )


def publish(port: int, load: Load, folder: Path) -> dict[str, Any]:
    """Send a load and wait for the broker's confirmations only; what the generator says of it."""
    command = load.command(port, folder / "sent")
    with running(command, stdout=subprocess.PIPE, log=folder / "generator.log") as sender:
        return _answer(sender, load.seconds + 60)


def _answer(process: subprocess.Popen[str], seconds: float) -> dict[str, Any]:
    try:
        printed, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{process.args!r} did not end within {seconds:g} s") from error
    if process.returncode:
        raise RuntimeError(f"{process.args!r} ended with exit code {process.returncode}")
    answer: dict[str, Any] = json.loads(printed)
    return answer


def _doubles(file: Path) -> array[float]:
    found = array("d")
    found.frombytes(file.read_bytes())
    return found
