"""Deadlines, expiries and dead letters, wherever a run stands."""

from __future__ import annotations

import asyncio
import time

from fp_events.runtime.timers import SPARE, Timers

from .conftest import House


async def test_a_deadline_ends_runs_wherever_they_wait(house: House) -> None:
    """Behind another run of its key, in a full queue, or for a retry: TIMED_OUT, without another attempt."""
    house.keyed(run={"deadline": 0.3, "max_retries": 5, "retry_delay": 0.2, "executor": {"type": "threadpool"}})
    async with house.serving() as daemon:
        house.publish("in/work/a", 1, "gate")
        house.publish("in/work/a", 2)
        house.publish("in/work/b", 3, "fail")

        # The first one is abandoned at its deadline and holds its key.
        assert ["timed_out"] * 3 == await daemon.outcomes(3)
        assert {1: 1, 3: 2} == dict(house.steering.attempts)
        await daemon.until(lambda: len(house.published("fp/house/dlq/work")) == 3)


async def test_a_deadline_holds_while_the_pipeline_is_paused(house: House) -> None:
    """Nobody waits longer than was agreed."""
    house.pipeline(run={"deadline": 0.05})
    async with house.serving() as daemon:
        await daemon.ask("pause", pipeline="work")
        house.publish("in/work", 1)

        assert ["timed_out"] == await daemon.outcomes(1)
        assert [] == house.steering.calls
        assert 0 == (await daemon.ask("status"))["totals"]["pending_bytes"]


async def test_a_run_that_began_in_time_does_not_expire(house: House) -> None:
    """`expires_after` is for the start: later attempts have the time that retries take."""
    trigger = {"topic": "in/work", "expires_after": 0.1, "map": {"n": "payload.n", "do": "payload.do"}}
    house.pipeline(triggers=[trigger], run={"max_retries": 1, "retry_delay": 0.2})
    async with house.serving() as daemon:
        house.publish("in/work", 1, "fail", "ok")

        assert ["succeeded"] == await daemon.outcomes(1)


async def test_both_limits_hold_one_after_the_other(house: House) -> None:
    """A run that began before it expired still has a deadline."""
    trigger = {"topic": "in/work", "expires_after": 0.1, "map": {"n": "payload.n", "do": "payload.do"}}
    house.pipeline(triggers=[trigger], run={"deadline": 0.4, "max_retries": 9, "retry_delay": 0.15})
    async with house.serving() as daemon:
        house.publish("in/work", 1, "fail")
        await daemon.until(lambda: daemon.retries)
        await daemon.ask("pause", pipeline="work")

        assert ["timed_out"] == await daemon.outcomes(1)


async def test_an_expired_run_lets_the_next_of_its_key_go(house: House) -> None:
    """It is no dead letter, and it holds nothing."""
    trigger = {
        "topic": "in/work/{source}",
        "key": "{source}",
        "expires_after": 0.05,
        "map": {"n": "payload.n", "do": "payload.do", "key": "topic.source"},
    }
    house.keyed(triggers=[trigger])
    async with house.serving() as daemon:
        house.publish("in/work/a", 1, "gate")
        house.publish("in/work/a", 2)
        assert ["expired"] == await daemon.outcomes(1)
        house.publish("in/work/a", 3)
        house.steering.gates[1].open()

        assert ["expired", "succeeded", "succeeded"] == await daemon.outcomes(3)
        assert [1, 3] == house.steering.calls
        assert [] == (await daemon.ask("dlq.list"))["dead_letters"]


async def test_a_deadline_far_away_holds_no_finished_run(house: House) -> None:
    """Timers of what has ended go away with it."""
    house.pipeline(run={"deadline": 3600})
    count = 2 * SPARE + 100
    async with house.serving() as daemon:
        for number in range(count):
            house.publish("in/work", number)
        await daemon.outcomes(count)
        await daemon.asked(lambda status: status["totals"]["pending"] == 0)
        assert len(daemon.service.parts.timers) < count / 2


async def test_timers_call_in_time_in_order_and_never_after_a_cancel() -> None:
    """Also those that a call adds."""
    timers = Timers()
    called: list[str] = []
    now = time.monotonic()
    gone = timers.at(now + 0.02, lambda: called.append("gone"))
    timers.at(now + 0.03, lambda: called.append("third"))
    timers.at(now + 0.01, lambda: called.append("first"))

    def second() -> None:
        called.append("second")
        timers.cancel(gone)
        timers.at(0.0, lambda: called.append("added"))

    timers.at(now + 0.01, second)
    running = asyncio.create_task(timers.run())
    async with asyncio.timeout(5):
        while len(called) < 4:
            await asyncio.sleep(0.001)
    running.cancel()

    assert ["first", "second", "added", "third"] == called
    assert 0.03 <= time.monotonic() - now
    assert 0 == len(timers)


async def test_undecodable_payloads_are_dead_letters_at_once(house: House) -> None:
    """No retry mends them; the original bytes are published, with the reason."""
    house.pipeline(run={"max_retries": 3})
    async with house.serving() as daemon:
        house.broker.publish("in/work", b"\xff\x00{")

        assert ["rejected"] == await daemon.outcomes(1)
        await daemon.until(lambda: house.publications("fp/house/dlq/work"))
        (letter,) = house.publications("fp/house/dlq/work")
        assert b"\xff\x00{" == letter.payload
        assert "rejected" == letter.properties.user_value("outcome")
        assert [] == daemon.retries
