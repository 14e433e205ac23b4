"""Runs of one key: in order, one at a time, with state from one to the next."""

from __future__ import annotations

import pytest

from .conftest import House

#: A thread cannot be stopped: the run is given up at its timeout, and its thread goes on.
HANGS = {"timeout": 0.05, "executor": {"type": "threadpool", "max_workers": 4}}


def digits(house: House, name: str = "work") -> dict[str, int]:
    """The last total by key."""
    return {item["key"]: item["total"] for item in house.published(f"out/{name}")}


async def test_keys_run_in_order_and_beside_each_other(house: House) -> None:
    """One at a time per key, in the order of arrival; a slow key holds no other up."""
    house.keyed(run={"executor": {"type": "threadpool", "max_workers": 4}})
    async with house.serving() as daemon:
        house.publish("in/work/slow", 1, "gate")
        for number in range(2, 8):
            house.publish("in/work/slow", number)
            house.publish("in/work/fast", number)

        await daemon.outcomes(6)
        await daemon.until(lambda: len(house.published("out/work")) == 6)
        assert [2, 3, 4, 5, 6, 7] == [record["n"] for record in house.published("out/work")]
        house.steering.gates[1].open()
        await daemon.until(lambda: len(house.published("out/work")) == 13)
        assert {"slow": 1234567, "fast": 234567} == digits(house)
        assert set() == house.steering.overlaps


async def test_a_retry_holds_its_key(house: House) -> None:
    """Later runs of the key wait for the next attempt, others do not."""
    house.keyed(run={"max_retries": 2, "retry_delay": 0.02})
    async with house.serving() as daemon:
        house.publish("in/work/a", 1, "fail", "fail", "ok")
        house.publish("in/work/a", 2)

        assert ["succeeded", "succeeded"] == await daemon.outcomes(2)
        assert [1, 1, 1, 2] == house.steering.calls
        await daemon.until(lambda: digits(house) == {"a": 12})
        assert [1, 2] == [retry.attempt for retry in daemon.retries]


async def test_a_retry_may_let_others_pass(house: House) -> None:
    """With `on_retry: pass` the key goes on, and the retry comes when it is due."""
    house.keyed(run={"max_retries": 1, "retry_delay": 0.1, "on_retry": "pass"})
    async with house.serving() as daemon:
        house.publish("in/work/a", 1, "fail", "ok")
        house.publish("in/work/a", 2)

        await daemon.outcomes(2)
        assert [1, 2, 1] == house.steering.calls
        await daemon.until(lambda: digits(house) == {"a": 21})


async def test_a_dead_letter_releases_its_key(house: House) -> None:
    """What failed leaves no state, and the next run goes on from before it."""
    house.keyed()
    async with house.serving() as daemon:
        house.publish("in/work/a", 1)
        house.publish("in/work/a", 2, "fail")
        house.publish("in/work/a", 3)

        assert ["succeeded", "failed", "succeeded"] == await daemon.outcomes(3)
        await daemon.until(lambda: digits(house) == {"a": 13})
        await daemon.until(lambda: house.published("fp/house/dlq/work"))


async def test_an_abandoned_thread_holds_its_key_until_it_returns(house: House) -> None:
    """The run has timed out and is settled, but the next one of the key waits for the thread."""
    house.keyed(run=HANGS)
    async with house.serving() as daemon:
        house.publish("in/work/a", 1, "gate")
        house.publish("in/work/a", 2)
        house.publish("in/work/b", 3)

        outcomes = await daemon.outcomes(2)
        assert ["succeeded", "timed_out"] == sorted(outcomes)
        assert [1, 3] == sorted(house.steering.calls)
        house.steering.gates[1].open()
        await daemon.outcomes(3)
        assert set() == house.steering.overlaps
        await daemon.until(lambda: digits(house) == {"a": 2, "b": 3})


@pytest.mark.parametrize("policy", ["hold", "pass"])
async def test_a_retry_waits_for_its_own_abandoned_thread(house: House, policy: str) -> None:
    """Due or not: one at a time holds for a run itself too."""
    house.keyed(run={**HANGS, "max_retries": 1, "retry_delay": 0, "on_retry": policy})
    async with house.serving() as daemon:
        house.publish("in/work/a", 1, "gate", "ok")
        house.publish("in/work/b", 2)
        await daemon.outcomes(1)
        await daemon.until(lambda: daemon.retries)
        house.publish("in/work/a", 3)
        assert 1 == house.steering.attempts[1]

        house.steering.gates[1].open()
        await daemon.outcomes(3)
        assert set() == house.steering.overlaps
        assert 2 == house.steering.attempts[1]


