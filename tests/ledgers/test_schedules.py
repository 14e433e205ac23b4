"""What every ledger does with schedules."""

from __future__ import annotations

from dataclasses import replace

from fp_events.domain.ports import Ledger
from fp_events.domain.records import Accept, Batch, NewRun
from fp_events.domain.run import Cause
from fp_events.domain.schedule import (
    Expression,
    Kind,
    Schedule,
    ScheduleFired,
    ScheduleSpec,
    ScheduleWrite,
    StoredSchedule,
    identity,
)

from .kit import NOON, at


def stored(schedule_id: str, kind: Kind = "interval", expression: Expression = 60.0) -> StoredSchedule:
    spec = ScheduleSpec(
        kind=kind,
        expression=expression,
        zone="Europe/Berlin",
        start_at=NOON,
        end_at=at(1e6),
        jitter=1.5,
        misfire_grace=30.0,
        coalesce="all",
        max_missed=7,
    )
    schedule = Schedule(
        schedule_id=schedule_id,
        pipeline="report",
        spec=spec,
        request={"inputs": {"line": "7"}, "max_retries": 2},
        key="line7",
        source="command",
    )
    return StoredSchedule(schedule=schedule, anchor_at=NOON, next_fire_at=at(60), updated_at=NOON)


def put(*schedules: StoredSchedule) -> Batch:
    return Batch(schedules=tuple(ScheduleWrite(schedule_id=s.schedule.schedule_id, stored=s) for s in schedules))


def run_of(schedule_id: str, run_id: str, seconds: float) -> NewRun:
    return NewRun(
        run_id=run_id,
        pipeline="report",
        cause=Cause.SCHEDULE,
        created_at=at(seconds),
        dedup_key=identity(schedule_id, at(seconds)),
    )


async def test_schedules_come_back_whole(ledger: Ledger) -> None:
    """Every kind of rule is found again with all of its fields, in order of the ids."""
    wanted = [
        stored("a", "cron", "0 5 * * 1-5"),
        stored("b", "cron", {"hour": "3", "day_of_week": "mon-fri"}),
        stored("c"),
        replace(stored("d", "date", ("2030-01-01T00:00:00+00:00",)), paused=True, next_fire_at=None),
    ]

    await ledger.commit(put(*reversed(wanted)))

    assert wanted == list(await ledger.schedules())


async def test_a_schedule_goes_on_with_its_run(ledger: Ledger) -> None:
    """The run of an instant and the step to the next instant are one transaction."""
    await ledger.commit(put(stored("a"), stored("b")))

    await ledger.commit(
        Batch(
            accepts=(Accept(message=None, runs=(run_of("a", "r1", 60),)),),
            fired=(ScheduleFired(schedule_id="a", last_fire_at=at(60), next_fire_at=at(120)),),
        )
    )

    moved = replace(stored("a"), last_fire_at=at(60), next_fire_at=at(120))
    assert [moved, stored("b")] == list(await ledger.schedules())


async def test_an_instant_makes_one_run(ledger: Ledger) -> None:
    """A second run for the same instant of the same schedule is a duplicate; another schedule's is not."""
    runs = [run_of("a", "r1", 60), run_of("a", "r2", 60), run_of("b", "r3", 60), run_of("a", "r4", 120)]

    answers = [(await ledger.commit(Batch(accepts=(Accept(message=None, runs=(run,)),)))).accepted[0] for run in runs]

    assert [("r1",), (), ("r3",), ("r4",)] == [answer.run_ids for answer in answers]


async def test_a_schedule_is_replaced_and_deleted(ledger: Ledger) -> None:
    """A new row takes the place of the old one; a deleted one is gone, and its firing changes nothing."""
    await ledger.commit(put(stored("a"), stored("b")))
    newer = stored("a", "cron", "@daily")

    await ledger.commit(put(newer))
    await ledger.commit(Batch(schedules=(ScheduleWrite(schedule_id="b", stored=None),)))
    await ledger.commit(Batch(fired=(ScheduleFired(schedule_id="b", last_fire_at=NOON, next_fire_at=None),)))

    assert [newer] == list(await ledger.schedules())


async def test_a_thousand_schedules_go_on_at_once(ledger: Ledger) -> None:
    """A burst is one transaction of any size."""
    ids = [f"s{number:04}" for number in range(1001)]
    await ledger.commit(put(*(stored(name) for name in ids)))

    await ledger.commit(
        Batch(fired=tuple(ScheduleFired(schedule_id=name, last_fire_at=at(60), next_fire_at=None) for name in ids))
    )

    assert {(at(60), None)} == {(s.last_fire_at, s.next_fire_at) for s in await ledger.schedules()}
