"""After the death of the process: what ran is suspected, runs alone, and is given up after three deaths."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from fp_events.runtime.limits import Limits
from fp_events.runtime.options import ServiceOptions

from .conftest import Daemon, House

ANYWHERE = {"executor": {"type": "threadpool", "max_workers": 4}}


def patient(seconds: float) -> Any:
    """A daemon that lets a suspect be alone for so long."""

    def change(options: ServiceOptions) -> ServiceOptions:
        return replace(options, limits=Limits(alone_for=seconds))

    return change


async def crash_in(house: House, number: int, daemon: Daemon, *, times: int = 1) -> None:
    """Wait until run `number` stands at its gate for the n-th time, and let the process die there."""
    await daemon.until(lambda: house.steering.attempts[number] == times)
    await house.steering.gates[number].entered()
    await daemon.crash()
    house.steering.open_all()


async def test_suspects_run_alone_and_first(house: House) -> None:
    """One at a time, in order, before what was queued; then the others."""
    house.pipeline(run=ANYWHERE)
    async with house.serving() as daemon:
        for number in (1, 2, 3):
            house.publish("in/work", number, "gate", "slow")
        for number in (1, 2, 3):
            await house.steering.gates[number].entered()
        await daemon.ask("pause", pipeline="work")
        house.publish("in/work", 4)
        await daemon.asked(lambda status: status["totals"]["pending"] == 4)
        await daemon.crash()
    house.steering.calls.clear()
    async with house.serving() as daemon:
        await daemon.ask("resume", pipeline="work")
        await daemon.outcomes(4)
        assert sorted(house.steering.calls) == [1, 2, 3, 4]
        assert ("recovered", {"interrupted": 3, "queued": 1, "waiting": 0}) in daemon.log


async def test_a_crash_amid_many_runs_makes_suspects_of_those_that_it_meets_again(house: House) -> None:
    """The first time they go on side by side; the second time each is alone."""
    many = range(1, 41)
    house.pipeline(run={"executor": {"type": "threadpool", "max_workers": 48}})
    async with house.serving() as daemon:
        for number in many:
            house.publish("in/work", number, "gate", "gate", "slow")
        await daemon.until(lambda: len(house.steering.attempts) == len(many))
        await daemon.crash()
        house.steering.open_all()
    async with house.serving() as daemon:
        assert ("recovered", {"interrupted": 40, "queued": 0, "waiting": 0}) in daemon.log
        await daemon.until(lambda: all(house.steering.attempts[number] == 2 for number in many))
        await daemon.crash()
        house.steering.open_all()
    house.steering.calls.clear()
    async with house.serving() as daemon:
        await daemon.outcomes(len(many))
        assert list(many) == house.steering.calls


async def test_a_run_that_kills_the_process_is_given_up(house: House) -> None:
    """Three deaths while it is alone make it FAILED; those that ran beside it at first are not blamed."""
    house.pipeline(run=ANYWHERE)
    async with house.serving() as daemon:
        house.publish("in/work", 1, "gate")
        house.publish("in/work", 2, "gate", "ok")
        await house.steering.gates[2].entered()
        await crash_in(house, 1, daemon)
    for times in (2, 3, 4):
        async with house.serving() as daemon:
            house.publish("in/work", 10 + times)
            await crash_in(house, 1, daemon, times=times)
    async with house.serving() as daemon:
        outcomes = await daemon.outcomes(5)
        assert ["failed", "succeeded", "succeeded", "succeeded", "succeeded"] == sorted(outcomes)
        (failed,) = (record for record in daemon.ended if record.failure)
        assert failed.failure is not None
        assert "died 3 times" in failed.failure.message
        assert 4 == house.steering.attempts[1]
        shown = await daemon.ask("runs.show", run_id=failed.run_id)
        assert (True, 3) == (shown["dead_letter"], shown["crashes"])


async def test_a_long_run_is_not_blamed_for_what_runs_beside_it_later(house: House) -> None:
    """Once it was alone for long enough the others start, and a death is no longer laid at its door."""
    house.pipeline(run=ANYWHERE)
    async with house.serving() as daemon:
        house.publish("in/work", 1, "gate")
        house.publish("in/work", 2, "gate")
        await house.steering.gates[1].entered()
        await crash_in(house, 2, daemon)
    for times in (2, 3, 4):
        async with house.serving(patient(0.05)) as daemon:
            await crash_in(house, 2, daemon, times=times)
    async with house.serving(patient(0.05)) as daemon:
        await daemon.outcomes(1)
        (failed,) = daemon.ended
        assert failed.failure is not None
        runs = (await daemon.ask("runs.list"))["runs"]
        long = next(run for run in runs if run["state"] != "finished")
        assert 0 == (await daemon.ask("runs.show", run_id=long["run_id"]))["crashes"]
        house.steering.gates[1].open()
        assert ["failed", "succeeded"] == await daemon.outcomes(2)


async def test_a_bystander_that_was_blamed_is_tried_first(house: House) -> None:
    """The next time it is alone for certain, before the long run that may have done it."""
    house.pipeline(run=ANYWHERE)
    async with house.serving() as daemon:
        house.publish("in/work", 1, "gate")
        house.publish("in/work", 2, "gate", "gate", "ok")
        await house.steering.gates[1].entered()
        await crash_in(house, 2, daemon)
    async with house.serving(patient(0.05)) as daemon:
        await crash_in(house, 2, daemon, times=2)
    house.steering.calls.clear()
    async with house.serving() as daemon:
        assert ["succeeded"] == await daemon.outcomes(1)
        await daemon.until(lambda: len(house.steering.calls) == 2)
        assert [2, 1] == house.steering.calls


async def test_nothing_else_starts_while_a_suspect_is_alone(house: House) -> None:
    """New messages are accepted and wait."""
    house.pipeline(run=ANYWHERE)
    async with house.serving() as daemon:
        house.publish("in/work", 1, "gate")
        await crash_in(house, 1, daemon)
    async with house.serving() as daemon:
        await daemon.until(lambda: house.steering.attempts[1] == 2)
        house.publish("in/work", 2)
        status = await daemon.asked(lambda status: status["totals"]["pending"] == 2)
        assert (1, 1) == (status["pipelines"][0]["running"], status["pipelines"][0]["queued"])
        house.steering.gates[1].open()
        await daemon.outcomes(2)
        assert [1, 1, 2] == house.steering.calls


async def test_a_drain_ends_the_recovery(house: House) -> None:
    """No further suspect is started; they stay suspects."""
    house.pipeline(run=ANYWHERE)
    async with house.serving() as daemon:
        house.publish("in/work", 1, "gate")
        house.publish("in/work", 2, "gate", "ok")
        await house.steering.gates[2].entered()
        await crash_in(house, 1, daemon)
    async with house.serving() as daemon:
        await daemon.until(lambda: house.steering.attempts[1] == 2)
        stopping = asyncio.create_task(daemon.stop())
        await daemon.asked(lambda status: status["draining"])
        house.steering.gates[1].open()
        assert await stopping
        assert 1 == house.steering.attempts[2]
    async with house.serving() as daemon:
        assert ("recovered", {"interrupted": 1, "queued": 0, "waiting": 0}) in daemon.log
        assert ["succeeded"] == await daemon.outcomes(1)


async def test_keys_keep_their_order_through_a_crash(house: House) -> None:
    """Claimed ahead, queued or waiting: each key goes on where it was."""
    house.keyed(run={"max_retries": 1, "retry_delay": 0.05})
    async with house.serving() as daemon:
        house.publish("in/work/a", 1)
        house.publish("in/work/a", 2, "gate", "ok")
        house.publish("in/work/b", 1, "fail", "fail", "fail")
        for number in range(3, 9):
            house.publish("in/work/a", number)
            house.publish("in/work/b", number)
        await crash_in(house, 2, daemon)
    async with house.serving() as daemon:
        await daemon.asked(lambda status: status["totals"]["pending"] == 0)
        await daemon.asked(lambda status: status["pipelines"][0]["succeeded"] == 14)
        await daemon.until(
            lambda: ("a", 12345678) in {(item["key"], item["total"]) for item in house.published("out/work")}
        )
        assert set() == house.steering.overlaps


async def test_runs_of_a_pipeline_that_is_gone_wait_for_it(house: House) -> None:
    """They are told, kept, and run when it is back."""
    house.pipeline("work")
    house.pipeline("other")
    async with house.serving() as daemon:
        await daemon.ask("pause", pipeline="work")
        house.publish("in/work", 1)
        await daemon.asked(lambda status: status["totals"]["pending"] == 1)
        assert await daemon.stop()
    for name in ("conf/pipelines/work.yml", "pipelines/work.py"):
        (house.folder / name).unlink()
    async with house.serving() as daemon:
        assert ("runs_without_pipeline", {"pipeline": "work", "runs": 1}) in daemon.log
    house.pipeline("work")
    async with house.serving() as daemon:
        await daemon.ask("resume", pipeline="work")
        assert ["succeeded"] == await daemon.outcomes(1)


async def test_unsent_results_are_published_by_the_next_life(house: House) -> None:
    """With the same event id, in order."""
    house.pipeline()
    async with house.serving() as daemon:
        house.publish("in/work", 1)
        await daemon.outcomes(1)
        await daemon.until(lambda: house.publications("out/work"))
        await daemon.until(lambda: not daemon.service.parts.publisher._outbox)
        await daemon.service.parts.committer.flushed()
        house.broker.stop()
        for number in (2, 3):
            await daemon.ask("run", pipeline="work", inputs={"n": number, "do": None}, wait=True)
        await daemon.crash()
    house.broker.start()
    async with house.serving() as daemon:
        await daemon.until(lambda: len(house.publications("out/work")) == 3)
        assert [{"n": 1}, {"n": 2}, {"n": 3}] == house.published("out/work")
        assert 3 == len({one.event_id for one in house.publications("out/work")})
