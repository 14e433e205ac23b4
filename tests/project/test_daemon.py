"""Runs and schedules of a daemon, from Python."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fp_events import Project, RunFailed
from fp_events.domain.errors import CommandRefused, DaemonUnavailable, RunNotFound, UsageError
from tests.brokers import mosquitto
from tests.endtoend.harness import Daemon, Sink, publish, serving, write_project

from .test_filesystems import zipped

FILES = {
    "conf/project.yml": "name: plant\n",
    "conf/pipelines/tank.yml": "triggers: [{topic: tank/mm, map: {mm: payload}}]\n"
    "outputs: [{node: level, topic: tank/level}]\n",
    "pipelines/tank.py": "import asyncio\n\n\nasync def level(mm: float, wait: float = 0.0) -> float:\n"
    "    await asyncio.sleep(wait)\n    return 100 / mm\n",
}


@asynccontextmanager
async def daemon(folder: Path) -> AsyncIterator[tuple[Project, Daemon, int]]:
    """A project that is served, as an object."""
    async with mosquitto() as broker:
        environ = {"FP_EVENTS_MQTT__URL": f"mqtt://127.0.0.1:{broker.port}"}
        async with serving(write_project(folder, FILES), environ) as served:
            async with Project.load(folder) as project:
                yield project, served, broker.port
            assert 0 == await served.stop()


async def test_a_run_that_was_submitted(tmp_path: Path) -> None:
    """It is published, its values and its state can be had; failures are errors; the same id is the same run."""
    async with daemon(tmp_path) as (project, _, port), Sink(port, "tank/level") as sink:
        run = await asyncio.to_thread(project.submit, "tank", inputs={"mm": 50.0}, run_id="first")
        assert {"level": 2.0} == await asyncio.to_thread(run.result, 20)
        again = project.submit("tank", inputs={"mm": 50.0}, run_id="first")
        failing = project.submit("tank", inputs={"mm": 0.0})
        with pytest.raises(RunFailed, match="the run failed: ZeroDivisionError"):
            await asyncio.to_thread(failing.result, 20)
        await sink.until(lambda messages: len(messages) == 1, 10)

        assert ("first", "first", "succeeded") == (run.id, again.id, again.status()["outcome"])
        assert b"2.0" == sink.messages[0][1]
        assert [failing.id, "first"] == [row["run_id"] for row in project.runs.list()]
        assert "first" == project.runs.get("firs").id
        with pytest.raises(RunNotFound):
            project.runs.get("second")


async def test_runs_that_come_later_are_cancelled_or_are_refused(tmp_path: Path) -> None:
    """Waiting ones say so; one that runs stops; what only this process could do is not sent."""
    async with daemon(tmp_path) as (project, _, _):
        later = project.submit("tank", inputs={"mm": 1.0}, run_in=timedelta(hours=1), priority=9)
        at = project.submit("tank", inputs={"mm": 1.0}, run_at=datetime.now(UTC) + timedelta(hours=2), deadline="3h")
        running = project.submit("tank", inputs={"mm": 1.0, "wait": 600.0})

        assert ["waiting", "waiting"] == [later.status()["state"], at.status()["state"]]
        with pytest.raises(TimeoutError, match="has not ended within"):
            await asyncio.to_thread(running.wait, 0.1)
        assert [True, True, True] == [each.cancel() for each in (later, at, running)]
        assert "cancelled" == (await asyncio.to_thread(running.wait, 20))["outcome"]

        # Objects, callbacks and code stay in this process; unknown inputs are the daemon's to refuse.
        with pytest.raises(UsageError, match="a daemon takes values that JSON has"):
            project.submit("tank", inputs={"mm": object()})
        with pytest.raises(
            UsageError, match=r"no option 'foo'; there are cache, config, .* run_at, run_id, run_in, tim"
        ):
            project.submit("tank", foo=1)  # type: ignore[call-arg]  # the mistake itself
        with pytest.raises(UsageError, match="on_success cannot be sent to a daemon"):
            project.submit("tank", on_success=print)
        with pytest.raises(UsageError, match="run_at 'noon' is no time"):
            project.submit("tank", run_at="noon")
        with pytest.raises(CommandRefused, match="has no input 'cm'"):
            project.submit("tank", inputs={"cm": 1.0})
    with Project.load(tmp_path) as project, pytest.raises(DaemonUnavailable):
        project.submit("tank", inputs={"mm": 1.0})


async def test_schedules(tmp_path: Path) -> None:
    """Added, paused, resumed, removed; without a daemon the ledger answers what it can."""
    async with daemon(tmp_path) as (project, _, _):
        added = project.schedules.add("tank", interval="45m", schedule_id="often", inputs={"mm": 5.0})
        assert ("often", "tank") == (added["schedule_id"], added["pipeline"])
        with pytest.raises(CommandRefused, match="there is a schedule 'often' already"):
            project.schedules.add("tank", cron="@daily", schedule_id="often", inputs={"mm": 5.0})
        assert ["often"] == project.schedules.pause("often")
        assert ["often"] == project.schedules.resume()
        assert [] == project.schedules.resume("often")
        assert 2700.0 == project.schedules.show("often")["expression"]
    with Project.load(tmp_path) as project:
        assert ["often"] == [row["schedule_id"] for row in project.schedules.list("tank")]
        assert ["often"] == project.schedules.remove("often")
        assert [] == project.schedules.list()


async def test_a_daemon_serves_an_archive(tmp_path: Path) -> None:
    """Its ledger and its socket are in the project's home, and a reload reads the archive again."""
    home = tmp_path / "home"
    path = zipped(tmp_path / "plant.zip", FILES)
    async with mosquitto() as broker, Sink(broker.port, "tank/level") as sink:
        environ = {"FP_EVENTS_MQTT__URL": f"mqtt://127.0.0.1:{broker.port}", "FP_EVENTS_HOME": str(home)}
        served = Daemon(path, environ)
        await served.start()
        try:
            await publish(broker.port, "tank/mm", ["50"])
            await sink.until(lambda messages: len(messages) == 1, 20)
            zipped(path, {**FILES, "pipelines/tank.py": "def level(mm: float) -> float:\n    return mm\n"})
            seen = len(served.log)
            served.signal(signal.SIGHUP)
            await served.logged("reloaded", after=seen)
            await publish(broker.port, "tank/mm", ["50"])
            await sink.until(lambda messages: len(messages) == 2, 20)
        finally:
            assert 0 == await served.stop()

    [serving_line] = [line for line in served.log if line["event"] == "serving"]
    assert (str(path), []) == (serving_line["project"], served.text)
    assert Path(serving_line["home"]).parent == home
    assert [b"2.0", b"50"] == [payload for _, payload, _ in sink.messages]
    assert 1 == len([*home.glob("plant-*/.fp-events/ledger.db")])
