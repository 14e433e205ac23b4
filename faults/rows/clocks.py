"""Rows 20 to 22: the wall clock jumps, summer begins and ends, the daemon was down when its time came."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import struct
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from faults.load import Load, Setup, load
from faults.row import Found, Run, row
from faults.shim import shim
from faults.views import ends_of, pipeline_of
from tests.endtoend.harness import send

RATE = 100.0
HOUR = 3600
#: (zone, the last second of winter time, the first full hour that comes twice in autumn), UTC.
ZONES = (
    ("Europe/Berlin", datetime(2027, 3, 28, 1, tzinfo=UTC), datetime(2027, 10, 31, 0, tzinfo=UTC)),
    ("America/New_York", datetime(2027, 3, 14, 7, tzinfo=UTC), datetime(2027, 11, 7, 5, tzinfo=UTC)),
    ("Australia/Sydney", datetime(2027, 10, 2, 16, tzinfo=UTC), datetime(2027, 4, 3, 15, tzinfo=UTC)),
)
#: The hour of the wall clock that is left out in spring, and that comes twice in autumn.
SKIPPED = {"Europe/Berlin": 2, "America/New_York": 2, "Australia/Sydney": 2}
TWICE = {"Europe/Berlin": 2, "America/New_York": 1, "Australia/Sydney": 2}


class Clock:
    """The wall clock of a daemon; the machine's own stays as it is."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.environ = {"LD_PRELOAD": str(shim(folder)), "FAULTS_CLOCK": str(self._file)}
        self.ahead(0)

    def ahead(self, seconds: int) -> None:
        """Let it be so many seconds ahead."""
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("q", seconds))

    def at(self, moment: datetime) -> None:
        """Let it be that moment now."""
        self.ahead(round(moment.timestamp() - time.time()))


def _pipeline(name: str, schedule: str) -> dict[str, str]:
    return {
        f"conf/pipelines/{name}.yml": f"{schedule}\noutputs: [y]\n",
        f"pipelines/{name}.py": '"""Fires."""\n\n\ndef y() -> int:\n    """One."""\n    return 1\n',
    }


RETRIED = {
    "conf/pipelines/retried.yml": """\
triggers: [{topic: "retried/{line}", map: {x: payload}}]
outputs: [y]
run: {max_retries: 1, retry_delay: 2s, timeout: 20s}
""",
    "pipelines/retried.py": '''\
"""Fails at first, then takes a while."""

import time

_SEEN: set[int] = set()


def y(x: int) -> int:
    """The same, at the second attempt."""
    if x not in _SEEN:
        _SEEN.add(x)
        raise ConnectionError("not yet")
    time.sleep(1)
    return x
''',
}


@row("20", "the wall clock jumps an hour ahead and back", "waits and timeouts unaffected; double fires 0; lost 0")
async def clock_jumps(run: Run) -> Found:
    """During the wait for a retry and during a run; a schedule fires each second all the while."""
    times = run.times(10, 1)
    clock = Clock(run.folder)
    files = {**RETRIED, **_pipeline("ticks", "schedule: {interval: 1s}")}
    took: list[float] = []
    async with load(run.folder, Setup(files=files, environ=clock.environ)) as on:
        await on.daemon.start()
        await on.publish(rate=RATE)
        for number in range(times):
            for jump in (HOUR, 0):
                await send(on.broker.port, "retried/a", str(2 * number + bool(jump)))
                started = time.monotonic()
                await asyncio.sleep(1.0)
                clock.ahead(jump)
                wanted = len(took) + 1
                await on.daemon.until(lambda status, wanted=wanted: _succeeded(status, "retried") >= wanted)  # type: ignore[misc] # mypy knows no defaults of lambdas
                took.append(time.monotonic() - started)
        await asyncio.sleep(2.0)
        account = await on.settle()
        fires = _instants(on, "ticks")
    double = sum(count - 1 for count in fires.values())
    held = account.sound and not double and min(took) > 2.5 and max(took) < 10
    figure = f"retry and run took {min(took):.1f} to {max(took):.1f} s of 3 s; double fires {double} of {fires.total()}"
    return Found(figure=f"{figure}; {account}", held=held, n=2 * times)


@row(
    "21", "an hour is left out in spring, and comes twice in autumn; 3 zones", "no fire in the gap; one in the overlap"
)
async def summer_time(run: Run) -> Found:
    """A cron string for the full hour that is concerned; the daemon's clock is set to two seconds before it.

    What would be in the gap comes at its end; of two times with the same name, the first one counts.
    """
    found = []
    for number, (zone, spring, autumn) in enumerate(ZONES[: 1 if run.short else None]):
        gap = await _fires(run, f"{number}-gap", zone, SKIPPED[zone], [spring])
        overlap = await _fires(run, f"{number}-overlap", zone, TWICE[zone], [autumn, _shifted(autumn, HOUR)])
        found.append((zone, gap, overlap))
    figure = ", ".join(f"{zone}: {gap} for the gap, {overlap} for the overlap" for zone, gap, overlap in found)
    return Found(figure=figure, held=all((gap, overlap) == (1, 1) for _, gap, overlap in found), n=2 * len(found))


@row("22", "the daemon was down for 10 intervals", "coalesce latest: 1 run, all: 10")
async def down(run: Run) -> Found:
    """Ten minutes of its clock, killed; schedules of a minute."""
    clock = Clock(run.folder)
    latest = "schedule: {interval: 1m, coalesce: latest}"
    files = {**_pipeline("latest", latest), **_pipeline("every", latest.replace("latest", "all"))}
    async with load(run.folder, Setup(files=files, environ=clock.environ)) as on:
        await on.daemon.start()
        await on.daemon.kill()
        clock.ahead(10 * 60 + 5)
        await on.daemon.start()
        await on.daemon.until(lambda status: _succeeded(status, "every") >= 10)
        await asyncio.sleep(1.0)
        status = await on.daemon.ask("status")
        await on.daemon.stop()
    found = {name: _succeeded(status, name) for name in ("latest", "every")}
    return Found(figure=f"latest: {found['latest']}, all: {found['every']}", held=found == {"latest": 1, "every": 10})


async def _fires(run: Run, name: str, zone: str, hour: int, moments: list[datetime]) -> int:
    """How often `0 <hour> * * *` fires when each of these moments is passed."""
    folder = run.folder / name
    folder.mkdir()
    clock = Clock(folder)
    # Long before: the daemon has its time to start.
    clock.at(_shifted(moments[0], -60))
    schedule = f'schedule: {{cron: "0 {hour} * * *", timezone: {zone}}}'
    async with load(folder, Setup(files=_pipeline("hourly", schedule), environ=clock.environ)) as on:
        await on.daemon.start()
        for moment in moments:
            clock.at(_shifted(moment, -2))
            await asyncio.sleep(3.5)
        status = await on.daemon.ask("status")
        await on.daemon.stop()
    return _succeeded(status, "hourly")


def _shifted(moment: datetime, seconds: int) -> datetime:
    return moment + timedelta(seconds=seconds)


def _succeeded(status: dict[str, object], name: str) -> int:
    return ends_of(pipeline_of(status, name)).get("succeeded", 0)


def _instants(on: Load, name: str) -> Counter[str]:
    """Runs of a schedule by the instant that they were for."""
    with contextlib.closing(sqlite3.connect(f"file:{on.ledger}?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT request FROM runs WHERE pipeline = ? AND cause = 'schedule'", (name,)).fetchall()
    return Counter(str(request) for (request,) in rows)
