"""Runs on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from fp_events.domain.run import Ended, Released
from fp_events.executors.local import LocalExecutor

from .handlers import load
from .runs import attempt, gather, only, released, run


@pytest.fixture
async def local() -> AsyncIterator[LocalExecutor]:
    """A started LocalExecutor."""
    made = LocalExecutor(load)
    await made.start()
    yield made
    await made.close(0)


async def test_async_runs_go_side_by_side(local: LocalExecutor) -> None:
    """A run that waits holds up no other."""
    local.submit([attempt("slow", "async_sleep", "30"), attempt("fast", "async_sleep", "0")])

    assert "fast" == (await only(local)).run_id


async def test_sync_runs_leave_the_loop_its_turn(local: LocalExecutor) -> None:
    """Between sync runs of a millisecond the loop serves others: one long burst does not starve them."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    other = asyncio.create_task(others())
    await run(local, *(attempt(f"r{n}", "sleep", "0.001") for n in range(50)))
    other.cancel()

    assert turns >= 5


async def test_a_blocker_is_named() -> None:
    """`on_blocked` is told which pipeline held the loop, and for how long."""
    blocked: list[tuple[str, float]] = []
    local = LocalExecutor(load, on_blocked=lambda pipeline, seconds: blocked.append((pipeline, seconds)))

    await run(local, attempt("quick"), attempt("long", "sleep", "0.15", timeout=0.01))

    ((pipeline, seconds),) = blocked
    assert "sleep" == pipeline
    assert 0.15 <= seconds
    assert 1 == local.status()["blocked"]
    await local.close(0)


async def test_a_sync_run_that_overran_is_returned(local: LocalExecutor) -> None:
    """Nothing can stop it, and its work is done."""
    result = (await run(local, attempt("r", "sleep", "0.05", timeout=0.01)))["r"]

    assert Ended.RETURNED == result.ended


async def test_a_second_cancellation_ends_what_swallowed_the_first(local: LocalExecutor) -> None:
    """A plan that swallows one cancellation is not abandoned."""
    result = (await run(local, attempt("r", "async_swallow_once", timeout=0.05)))["r"]

    assert (Ended.TIMED_OUT, False) == (result.ended, result.abandoned)


async def test_what_swallows_every_cancellation_is_abandoned_and_released(local: LocalExecutor) -> None:
    """TIMED_OUT comes while the run goes on; Released when it has returned."""
    local.submit([attempt("r", "async_swallow", "1.0", timeout=0.05)])

    result = await only(local)
    assert (Ended.TIMED_OUT, True) == (result.ended, result.abandoned)
    assert (1, 0) == (local.status()["abandoned"], local.status()["busy"])

    assert Released(run_id="r", number=1) == await released(local)
    assert 0 == local.status()["abandoned"]


async def test_a_run_that_ends_its_work_when_cancelled_is_returned(local: LocalExecutor) -> None:
    """A run that answered the timeout's cancellation with its value did its work once: that counts."""
    result = (await run(local, attempt("r", "async_swallow", "0.1", timeout=0.05)))["r"]

    assert Ended.RETURNED == result.ended


async def test_close_cancels_what_does_not_end() -> None:
    """After its grace, `close` stops what still runs."""
    local = LocalExecutor(load)
    local.submit([attempt(f"r{n}", "async_sleep", "30") for n in range(3)])
    await run(local, attempt("quick"))

    await local.close(0.01)

    assert {Ended.CANCELLED} == {result.ended for result in (await gather(local, 3)).values()}
    assert 0 == local.status()["busy"]