async def test_without_a_key_a_retry_waits_for_no_thread(house: House) -> None:
    """Nothing is kept of the first attempt when its thread returns later."""
    house.pipeline(run={**HANGS, "max_retries": 1, "retry_delay": 0})
    async with house.serving() as daemon:
        house.publish("in/work", 1, "gate", "ok")

        assert ["succeeded"] == await daemon.outcomes(1)
        house.steering.gates[1].open()
        await daemon.asked(lambda status: status["executors"]["threadpool(4)"]["abandoned"] == 0)
        assert 0 == (await daemon.ask("status"))["totals"]["pending_bytes"]


async def test_a_dead_letter_is_retried_while_its_thread_still_runs(house: House) -> None:
    """The retry waits for the thread of the first time; the key is not lost."""
    house.keyed(run=HANGS)
    async with house.serving() as daemon:
        house.publish("in/work/a", 1, "gate", "ok")
        assert ["timed_out"] == await daemon.outcomes(1)
        await daemon.ask("dlq.retry", run_ids=[daemon.ended[0].run_id])
        assert 1 == house.steering.attempts[1]

        house.steering.gates[1].open()
        assert ["timed_out", "succeeded"] == await daemon.outcomes(2)
        assert set() == house.steering.overlaps
        assert (0, 0) == await held(daemon)


async def held(daemon: object) -> tuple[int, int]:
    """Runs and bytes in memory."""
    from .conftest import Daemon

    assert isinstance(daemon, Daemon)
    totals = (await daemon.ask("status"))["totals"]
    return totals["pending"], totals["pending_bytes"]


async def test_runs_of_a_trigger_are_limited(house: House) -> None:
    """`concurrency` bounds what is under way, not what is accepted."""
    trigger = {"topic": "in/work", "concurrency": 2, "map": {"n": "payload.n", "do": "payload.do"}}
    house.pipeline(triggers=[trigger], run={"executor": {"type": "threadpool", "max_workers": 4}})
    async with house.serving() as daemon:
        for number in range(5):
            house.publish("in/work", number, "gate")
        status = await daemon.asked(lambda status: status["totals"]["pending"] == 5)
        assert 2 == status["pipelines"][0]["triggers"][0]["executing"]
        for number in range(5):
            house.steering.gates[number].open()
        assert ["succeeded"] * 5 == await daemon.outcomes(5)


async def test_quick_runs_loosen_no_limit(house: House) -> None:
    """More of them may be handed over where the workers are the bound, but not where `concurrency` is."""
    trigger = {"topic": "in/work", "concurrency": 2, "map": {"n": "payload.n", "do": "payload.do"}}
    house.pipeline(triggers=[trigger], run={"executor": {"type": "threadpool", "max_workers": 4}})
    async with house.serving() as daemon:
        for number in range(50):
            house.publish("in/work", number, "ok")
        await daemon.outcomes(50)
        for number in range(50, 55):
            house.publish("in/work", number, "gate", "ok")
        await daemon.asked(lambda status: status["totals"]["pending"] == 5)
        await house.steering.gates[51].entered()
        assert [50, 51] == house.steering.calls[50:]
        assert 2 == daemon.service.parts.runner.executing
        house.steering.open_all()


async def test_a_reset_voids_what_a_running_run_computes(house: House) -> None:
    """The run that was under way is told nothing, the next one starts from nothing."""
    house.keyed()
    async with house.serving() as daemon:
        house.publish("in/work/a", 1)
        house.publish("in/work/a", 2, "gate")
        house.publish("in/work/a", 3)
        await house.steering.gates[2].entered()
        await daemon.ask("state.reset", pipeline="work", key="a")
        house.steering.gates[2].open()

        await daemon.outcomes(3)
        shown = await daemon.ask("state.show", pipeline="work", key="a")
        assert {"total": 3} == shown["value"]


async def test_a_reset_during_an_attempt_that_fails_leaves_the_next_one_its_state(house: House) -> None:
    """Only what was computed from the old state is void."""
    house.keyed(run={"max_retries": 1, "retry_delay": 0})
    async with house.serving() as daemon:
        house.publish("in/work/a", 1)
        house.publish("in/work/a", 2, "gate fail", "ok")
        await house.steering.gates[2].entered()
        await daemon.ask("state.reset", pipeline="work", key="a")
        house.steering.gates[2].open()

        await daemon.outcomes(2)
        shown = await daemon.ask("state.show", pipeline="work", key="a")
        assert {"total": 2} == shown["value"]


async def test_state_outlives_the_daemon(house: House) -> None:
    """The next life reads it from the ledger."""
    house.use_sqlite()
    house.keyed()
    for number in (1, 2, 3):
        async with house.serving() as daemon:
            house.publish("in/work/a", number)
            await daemon.outcomes(1)
            assert await daemon.stop()
    assert {"a": 123} == digits(house)
