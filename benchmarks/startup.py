"""`python -m benchmarks.startup`: seconds to the first subscription and to the help, memory of a long queue."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Mapping

from . import projects
from .broker import broker
from .measure import scratch
from .passage import Load, publish
from .processes import end_on_signals, memory, running

TIMES = 5
#: Messages of the queue, and bytes of one.
QUEUED, BYTES = 100_000, 200


def serve_seconds(times: int = TIMES) -> float:
    """From starting `serve` on a new project to its subscription, as the broker sees it: a median."""
    taken = []
    for _ in range(times):
        with scratch() as folder, broker(folder) as place:
            projects.write(folder, place.port, projects.Settings())
            started = time.monotonic()
            with running(projects.serve(folder), cwd=folder, log=folder / "system.log") as process:
                place.wait_subscribed("in/", process)
                taken.append(time.monotonic() - started)
    return statistics.median(taken)


def help_seconds(times: int = TIMES) -> float:
    """Of `fp-events --help`: a median."""
    taken = []
    for _ in range(times):
        started = time.monotonic()
        subprocess.run([projects.PROGRAM, "--help"], capture_output=True, check=True, timeout=60)
        taken.append(time.monotonic() - started)
    return statistics.median(taken)


def queue_mib() -> Mapping[str, float]:
    """RSS of a daemon whose paused pipeline has accepted a long queue, and of one that has not."""
    with scratch() as folder, broker(folder) as place:
        projects.write(folder, place.port, projects.Settings())
        with running(projects.serve(folder), cwd=folder, log=folder / "system.log") as process:
            control = projects.Control(folder, process, seconds=120.0)
            control.wait_subscribed()
            control.ask("pause", pipeline="bench")
            empty = memory(process.pid, "VmRSS")
            # 35 bytes of JSON are there without padding.
            publish(place.port, Load(count=QUEUED, pad=BYTES - 35), folder)
            control.wait_received(QUEUED)
            found = {"empty": empty, "now": memory(process.pid, "VmRSS"), "peak": memory(process.pid)}
            control.close()
            return found


def main() -> None:
    """Measure and print."""
    end_on_signals()
    print(f"serve to subscribed  {serve_seconds():.2f} s, median of {TIMES}")
    print(f"--help               {help_seconds():.2f} s, median of {TIMES}")
    sys.stdout.flush()
    found = queue_mib()
    print(f"RSS                  {found['now']:.0f} MiB with {QUEUED:,} messages of {BYTES} B waiting")
    print(f"                     {found['peak']:.0f} MiB at the most, {found['empty']:.0f} MiB before")


if __name__ == "__main__":
    main()
