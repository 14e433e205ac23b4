"""A daemon that runs pipelines by the clock. The clock is the test's."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fp_events import config as configuration
from fp_events.app import asking
from fp_events.domain.errors import CommandRefused, PipelineNotFound, ScheduleNotFound
from fp_events.domain.records import Batch
from fp_events.domain.schedule import ScheduleWrite
from fp_events.runtime import scheduler
from fp_events.runtime.limits import Limits
from fp_events.runtime.options import ServiceOptions
from fp_events.schedules.syncing import new

from .conftest import Changes, Daemon, House

#: Seconds between the scheduler's looks at the clock, here.
LOOK = 0.01
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
CODE = """
from datetime import datetime

from tests.runtime import gates


def result(scheduled_at: datetime, n: int) -> dict:
    gates.act(n, None)
    return {"n": n, "at": scheduled_at.strftime("%H:%M")}
"""


class Clock:
    """The wall clock; it stands still unless the test moves it."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "LOOK", LOOK)


def report(house: House, name: str = "report", **settings: Any) -> None:
    """A pipeline without triggers, every five minutes unless told otherwise."""
    given = {"schedule": {"interval": "5m", "inputs": {"n": 1}}, "triggers": [], **settings}
    house.pipeline(name, CODE, **given)


@asynccontextmanager
async def serving(house: House, clock: Clock, change: Changes = lambda options: options) -> AsyncIterator[Daemon]:
    """A daemon whose schedules go by the test's clock."""

    def changed(options: ServiceOptions) -> ServiceOptions:
        return change(replace(options, clock=clock))

    async with house.serving(changed) as daemon:
        yield daemon


def times(house: House, name: str = "report") -> list[str]:
    """The instants of the results, as the runs knew them."""
    return [value["at"] for value in house.published(f"out/{name}")]


async def has_looked(daemon: Daemon, clock: Clock) -> None:
    """Wait until the scheduler has seen the clock as it is: it has nothing left to do at this time."""
    rows = daemon.service.parts.scheduler.book.rows.values()
    await daemon.until(lambda: all(row.next_fire_at is None or row.next_fire_at > clock.now for row in rows))


async def states(daemon: Daemon) -> dict[str, str]:
    found = await daemon.ask("schedules.list")
    return {row["schedule_id"]: row["state"] for row in found["schedules"]}


async def test_each_instant_makes_one_run_that_knows_it(house: House, clock: Clock) -> None:
    """A run comes at its time, with the schedule's inputs and the instant, and says where it came from."""
    report(house)
    async with serving(house, clock) as daemon:
        for _ in range(3):
            clock.move(minutes=5)
            await has_looked(daemon, clock)
        await daemon.outcomes(3)
        await daemon.until(lambda: len(times(house)) == 3)

        assert ["12:05", "12:10", "12:15"] == times(house)
        (run, *_) = (await daemon.ask("runs.list"))["runs"]
        whole = await daemon.ask("runs.show", run_id=run["run_id"])
        wanted = {"cause": "schedule", "schedule": "report", "scheduled_at": "2026-05-01T12:15:00+00:00"}
        assert wanted == {name: whole[name] for name in wanted}
        assert {"inputs": {"n": 1}} == whole["request"]


async def test_a_schedule_keeps_its_place_over_a_crash(house: House, clock: Clock) -> None:
    """After a SIGKILL at any time each instant has made one run: none is lost, none comes twice."""
    report(house, schedule={"interval": "5m", "inputs": {"n": 1}, "coalesce": "all"})
    for _ in range(6):
        async with serving(house, clock) as daemon:
            clock.move(minutes=5)
            await has_looked(daemon, clock)
            clock.move(minutes=5)
            await daemon.crash()
    async with serving(house, clock) as daemon:
        await has_looked(daemon, clock)
        runs = (await daemon.ask("runs.list", limit=100))["runs"]

    expected = [(NOON + timedelta(minutes=minute)).isoformat() for minute in range(5, 65, 5)]
    assert expected == sorted(run["scheduled_at"] for run in runs)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ["12:50"]),
        ({"coalesce": "all"}, [f"12:{minute:02}" for minute in range(5, 55, 5)]),
        ({"coalesce": "all", "max_missed": 2}, ["12:45", "12:50"]),
    ],
)
async def test_ten_instants_missed_while_down(
    house: House, clock: Clock, given: dict[str, Any], expected: list[str]
) -> None:
    """The next daemon makes up for the latest one, or for all, up to a bound."""
    report(house, schedule={"interval": "5m", "inputs": {"n": 1}, **given})
    async with serving(house, clock):
        pass
    clock.move(minutes=52)
    async with serving(house, clock) as daemon:
        await daemon.outcomes(len(expected))
        await daemon.stop()

    assert expected == sorted(times(house))


