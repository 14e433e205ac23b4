"""An orderly end: nothing is lost, nothing is started, nothing is suspected afterwards."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from fp_events.domain.records import RunQuery
from fp_events.domain.run import RunState

from .conftest import House

ONE_WORKER = {"executor": {"type": "threadpool", "max_workers": 1}}


async def test_a_drain_lets_attempts_end_and_starts_no_more(house: House) -> None:
    """What runs ends and is published; what is queued is for the next life."""
    trigger = {"topic": "in/work", "concurrency": 1, "map": {"n": "payload.n", "do": "payload.do"}}
    house.pipeline(triggers=[trigger], run=ONE_WORKER)
    house.use_sqlite()
    async with house.serving() as daemon:
        house.publish("in/work", 1, "gate")
        house.publish("in/work", 2)
        await house.steering.gates[1].entered()
        await daemon.asked(lambda status: status["totals"]["pending"] == 2)
        stopping = asyncio.create_task(daemon.stop())
        await daemon.asked(lambda status: status["draining"])
        house.steering.gates[1].open()
        assert await stopping
        assert [1] == house.steering.calls
        assert [{"n": 1}] == house.published("out/work")
    async with house.serving() as daemon:
        await daemon.outcomes(1)
        assert [1, 2] == house.steering.calls
        assert [] == [facts for event, facts in daemon.log if event == "recovered" and facts["interrupted"]]


async def test_a_drain_gives_back_what_was_claimed_and_not_started(house: House) -> None:
    """Runs claimed ahead of their turn are QUEUED after the end, and no suspects at the next start."""
    house.use_sqlite()
    house.keyed()
    async with house.serving() as daemon:
        house.publish("in/work/a", 1, "gate")
        await house.steering.gates[1].entered()
        for number in range(2, 6):
            house.publish("in/work/a", number)
        await daemon.asked(lambda status: status["pipelines"][0]["running"] == 5)
        stopping = asyncio.create_task(daemon.stop())
        await daemon.asked(lambda status: status["draining"])
        house.steering.gates[1].open()
        assert await stopping
    await house.ledger.open()
    runs = await house.ledger.runs(RunQuery(states=frozenset({RunState.QUEUED, RunState.RUNNING})))
    assert [RunState.QUEUED] * 4 == [run.state for run in runs]
    assert {"work": {"queued": 4, "succeeded": 1}} == await house.ledger.counts()
    await house.ledger.close()
    async with house.serving() as daemon:
        await daemon.outcomes(4)
        assert [1, 2, 3, 4, 5] == house.steering.calls
        await daemon.until(lambda: [item["total"] for item in house.published("out/work")][-1:] == [12345])


async def test_what_does_not_end_within_the_grace_runs_again(house: House) -> None:
    """The attempt is given up with the process; the run is not."""
    house.pipeline(run=ONE_WORKER)
    async with house.serving(lambda options: replace(options, grace=0.05)) as daemon:
        house.publish("in/work", 1, "gate", "ok")
        await house.steering.gates[1].entered()
        assert not await daemon.stop()
    async with house.serving() as daemon:
        assert ["succeeded"] == await daemon.outcomes(1)
        assert 2 == house.steering.attempts[1]


async def test_a_second_signal_ends_at_once(house: House) -> None:
    """However long the grace is."""
    house.pipeline()
    async with house.serving(lambda options: replace(options, grace=60.0)) as daemon:
        house.publish("in/work", 1, "gate")
        await house.steering.gates[1].entered()
        stopping = asyncio.create_task(daemon.stop())
        await daemon.asked(lambda status: status["draining"])
        began = time.monotonic()
        daemon.service.stop()
        assert not await stopping
        assert time.monotonic() - began < 2
        assert b"offline" == house.publications("fp/house/instances/daemon/availability")[-1].payload


async def test_a_retry_outlives_the_daemon(house: House) -> None:
    """It is due when it was due, and its attempts are counted on."""
    house.use_sqlite()
    house.pipeline(run={"max_retries": 1, "retry_delay": 0.3})
    async with house.serving() as daemon:
        house.publish("in/work", 1, "fail")
        await daemon.until(lambda: daemon.retries)
        assert await daemon.stop()
    async with house.serving() as daemon:
        assert ["failed"] == await daemon.outcomes(1)
        assert 2 == house.steering.attempts[1]
        shown = await daemon.ask("runs.show", run_id=daemon.ended[0].run_id)
        assert [1, 2] == [attempt["number"] for attempt in shown["attempts"]]


async def test_a_drain_under_fire_loses_nothing(house: House) -> None:
    """Lives end while messages come in, attempts run and commits are under way."""
    house.use_sqlite()
    house.keyed()
    number = 0
    for _ in range(6):
        async with house.serving() as daemon:
            for _ in range(40):
                number += 1
                house.publish(f"in/work/{number % 3}", number)
                if number % 5 == 0:
                    await asyncio.sleep(0)
            assert await daemon.stop()
    async with house.serving() as daemon:
        await daemon.asked(lambda status: status["pipelines"][0]["succeeded"] == number)
        await daemon.until(lambda: len(house.published("out/work")) == number)
    assert sorted(house.steering.calls) == list(range(1, number + 1))
    for key in "012":
        numbers = [item["n"] for item in house.published("out/work") if item["key"] == key]
        assert sorted(numbers) == numbers


async def test_callbacks_are_called_before_the_end(house: House) -> None:
    """And one that hangs keeps no process alive."""
    code = """
import threading
from tests.runtime import gates

def succeeded(record):
    gates.act(100, None)

def failed(record):
    gates.act(101, ["gate"])
"""
    (house.folder / "runtime_hooks.py").write_text(code)
    house.pipeline(run={"on_success": "runtime_hooks:succeeded", "on_failure": "runtime_hooks:failed"})
    async with house.serving() as daemon:
        house.publish("in/work", 1)
        await daemon.outcomes(1)
        assert await daemon.stop()
        assert [1, 100] == house.steering.calls
    async with house.serving() as daemon:
        house.publish("in/work", 2, "fail")
        await house.steering.gates[101].entered()
        daemon.service.stop()
        await daemon.stop()
        assert daemon.task.done()
