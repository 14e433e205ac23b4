"""An executor that is started when it is first needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from fp_events.domain.errors import ExecutorUnavailable
from fp_events.domain.ports import Executor
from fp_events.domain.run import Ended
from fp_events.executors.late import LateExecutor
from fp_events.executors.threadpool import ThreadpoolExecutor

from . import test_contract as contract
from .handlers import load
from .runs import attempt, gather, only, run


class Makes:
    """Counts the executors that were made; fails as often as it is told to."""

    def __init__(self) -> None:
        self.made: list[ThreadpoolExecutor] = []
        self.failures = 0

    def __call__(self) -> Executor:
        if self.failures:
            self.failures -= 1
            raise ExecutorUnavailable("nobody answers", where="run.executor.url", mend="start it")
        self.made.append(ThreadpoolExecutor(load, 2))
        return self.made[-1]


@pytest.fixture
def makes() -> Makes:
    """What is made late."""
    return Makes()


@pytest.fixture
async def executor(makes: Makes) -> AsyncIterator[LateExecutor]:
    """A late threadpool; also what the contract's tests below ask for."""
    late = LateExecutor(makes, idle=0.05)
    await late.start()
    yield late
    await late.close(0.1)


test_a_burst_comes_back_whole = contract.test_a_burst_comes_back_whole
test_an_async_run_is_stopped_at_its_timeout = contract.test_an_async_run_is_stopped_at_its_timeout
test_cancel_knows_only_what_is_here = contract.test_cancel_knows_only_what_is_here
test_a_running_async_run_is_cancelled = contract.test_a_running_async_run_is_cancelled
test_a_queued_run_is_cancelled_before_it_begins = contract.test_a_queued_run_is_cancelled_before_it_begins


async def test_it_lives_while_it_is_used(executor: LateExecutor, makes: Makes) -> None:
    """Made with the first attempt, ended when idle, made again with the next."""
    assert [] == makes.made

    executor.submit([attempt("slow", "sleep", "0.15")])
    await gather(executor, 1)
    assert 1 == len(makes.made)
    async with asyncio.timeout(10):
        while executor.status()["workers"]:
            await asyncio.sleep(0.01)
    await run(executor, attempt("next"))

    assert 2 == len(makes.made)


async def test_one_that_cannot_be_started_fails_what_waits(executor: LateExecutor, makes: Makes) -> None:
    """With the reason; the next attempt tries again."""
    makes.failures = 1

    failed = (await run(executor, attempt("r")))["r"]

    failure = failed.failure
    assert failure is not None
    assert (Ended.RAISED, "fp_events.domain.errors.ExecutorUnavailable") == (failed.ended, failure.type)
    assert "nobody answers" in failure.message
    executor.submit([attempt("r")])
    assert Ended.RETURNED == (await only(executor)).ended