async def test_a_clock_set_back_an_hour_fires_nothing_twice(house: House, clock: Clock) -> None:
    """Nothing fires until the clock has come where it was; then it goes on. Also over a restart."""
    report(house)
    async with serving(house, clock) as daemon:
        clock.move(minutes=5)
        await daemon.outcomes(1)
        clock.move(hours=-1)
        await asyncio.sleep(10 * LOOK)
        clock.move(minutes=59)
        await asyncio.sleep(10 * LOOK)
    async with serving(house, clock) as daemon:
        await has_looked(daemon, clock)
        clock.move(minutes=6)
        await daemon.outcomes(1)
        await daemon.stop()

    assert ["12:05", "12:10"] == sorted(times(house))


async def test_a_ledger_of_yesterday_makes_no_second_run(house: House, clock: Clock) -> None:
    """Where the place in time was lost and the runs were not, their identity keeps them single."""
    report(house)
    async with serving(house, clock) as daemon:
        before = await house.ledger.schedules()
        clock.move(minutes=5)
        await daemon.outcomes(1)
    ledger = house.ledger
    await ledger.open()
    await ledger.commit(Batch(schedules=tuple(ScheduleWrite(schedule_id="report", stored=row) for row in before)))
    await ledger.close()
    async with serving(house, clock) as daemon:
        await daemon.until(lambda: daemon.service.parts.scheduler.duplicates)
        await daemon.stop()

    assert ["12:05"] == times(house)


async def test_a_run_that_comes_too_late_ends_expired(house: House) -> None:
    """After `misfire_grace` an instant is not worth a run: it ends EXPIRED, listed and not executed."""
    report(house, schedule={"interval": "5m", "inputs": {"n": 1}, "misfire_grace": "1m", "coalesce": "all"})
    (schedule,) = configuration.load(house.folder).pipelines["report"].schedules
    # The last instant was half a minute ago, the one before it five minutes earlier.
    row = new(schedule, datetime.now(UTC) - timedelta(minutes=10, seconds=30))
    await house.ledger.open()
    await house.ledger.commit(Batch(schedules=(ScheduleWrite(schedule_id="report", stored=row),)))
    await house.ledger.close()
    async with house.serving() as daemon:
        outcomes = await daemon.outcomes(2)
        await daemon.stop()

    assert ["expired", "succeeded"] == sorted(outcomes)
    assert 1 == len(times(house))


async def test_runs_of_a_paused_pipeline_wait(house: House, clock: Clock) -> None:
    """A paused pipeline's instants make runs that start when it is resumed."""
    report(house)
    async with serving(house, clock) as daemon:
        await daemon.ask("pause", pipeline="report")
        for _ in range(2):
            clock.move(minutes=5)
            await has_looked(daemon, clock)
        await daemon.asked(lambda status: status["pipelines"][0]["queued"] == 2)
        assert [] == times(house)

        await daemon.ask("resume", pipeline="report")
        await daemon.outcomes(2)

    assert ["12:05", "12:10"] == sorted(times(house))


async def test_a_draining_daemon_fires_nothing(house: House, clock: Clock) -> None:
    """What becomes due during a drain is the next daemon's."""
    report(house)
    house.pipeline("work")
    async with serving(house, clock) as daemon:
        house.publish("in/work", 7, "gate")
        await house.steering.gates[7].entered()
        stopping = asyncio.create_task(daemon.stop())
        await daemon.until(lambda: daemon.service.parts.board.draining)
        clock.move(minutes=5)
        await asyncio.sleep(10 * LOOK)
        fired = daemon.service.parts.scheduler.fired
        house.steering.gates[7].open()
        await stopping
    async with serving(house, clock) as daemon:
        await daemon.outcomes(1)

    assert 0 == fired
    assert ["12:05"] == times(house)


