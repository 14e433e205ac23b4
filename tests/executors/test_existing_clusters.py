"""Clusters that are there already, and that others use too."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from fp_events.domain.errors import ExecutorUnavailable
from fp_events.domain.run import Ended
from fp_events.executors.dask import DaskExecutor
from tests.support import free_port

from .cluster_parts import BOOTSTRAP, DaskCluster, family, is_alive, require_extra
from .runs import attempt, gather, only, released, run, until

FOLDER = str(Path(__file__).parents[2])


@pytest.fixture(scope="module")
def cluster() -> Iterator[DaskCluster]:
    """A scheduler with a worker of two threads."""
    require_extra("dask")
    made = DaskCluster(free_port())
    yield made
    made.kill()


def dask(address: str, **options: object) -> DaskExecutor:
    """An executor on it."""
    return DaskExecutor(BOOTSTRAP, b"", address=address, path=[FOLDER], **options)  # type: ignore[arg-type]  # by name


async def test_a_task_that_cannot_be_stopped_is_abandoned(cluster: DaskCluster, tmp_path: Path) -> None:
    """At its timeout, or when it is cancelled: the result says so, and a release follows its return."""
    made = dask(cluster.address)
    await made.start()
    try:
        first, second = tmp_path / "first", tmp_path / "second"
        late = (await run(made, attempt("late", "wait_for_file", str(first), timeout=0.2)))["late"]
        made.submit([attempt("unwanted", "wait_for_file", str(second))])
        await until(lambda: made.status()["busy"] == 1)
        assert made.cancel("unwanted")
        unwanted = await only(made)
        assert 2 == made.status()["abandoned"]
        first.touch()
        assert "late" == (await released(made)).run_id
        second.touch()
        assert "unwanted" == (await released(made)).run_id

        assert [(Ended.TIMED_OUT, True), (Ended.CANCELLED, True)] == [
            (result.ended, result.abandoned) for result in (late, unwanted)
        ]
        assert 0 == made.status()["abandoned"]
    finally:
        await made.close(0)


async def test_a_run_that_awaits_is_stopped_on_its_worker(cluster: DaskCluster) -> None:
    """Its thread is free for the next, though nothing stops a task from outside."""
    made = dask(cluster.address, max_workers=1)
    await made.start()
    try:
        made.submit([attempt("r", "async_sleep", "60", timeout=0.1), attempt("next")])
        results = await gather(made, 2, may_release=True)

        assert {"r": Ended.TIMED_OUT, "next": Ended.RETURNED} == {key: item.ended for key, item in results.items()}
    finally:
        await made.close(0)


async def test_a_scheduler_that_comes_back_is_found(tmp_path: Path) -> None:
    """Killed with all that it held: what ran runs again, what comes meanwhile waits, and the link is told."""
    require_extra("dask")
    port = free_port()
    cluster = DaskCluster(port)
    told: list[str] = []
    made = dask(cluster.address, on_link=told.append)
    await made.start()
    try:
        began = tmp_path / "began"
        made.submit([attempt("r", "hang_once", str(began))])
        await until(began.exists)
        cluster.kill()
        await until(lambda: bool(told))
        made.submit([attempt("meanwhile")])
        cluster = DaskCluster(port)

        results = await gather(made, 2)

        assert {Ended.RETURNED} == {item.ended for item in results.values()}
        assert (2, "") == (len(told), told[1])
    finally:
        cluster.kill()
        await made.close(0)


async def test_no_more_run_at_a_time_than_max_workers(cluster: DaskCluster) -> None:
    """On a cluster that has room for two, one after the other."""
    made = dask(cluster.address, max_workers=1)
    await made.start()
    try:
        results = await run(made, *(attempt(f"r{n}", "sleep", "0.05") for n in range(4)))
        ends = sorted(result.started_at for result in results.values())

        assert all((later - sooner).total_seconds() >= 0.05 for sooner, later in pairwise(ends))
    finally:
        await made.close(0)


async def test_tasks_take_the_options_that_they_are_given(cluster: DaskCluster) -> None:
    """Workers without a resource never run what asks for it."""
    made = dask(cluster.address, options={"resources": {"GPU": 1}})
    await made.start()
    try:
        made.submit([attempt("r")])
        await until(lambda: made.status()["queued"] == 1)
        made.cancel("r")

        assert Ended.CANCELLED == (await only(made)).ended
    finally:
        await made.close(0)


async def test_nobody_at_the_address_ends_the_start() -> None:
    """One sentence, exit code 69."""
    require_extra("dask")
    address = f"tcp://127.0.0.1:{free_port()}"

    with pytest.raises(ExecutorUnavailable) as caught:
        await dask(address).start()

    assert (69, "run.executor.address") == (caught.value.exit_code, caught.value.where)
    assert f"the dask cluster at {address} cannot be reached" in str(caught.value)


_STARTED = """
import asyncio, os
from tests.executors.cluster_parts import MAKERS


async def main():
    made = MAKERS["dask"]()
    await made.start()
    print(made._link.pid, flush=True)
    await asyncio.sleep(60)


asyncio.run(main())
"""


async def test_a_cluster_of_ours_ends_with_a_daemon_that_is_killed() -> None:
    """SIGKILL, and a moment later no process is left of it."""
    require_extra("dask")
    with subprocess.Popen([sys.executable, "-c", _STARTED], stdout=subprocess.PIPE, cwd=FOLDER) as daemon:
        assert daemon.stdout is not None
        processes = family(int(daemon.stdout.readline()))
        assert len(processes) >= 3
        daemon.kill()

    async with asyncio.timeout(15):
        await until(lambda: not any(is_alive(process) for process in processes))
