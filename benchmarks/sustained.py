"""`python -m benchmarks.sustained --minutes 10`: the highest rate that lasts, with retention full and pruning at work.

The ledger is kept small, so that it is full within the first minute and every new run pushes an old one out. The rate
begins at a share of what a burst gets and falls until results keep up; then it is held for the given time.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import projects
from .broker import broker
from .lag import Prober
from .measure import PACE, WARM_UP, scratch
from .passage import Load, Passed, drive
from .processes import end_on_signals, running

#: Share of a burst's rate to begin with, and what is left of a rate that was too high.
_FIRST, _LESS = 0.9, 0.85
#: Seconds of a trial, and milliseconds of p99 beyond which its results do not keep up.
_TRIAL, _TOO_LATE = 20.0, 1000.0
#: Size at which the oldest finished runs go.
_FULL = "64MiB"
_FILE = ".fp-events/ledger.db"


@contextmanager
def sizes(folder: Path) -> Iterator[list[float]]:
    """MiB of the ledger's file with its log, once a second."""
    found: list[float] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(1.0):
            files = [folder / f"{_FILE}{end}" for end in ("", "-wal")]
            found.append(sum(file.stat().st_size for file in files if file.exists()) / 1024**2)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def paced(port: int, folder: Path, pid: int, rate: float, seconds: float) -> Passed:
    """A steady load."""
    load = Load(count=int(rate * seconds), rate=rate, seconds=seconds * 2 + 60)
    return drive(port, load, folder, pid=pid, quiet=20.0)


def search(port: int, folder: Path, pid: int) -> float:
    """The first rate whose results keep up, in messages per second. Raises RuntimeError if there is none."""
    burst = drive(port, Load(count=50_000), folder, pid=pid)
    print(f"a burst of {burst.sent:,}: {burst.per_second:,.0f}/s", flush=True)
    rate = burst.per_second * _FIRST
    while rate > 100:
        trial = paced(port, folder, pid, rate, _TRIAL)
        keeps_up = trial.whole and trial.percentile(99) < _TOO_LATE
        print(f"{rate:,.0f}/s for {_TRIAL:g} s: p99 {trial.percentile(99):,.1f} ms", flush=True)
        if keeps_up:
            return rate
        rate *= _LESS
    raise RuntimeError("no rate above 100/s lasts")


def hold(port: int, folder: Path, pid: int, rate: float, seconds: float) -> dict[str, float]:
    """The rate for the whole time, and what it was like."""
    started = time.monotonic()
    with sizes(folder) as found:
        passed = paced(port, folder, pid, rate, seconds)
    late = found[len(found) // 2 :] or [float("nan")]
    return {
        "rate": rate,
        "sent": passed.sent,
        "missing": passed.sent - passed.distinct,
        "duplicates": passed.duplicates,
        "p50_ms": passed.percentile(50),
        "p99_ms": passed.percentile(99),
        "max_ms": passed.percentile(100),
        "cpu_us": passed.cpu_us,
        "rss_mib": passed.peak,
        "ledger_mib_max": max(found, default=float("nan")),
        "ledger_mib_second_half_first": late[0],
        "ledger_mib_last": late[-1],
        "seconds": time.monotonic() - started,
    }


def main() -> None:
    """Search, hold, print, write."""
    end_on_signals()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sustained", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, help="hold this rate instead of searching one")
    parser.add_argument("--max-bytes", default=_FULL, help="size of a full ledger")
    parser.add_argument("--json", type=Path, default=Path("build/sustained.json"))
    given = parser.parse_args()
    settings = projects.Settings(retention=f"{{max_bytes: {given.max_bytes}}}")
    with scratch() as folder, broker(folder) as place:
        projects.write(folder, place.port, settings)
        with running(projects.serve(folder), cwd=folder, log=folder / "system.log") as process:
            control = projects.Control(folder, process)
            control.wait_subscribed()
            drive(place.port, Load(count=WARM_UP, rate=PACE), folder)
            rate = given.rate or search(place.port, folder, process.pid)
            with Prober(control) as prober:
                found = hold(place.port, folder, process.pid, rate, given.minutes * 60)
            found["loop_p99_ms"] = prober.percentile(99)
            found["connections"] = control.status()["broker"]["connections"]
            control.close()
    for name, value in found.items():
        print(f"{name:<30}{value:>14,.1f}")
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(found, indent=2) + "\n")
    print(f"written to {given.json}")


if __name__ == "__main__":
    main()