async def test_schedules_wait_where_the_daemon_holds_as_many_runs_as_it_may(house: House, clock: Clock) -> None:
    """No run is made beyond the limit; when there is room again, missed instants are made up for."""
    report(house, schedule={"interval": "5m", "inputs": {"n": 1}, "coalesce": "all"})
    house.pipeline("work")
    async with serving(house, clock, lambda o: replace(o, limits=Limits(pending_runs=1))) as daemon:
        house.publish("in/work", 7, "gate")
        await house.steering.gates[7].entered()
        clock.move(minutes=5)
        await asyncio.sleep(10 * LOOK)
        clock.move(minutes=5)
        assert 0 == daemon.service.parts.scheduler.fired

        house.steering.gates[7].open()
        await daemon.outcomes(3)
        await daemon.stop()

    assert ["12:05", "12:10"] == sorted(times(house))


async def test_a_thousand_schedules_of_one_second(house: House, clock: Clock) -> None:
    """All are accepted in bursts, and each has fired once."""
    report(
        house, schedules=[{"id": f"s{n}", "cron": "5 12 * * *", "inputs": {"n": n}} for n in range(1000)], schedule=None
    )
    async with serving(house, clock) as daemon:
        clock.move(minutes=5)
        await daemon.outcomes(1000)
        await daemon.stop()

    assert list(range(1000)) == sorted(value["n"] for value in house.published("out/report"))


async def test_a_run_takes_what_its_schedule_overrides(house: House, clock: Clock) -> None:
    """Retries, outputs and configuration are the schedule's where it names them."""
    code = """
from hamilton.function_modifiers import config

def failing(scheduled_at: object) -> int:
    raise ValueError(str(scheduled_at))

@config.when(mode="loud")
def word__loud() -> str:
    return "LOUD"

@config.when_not(mode="loud")
def word__quiet() -> str:
    return "quiet"
"""
    plain = {"triggers": [], "outputs": [], "run": {"final_vars": ["failing"]}, "schedules": [
        {"id": "a", "interval": "5m", "max_retries": 2, "retry_delay": 0},
        {"id": "b", "interval": "5m", "final_vars": ["word"], "config": {"mode": "loud"}},
    ]}  # fmt: skip
    house.pipeline("work", code, **plain)
    async with serving(house, clock) as daemon:
        clock.move(minutes=5)
        await daemon.outcomes(2)
        runs = {run["schedule"]: run for run in (await daemon.ask("runs.list"))["runs"]}
        assert ("failed", 3) == (runs["a"]["outcome"], runs["a"]["attempt"])
        whole = await daemon.ask("runs.show", run_id=runs["b"]["run_id"])
        assert {"word": "LOUD"} == whole["values"]


async def test_commands_change_schedules_for_good(house: House, clock: Clock) -> None:
    """Added, paused, resumed and removed ones are so after a restart too."""
    report(house)
    async with serving(house, clock) as daemon:
        added = await daemon.ask(
            "schedules.add", pipeline="report", schedule_id="daily", cron="0 5 * * 1-5", timezone="Europe/Berlin",
            inputs={"n": 2},
        )  # fmt: skip
        assert ["2026-05-04T05:00:00+02:00", "2026-05-05T05:00:00+02:00"] == added["upcoming"][:2]
        assert {"paused": ["report"]} == await daemon.ask("schedules.pause", schedule_ids=["report"])
    clock.move(minutes=12)
    async with serving(house, clock) as daemon:
        assert {"daily": "active", "report": "paused"} == await states(daemon)
        assert {"resumed": ["report"]} == await daemon.ask("schedules.resume", all=True)
        clock.move(minutes=3)
        await daemon.outcomes(1)
        assert {"removed": ["daily"]} == await daemon.ask("schedules.remove", all=True)
        await daemon.stop()
    async with serving(house, clock) as daemon:
        assert {"report": "active"} == await states(daemon)

    assert ["12:15"] == times(house)


