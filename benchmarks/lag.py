"""`python -m benchmarks.lag`: how late the daemon's event loop is during a burst.

A request that is refused at once (a command that there is not) goes over the daemon's socket 20 times a second. The
time to its reply is an upper bound for the loop's lateness: it holds two passes of the loop and our own scheduling too.
"""

from __future__ import annotations

import argparse
import threading
import time
from dataclasses import dataclass, field

from . import projects
from .broker import broker
from .measure import PACE, WARM_UP, scratch
from .passage import Load, drive
from .processes import end_on_signals, running

#: Requests per second.
_RATE = 20.0


@dataclass(slots=True)
class Prober:
    """Asks in a thread, which sleeps nearly all the time, and notes how long replies take."""

    control: projects.Control
    #: Seconds.
    taken: list[float] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Prober:
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join(60.0)

    def _ask(self) -> None:
        while not self._over.wait(1 / _RATE):
            started = time.monotonic()
            self.control.ask("benchmark")
            self.taken.append(time.monotonic() - started)

    def percentile(self, percent: float) -> float:
        """In milliseconds."""
        if not self.taken:
            return float("nan")
        return sorted(self.taken)[min(len(self.taken) - 1, int(len(self.taken) * percent / 100))] * 1000


def main() -> None:
    """Measure and print."""
    end_on_signals()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lag", description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000, help="of the burst")
    parser.add_argument("--executor", choices=("local", "threadpool", "processpool"), help="else the default")
    given = parser.parse_args()
    with scratch() as folder, broker(folder) as place:
        projects.write(folder, place.port, projects.Settings(executor=given.executor))
        with running(projects.serve(folder), cwd=folder, log=folder / "system.log") as process:
            control = projects.Control(folder, process)
            control.wait_subscribed()
            drive(place.port, Load(count=WARM_UP, rate=PACE), folder)
            with Prober(control) as idle:
                time.sleep(2.0)
            with Prober(control) as busy:
                passed = drive(place.port, Load(count=given.messages), folder, pid=process.pid)
            own = control.status().get("loop", {}).get("lag_ms")
            control.close()
    print(f"{passed.distinct:,} results of {passed.sent:,} messages, {passed.per_second:,.0f}/s")
    for name, prober in (("idle", idle), ("in the burst", busy)):
        figures = ", ".join(f"p{percent} {prober.percentile(percent):.2f} ms" for percent in (50, 99, 100))
        print(f"{name:<13} {figures} ({len(prober.taken)} requests): upper bounds")
    print(f"daemon's own  {own or 'this version has no such figure'}: what `status` says afterwards")


if __name__ == "__main__":
    main()
