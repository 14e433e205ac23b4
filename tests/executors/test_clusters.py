"""Runs on clusters of our own, Ray's and Dask's: what all executors have in common, and what workers and links do."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from fp_events.domain.run import Ended
from fp_events.executors._cluster import ClusterExecutor
from fp_events.executors.ray import RayExecutor

from . import test_contract as contract
from .cluster_parts import MAKERS, family, is_alive, require_extra
from .runs import attempt, gather, only, run, until

# One cluster of each kind serves all tests here.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(params=list(MAKERS), scope="module", loop_scope="module")
async def executor(request: pytest.FixtureRequest) -> AsyncIterator[ClusterExecutor]:
    """Each kind in turn, started, with two workers."""
    require_extra(request.param)
    made = MAKERS[request.param]()
    assert isinstance(made, ClusterExecutor)
    await made.start()
    yield made
    await made.close(0.1)


async def test_it_has_as_many_workers_as_were_asked_for(executor: ClusterExecutor) -> None:
    """`num_cpus` of Ray, `max_workers` of Dask."""
    assert (2, 2) == (executor.status()["workers"], executor.parallel)


test_a_burst_comes_back_whole = contract.test_a_burst_comes_back_whole
test_a_message_reaches_the_handler = contract.test_a_message_reaches_the_handler
test_whatever_a_handler_raises_is_its_runs_failure = contract.test_whatever_a_handler_raises_is_its_runs_failure
test_runs_do_not_see_each_others_context = contract.test_runs_do_not_see_each_others_context
test_an_async_run_is_stopped_at_its_timeout = contract.test_an_async_run_is_stopped_at_its_timeout
test_a_run_within_its_timeout_returns = contract.test_a_run_within_its_timeout_returns
test_cancel_knows_only_what_is_here = contract.test_cancel_knows_only_what_is_here
test_a_running_async_run_is_cancelled = contract.test_a_running_async_run_is_cancelled
test_a_queued_run_is_cancelled_before_it_begins = contract.test_a_queued_run_is_cancelled_before_it_begins
test_a_new_reader_takes_over_from_a_cancelled_one = contract.test_a_new_reader_takes_over_from_a_cancelled_one


async def test_a_timeout_cannot_be_swallowed(executor: ClusterExecutor) -> None:
    """A run that computes for ever is killed at its timeout."""
    results = await run(executor, attempt("r", "spin", timeout=0.2), attempt("next"))

    assert {"r": Ended.TIMED_OUT, "next": Ended.RETURNED} == {key: item.ended for key, item in results.items()}


async def test_a_run_that_is_under_way_is_cancelled(executor: ClusterExecutor, tmp_path: Path) -> None:
    """Its process is killed, though it never awaits."""
    began = tmp_path / "began"
    executor.submit([attempt("r", "spin", str(began))])
    await until(lambda: began.exists() and began.read_text() != "")

    assert executor.cancel("r")
    result = await only(executor)

    assert Ended.CANCELLED == result.ended
    assert not result.abandoned
    await until(lambda: not is_alive(int(began.read_text())))


async def test_a_run_that_is_cancelled_as_it_begins_does_not_go_on(executor: ClusterExecutor, tmp_path: Path) -> None:
    """Whether its worker has told of it or not: nothing computes for ever, and no worker is lost to it."""
    began = [tmp_path / str(number) for number in range(3)]
    for number, file in enumerate(began):
        executor.submit([attempt(f"r{number}", "spin", str(file))])
        await asyncio.sleep(0.006 * number)
        executor.cancel(f"r{number}")
        assert Ended.CANCELLED == (await only(executor)).ended

    await until(lambda: not any(file.exists() and is_alive(int(file.read_text() or 0)) for file in began))
    results = await run(executor, *(attempt(f"s{number}", "sleep", "0.01") for number in range(8)))

    assert {Ended.RETURNED} == {result.ended for result in results.values()}


@pytest.mark.parametrize("pipeline", ["kill_itself", "exit_process"])
async def test_a_worker_that_dies_ends_only_its_run(executor: ClusterExecutor, pipeline: str) -> None:
    """CRASHED, and the cluster goes on with another worker."""
    results = await run(executor, attempt("bad", pipeline, "7"), attempt("good"))

    failure = results["bad"].failure
    assert (Ended.CRASHED, "WorkerLost") == (results["bad"].ended, failure.type if failure else "")
    assert Ended.RETURNED == results["good"].ended


async def test_those_in_the_job_of_a_crash_run_again(executor: ClusterExecutor) -> None:
    """One job carries many runs of a fast pipeline; one that dies takes none of the others with it."""
    await run(executor, *(attempt(f"w{n}", "echo_or_die") for n in range(8)))
    fast = [attempt(f"r{n}", "echo_or_die", str(n)) for n in range(40)]
    fast[20] = attempt("bad", "echo_or_die", "die")

    results = await run(executor, *fast)

    assert Ended.CRASHED == results.pop("bad").ended
    assert (39, {Ended.RETURNED}) == (len(results), {item.ended for item in results.values()})


async def test_a_killed_worker_loses_no_run(executor: ClusterExecutor) -> None:
    """SIGKILL in the middle: its run ends CRASHED and is tried again; all end."""
    process = int((await run(executor, attempt("who", "pid")))["who"].values or b"0")
    attempts = {f"r{n}": attempt(f"r{n}", "sleep", "0.02") for n in range(40)}
    returned: set[str] = set()
    crashed = 0
    executor.submit(list(attempts.values()))
    while len(returned) < len(attempts):
        for item in await executor.results():
            if getattr(item, "ended", None) is Ended.CRASHED:
                crashed += 1
                executor.submit([attempts[item.run_id]])
            else:
                assert item.run_id not in returned
                returned.add(item.run_id)
        if len(returned) >= 10 and process:
            os.kill(process, signal.SIGKILL)
            process = 0

    assert crashed <= 1


async def test_a_hundred_at_once(executor: ClusterExecutor) -> None:
    """A hundred runs of one pipeline, each with its own result."""
    attempts = [attempt(f"r{n}", "echo", str(n)) for n in range(100)]

    results = await run(executor, *attempts)

    assert {f"r{n}": str(n).encode() for n in range(100)} == {key: item.values for key, item in results.items()}
    assert 0 == executor.status()["queued"]


async def test_a_lost_cluster_is_started_again(executor: ClusterExecutor, tmp_path: Path) -> None:
    """The process that speaks to it is killed, and the cluster with it: what ran runs again, and the link is told."""
    if isinstance(executor, RayExecutor) and os.environ.get("CLUSTERS") != "all":
        pytest.skip("CLUSTERS=all; Dask's has the same, and starts sooner")
    told: list[str] = []
    executor._on_link = told.append
    link = executor._link
    assert link is not None
    await run(executor, attempt("before"))
    began = tmp_path / "began"
    executor.submit([attempt("r", "hang_once", str(began)), *(attempt(f"s{n}", "sleep", "0.01") for n in range(5))])
    await until(began.exists)

    os.kill(link.pid, signal.SIGKILL)
    results = await gather(executor, 6)

    assert {Ended.RETURNED} == {item.ended for item in results.values()}
    assert (2, True, "") == (len(told), bool(told[0]), told[1])
    assert 1 == executor.status()["connected"]


async def test_nothing_outlives_its_executor(executor: ClusterExecutor) -> None:
    """After `close`, which lets an async run end within its grace, no process is left of the cluster."""
    link = executor._link
    assert link is not None
    executor.submit([attempt("r", "async_sleep", "0.3")])
    await until(lambda: executor.status()["busy"] == 1)
    processes = family(link.pid)

    await executor.close(10)

    assert "r" == (await only(executor)).run_id
    async with asyncio.timeout(10):
        await until(lambda: not any(is_alive(process) for process in processes))