async def test_an_added_schedule_fires_and_is_overwritten(house: House, clock: Clock) -> None:
    """A new rule under the same id begins at once, if it may."""
    report(house, schedule=None)
    async with serving(house, clock) as daemon:
        await daemon.ask("schedules.add", pipeline="report", interval={"minutes": 1}, inputs={"n": 1})
        clock.move(minutes=1)
        await daemon.outcomes(1)
        again = {"pipeline": "report", "date": "2026-05-01T12:30:00", "inputs": {"n": 2}}
        with pytest.raises(CommandRefused, match="there is a schedule 'report' already"):
            await daemon.ask("schedules.add", **again)
        await daemon.ask("schedules.add", overwrite=True, **again)
        clock.move(minutes=29)
        await daemon.outcomes(2)
        assert {"report": "ended"} == await states(daemon)

    assert ["12:01", "12:30"] == times(house)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "none of `cron`, `interval` and `date` is given"),
        ({"cron": "61 * * * *"}, "'61' is no minute field"),
        ({"cron": "@daily", "interval": 5}, "both `cron` and `interval` are given"),
        ({"interval": "soon"}, "'interval': 'soon' is not an interval"),
        ({"date": "2020-01-01T00:00:00"}, "the schedule's last time is over"),
        ({"cron": "@daily", "timezone": "Mars/Olympus"}, "'Mars/Olympus' is not a time zone"),
        ({"cron": "@daily", "coalesce": "none"}, "'coalesce' must be latest or all"),
        ({"cron": "@daily", "max_missed": 0}, "'max_missed' must be a whole number from 1 to 10000"),
        ({"cron": "@daily", "jitter": "2d"}, "a `jitter` of 172800 s is not shorter"),
        ({"cron": "@daily", "schedule_id": "a/b"}, "'schedule_id' must be"),
        ({"cron": "@daily", "inputs": {"m": 1}}, "pipeline 'report' has no input 'm'"),
        ({"cron": "@daily", "executor": "lokal"}, "'executor' must be one of"),
        ({"cron": "@daily", "cache": {"url": "x"}}, "'cache': cache.url belongs to the pipeline's configuration"),
        ({"cron": "@daily", "crom": "x"}, "unknown argument 'crom'; did you mean 'cron'?"),
        ({"cron": "@daily", "schedule_id": "report", "inputs": {"n": 1}}, "schedule 'report' is the project's, at conf/pipelines/report.yml"),
    ],
)  # fmt: skip
async def test_what_cannot_fire_is_refused(house: House, clock: Clock, given: dict[str, Any], sentence: str) -> None:
    """One sentence, and nothing is stored."""
    report(house)
    async with serving(house, clock) as daemon:
        with pytest.raises(CommandRefused) as caught:
            await daemon.ask("schedules.add", **{"pipeline": "report", "schedule_id": "other", **given})

        assert sentence in str(caught.value)
        assert {"report": "active"} == await states(daemon)


async def test_unknown_names_are_told(house: House, clock: Clock) -> None:
    """A typo in a schedule's or pipeline's name is an error that names the nearest."""
    report(house)
    async with serving(house, clock) as daemon:
        with pytest.raises(ScheduleNotFound, match="did you mean 'report'"):
            await daemon.ask("schedules.pause", schedule_ids=["reprot"])
        with pytest.raises(PipelineNotFound):
            await daemon.ask("schedules.add", pipeline="reprot", cron="@daily")
        with pytest.raises(CommandRefused, match="remove it there, or pause it"):
            await daemon.ask("schedules.remove", schedule_ids=["report"])
        with pytest.raises(CommandRefused, match="name schedules, or say all"):
            await daemon.ask("schedules.pause")


async def test_sync_reads_the_files_again(house: House, clock: Clock) -> None:
    """Changed, new and deleted schedules of the files are taken over without a restart."""
    report(house, schedules=[{"id": "old", "interval": "5m", "inputs": {"n": 2}}])
    async with serving(house, clock) as daemon:
        unchanged = await daemon.ask("schedules.sync")
        report(
            house,
            schedule={"interval": "7m", "inputs": {"n": 1}},
            schedules=[{"id": "new", "cron": "@daily", "inputs": {"n": 2}}],
        )
        found = await daemon.ask("schedules.sync")

        assert [] == unchanged["added"] + unchanged["changed"] + unchanged["removed"]
        assert (["new"], ["report"], ["old"]) == (found["added"], found["changed"], found["removed"])
        report(house, schedule={"interval": "9m"})
        with pytest.raises(CommandRefused, match="starts runs without input 'n'"):
            await daemon.ask("schedules.sync")
        clock.move(minutes=7)
        await daemon.outcomes(1)

    assert ["12:07"] == times(house)


async def test_an_added_schedule_hides_the_projects_until_overwritten(house: House, clock: Clock) -> None:
    """Nothing is replaced silently: the log and `sync` say so."""
    report(house, schedule=None)
    async with serving(house, clock) as daemon:
        await daemon.ask("schedules.add", pipeline="report", interval="1h", inputs={"n": 1})
    report(house)
    async with serving(house, clock) as daemon:
        told = [facts["where"] for event, facts in daemon.log if event == "schedule_not_used"]
        assert 1 == len(told)
        assert told[0].startswith("conf/pipelines/report.yml")
        assert ["report"] == (await daemon.ask("schedules.sync"))["not_used"]
        assert ["report"] == (await daemon.ask("schedules.sync", overwrite=True))["changed"]
        assert "project" == (await daemon.ask("schedules.show", schedule_id="report"))["source"]


