"""Runs by the clock of a real daemon: on time, over kills and restarts, a thousand at once."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.brokers import Mosquitto, mosquitto

from .harness import PATIENCE, Daemon, Listener, cli, serving, write_project

#: Seconds by which a loaded machine may be late.
LATE = 5.0
CODE = '''\
"""Says when it was to run."""

from datetime import datetime


def report(scheduled_at: datetime, n: int = 0) -> dict:
    """The instant of the run."""
    return {"at": scheduled_at.isoformat(), "n": n}
'''


def project(folder: Path, broker: Mosquitto, *schedules: dict[str, Any]) -> Path:
    """A pipeline `report` with these schedules."""
    files = {
        "conf/project.yml": f'name: shop\nmqtt: {{url: "mqtt://127.0.0.1:{broker.port}"}}\n',
        "conf/pipelines/report.yml": json.dumps({"outputs": ["report"], "schedules": schedules}),
        "pipelines/report.py": CODE,
    }
    return write_project(folder, files)


async def runs_of(daemon: Daemon, count: int) -> list[dict[str, Any]]:
    """All runs, once there are so many and they have ended."""
    rows: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(PATIENCE):
            while len(rows) < count or any(row["state"] != "finished" for row in rows):
                await asyncio.sleep(0.1)
                rows = []
                page: dict[str, Any] = {"next": None}
                while not rows or page["next"] is not None:
                    page = await daemon.ask("runs.list", limit=1000, before=page["next"])
                    rows += page["runs"]
                    if not rows:
                        break
    except TimeoutError:
        raise AssertionError((rows[:3], await daemon.ask("schedules.list"), await daemon.ask("status"))) from None
    return rows


def lateness(runs: list[dict[str, Any]]) -> list[float]:
    """Seconds from the instants to the starts, sorted."""
    moment = datetime.fromisoformat
    return sorted((moment(run["started_at"]) - moment(run["scheduled_at"])).total_seconds() for run in runs)


async def test_every_second_over_five_kills(tmp_path: Path) -> None:
    """Killed at random times and started again, each second has one run from the first to the last."""
    rng = Random(11)
    async with mosquitto() as broker, Listener(broker.port, "fp/shop/results/#") as listener:
        folder = project(tmp_path, broker, {"id": "tick", "interval": 1, "coalesce": "all"})
        daemon = Daemon(folder)
        for _ in range(5):
            await daemon.start()
            await daemon.until(lambda status: status["schedules"]["fired"] > 0)
            await asyncio.sleep(rng.random())
            await daemon.kill()
        async with serving(folder) as last:
            await last.until(lambda status: status["schedules"]["fired"] > 0)
            assert await last.ask("schedules.pause", schedule_ids=["tick"]) == {"paused": ["tick"]}
            runs = await runs_of(last, 6)
            assert await last.stop() == 0

    instants = sorted(datetime.fromisoformat(run["scheduled_at"]) for run in runs)
    assert instants == [instants[0] + timedelta(seconds=n) for n in range(len(instants))]
    assert {run["outcome"] for run in runs} == {"succeeded"}
    # A result may be published again after a kill, with the same event id; none is missing.
    assert {message.json["at"] for message in listener.on("fp/shop/results/report/report")} == {
        run["scheduled_at"] for run in runs
    }


async def test_a_thousand_in_the_same_second(tmp_path: Path) -> None:
    """Each of 1,000 schedules fires once, and the last run starts soon after the first."""
    async with mosquitto() as broker:
        # Far enough away that the daemon has started.
        due = (datetime.now(UTC) + timedelta(seconds=12)).replace(microsecond=0)
        cron = f"{due.second} {due.minute} {due.hour} * * *"
        folder = project(tmp_path, broker, *({"id": f"s{n}", "cron": cron, "inputs": {"n": n}} for n in range(1000)))
        async with serving(folder) as daemon:
            await daemon.until(lambda status: status["schedules"]["fired"] >= 1000, every=0.2)
            runs = await runs_of(daemon, 1000)

    assert {f"s{n}" for n in range(1000)} == {run["schedule"] for run in runs}
    assert ({due.isoformat()}, 1000) == ({run["scheduled_at"] for run in runs}, len(runs))
    late = lateness(runs)
    print(f"lateness of 1,000 in the same second: p50 {late[500]:.3f} s, p99 {late[990]:.3f} s, max {late[-1]:.3f} s")
    assert late[0] >= 0
    assert late[990] < LATE


@pytest.mark.parametrize("way", ["stop", "kill"])
async def test_a_date_that_passes_while_the_daemon_is_down(tmp_path: Path, way: str) -> None:
    """It is made up for at the next start, once, and then it is over."""
    async with mosquitto() as broker:
        folder = project(tmp_path, broker)
        async with serving(folder) as daemon:
            at = datetime.now(UTC) + timedelta(seconds=2)
            await daemon.ask("schedules.add", pipeline="report", schedule_id="once", date=at.isoformat())
            await (daemon.stop() if way == "stop" else daemon.kill())
        await asyncio.sleep(max(0.0, (at - datetime.now(UTC)).total_seconds()))
        for _ in range(2):
            async with serving(folder) as daemon:
                (run,) = await runs_of(daemon, 1)
                listed = await cli(folder, "schedules", "list", "--json")
                assert await daemon.stop() == 0

    assert (run["schedule"], run["scheduled_at"], run["outcome"]) == ("once", at.isoformat(), "succeeded")
    assert [(row["schedule_id"], row["state"], row["next_fire_at"]) for row in listed.json] == [("once", "ended", None)]


async def test_ten_missed_seconds_are_made_up_for_or_not(tmp_path: Path) -> None:
    """After some seconds down, `latest` makes one run of the missed instants, `all` makes all of them."""
    async with mosquitto() as broker:
        folder = project(
            tmp_path,
            broker,
            {"id": "latest", "interval": 1, "inputs": {"n": 1}},
            {"id": "all", "interval": 1, "inputs": {"n": 2}, "coalesce": "all"},
        )
        async with serving(folder) as daemon:
            await daemon.until(lambda status: status["schedules"]["fired"] > 0)
            await daemon.kill()
        await asyncio.sleep(5)
        async with serving(folder) as daemon:
            await daemon.until(lambda status: status["schedules"]["fired"] > 0)
            await daemon.ask("schedules.pause", all=True)
            runs = await runs_of(daemon, 6)

    found = {name: sorted(run["scheduled_at"] for run in runs if run["schedule"] == name) for name in ("latest", "all")}
    steps = {
        name: {
            (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
            for earlier, later in pairwise(instants)
        }
        for name, instants in found.items()
    }
    assert steps["all"] == {1.0}
    assert max(steps["latest"]) >= 5
    assert len(found["latest"]) < len(found["all"]) - 3
