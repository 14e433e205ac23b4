"""`python -m benchmarks.backpressure`: far more messages than a slow pipeline can run, for a minute.

Afterwards every message that the broker confirmed has to be in the ledger or still with the broker; the daemon's
memory has to be bounded, and its connection the first one.
"""

from __future__ import annotations

import argparse
import signal
import sqlite3
import subprocess
import sys
from array import array
from pathlib import Path

from . import projects, wire
from .broker import broker
from .lag import Prober
from .measure import scratch
from .passage import Load, publish
from .processes import cpu, end_on_signals, memory, running

#: Five nodes, of which one waits; a thread waits with it.
_SLOW = (
    "import time\n\n\n{plan}\n\ndef waited(reading: float) -> float:\n    time.sleep({seconds})\n    return reading\n"
)
#: Seconds for the daemon to end.
_DRAIN = 90.0


def slow_module(seconds: float) -> str:
    """The five nodes, the first of which takes what the waiting one returns."""
    plan = (projects.PEERS / "plan.py").read_text()
    plan = plan.replace("def celsius(reading: float)", "def celsius(waited: float)").replace(
        "(reading - 32.0)", "(waited - 32.0)"
    )
    return _SLOW.format(plan=plan, seconds=seconds)


def in_ledger(file: Path) -> set[int]:
    """Indices of the messages that the ledger holds."""
    db = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        payloads = db.execute("SELECT payload FROM messages")
        return {int(wire.INDEX.findall(payload)[0]) - wire.BASE for (payload,) in payloads}
    finally:
        db.close()


def at_broker(port: int, folder: Path) -> set[int]:
    """Indices of the messages that the broker still has for the daemon: its session is taken up in its place."""
    out = folder / "backlog"
    command = [sys.executable, "-m", "benchmarks.sink", "--port", str(port), "--client-id", "bench", "--resume"]
    command += ["--count", str(10**9), "--quiet", "5", "--nap", "0.0005", "--out", str(out)]
    with running(command, stdout=subprocess.PIPE, log=folder / "sink.log") as process:
        process.communicate(timeout=600)
    pairs = array("d")
    pairs.frombytes(out.read_bytes())
    return {int(index) for index in pairs[::2]}


def main() -> None:
    """Load, stop, count."""
    end_on_signals()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backpressure", description=__doc__)
    parser.add_argument("--rate", type=float, default=20_000.0, help="messages per second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--run", type=float, default=0.05, help="seconds that one run takes")
    parser.add_argument("--kill", action="store_true", help="end the daemon by SIGKILL instead of a drain")
    given = parser.parse_args()
    settings = projects.Settings(module=slow_module(given.run), retention="{max_bytes: 1000GiB}")
    load = Load(count=int(given.rate * given.seconds), rate=given.rate, seconds=given.seconds)
    with scratch() as folder, broker(folder) as place:
        projects.write(folder, place.port, settings)
        with running(projects.serve(folder), cwd=folder, log=folder / "system.log") as process:
            control = projects.Control(folder, process)
            control.wait_subscribed()
            before = memory(process.pid, "VmRSS")
            with Prober(control) as prober:
                published = publish(place.port, load, folder)
            status, peak, spent = control.status(), memory(process.pid), cpu(process.pid)
            control.close()
            process.send_signal(signal.SIGKILL if given.kill else signal.SIGTERM)
            process.wait(_DRAIN)
        kept, left = in_ledger(folder / ".fp-events/ledger.db"), at_broker(place.port, folder)
    # The broker confirms in the order in which it was sent to.
    lost = len(set(range(published["acknowledged"])) - kept - left)
    print(f"published    {published['acknowledged']:,} in {published['ended'] - published['started']:.1f} s")
    print(f"received     {status['totals']['received']:,}, of which {status['totals']['finished']:,} had run")
    print(f"in ledger    {len(kept):,}")
    print(f"at broker    {len(left):,}, of which {len(left & kept):,} are in the ledger too")
    print(f"lost         {lost:,}")
    print(f"connections  {status['broker']['connections']} (1: never lost)")
    print(f"RSS          {peak:.0f} MiB at the most, {before:.0f} MiB before; {spent:.0f} s of CPU")
    print(f"loop         p99 {prober.percentile(99):.1f} ms late, at the most {prober.percentile(100):.1f} ms")
    sys.exit(1 if lost or status["broker"]["connections"] != 1 else 0)


if __name__ == "__main__":
    main()