async def test_a_pipeline_that_went_away_leaves_its_schedules_standing(house: House, clock: Clock) -> None:
    """They fire no more; with the pipeline back they go on from then, and make up for nothing."""
    report(house)
    async with serving(house, clock) as daemon:
        await daemon.ask("schedules.add", pipeline="report", schedule_id="other", interval="5m", inputs={"n": 2})
    report(house, enabled=False)
    async with serving(house, clock) as daemon:
        assert {"other": "disabled", "report": "disabled"} == await states(daemon)
        clock.move(minutes=52)
        await asyncio.sleep(10 * LOOK)
        assert 0 == daemon.service.parts.scheduler.fired
    report(house)
    async with serving(house, clock) as daemon:
        clock.move(minutes=3)
        await daemon.outcomes(2)
        await daemon.stop()

    assert ["12:55", "12:55"] == times(house)


async def test_without_a_daemon_the_ledger_answers(house: House, clock: Clock) -> None:
    """Listing, pausing, resuming and removing need no daemon; adding does, since it checks the inputs."""
    house.use_sqlite()
    report(house)
    async with serving(house, clock) as daemon:
        await daemon.ask("schedules.add", pipeline="report", schedule_id="other", interval="5m", inputs={"n": 2})

    config = configuration.load(house.folder)
    assert {"paused": ["report"]} == await asking.call(config, "schedules.pause", {"schedule_ids": ["report"]})
    assert {"removed": ["other"]} == await asking.call(config, "schedules.remove", {"all": True})
    found = await asking.call(config, "schedules.list", {})
    assert [("report", "paused")] == [(row["schedule_id"], row["state"]) for row in found["schedules"]]
    async with serving(house, clock) as daemon:
        assert {"report": "paused"} == await states(daemon)


async def test_pages_of_schedules(house: House, clock: Clock) -> None:
    """A page ends where its limit says, and names where the next one begins."""
    report(house, schedule=None, schedules=[{"id": f"s{n}", "interval": "5m", "inputs": {"n": n}} for n in range(5)])
    async with serving(house, clock) as daemon:
        first = await daemon.ask("schedules.list", limit=3)
        second = await daemon.ask("schedules.list", limit=3, after=first["next"])

    assert ["s0", "s1", "s2"] == [row["schedule_id"] for row in first["schedules"]]
    assert (["s3", "s4"], None) == ([row["schedule_id"] for row in second["schedules"]], second["next"])


async def test_by_mqtt_schedules_are_added_within_what_is_allowed(house: House, clock: Clock) -> None:
    """Named pipelines with allow-listed inputs; never configuration; and the answer comes back."""
    report(house)
    report(house, "secret")
    house.project(control={"mqtt": True, "allow": {"report": {"inputs": ["n"]}}})
    async with serving(house, clock) as daemon:
        base = {"schedule_id": "m", "cron": "@daily", "sent_at": time.time()}
        for given in (
            {"pipeline": "report", "inputs": {"n": 1}},
            {"pipeline": "secret", "inputs": {"n": 1}},
            {"pipeline": "report", "inputs": {"n": 1}, "config": {"a": 1}},
            {"pipeline": "report", "inputs": {"scheduled_at": 1}},
        ):
            house.broker.publish("fp/house/control/schedules.add", json.dumps({**base, **given}))
        await daemon.until(lambda: len(house.published("fp/house/reply/schedules.add")) == 4)

    answers = house.published("fp/house/reply/schedules.add")
    assert [True, False, False, False] == [answer["ok"] for answer in answers]
    assert "m" == answers[0]["result"]["schedule_id"]


async def test_status_tells_of_schedules(house: House, clock: Clock) -> None:
    """How many there are, what is next, and what fired."""
    report(house)
    async with serving(house, clock) as daemon:
        clock.move(minutes=5)
        await daemon.outcomes(1)
        found = (await daemon.ask("status"))["schedules"]

    assert {"count": 1, "next_fire_at": "2026-05-01T12:10:00+00:00", "fired": 1, "duplicates": 0} == found
