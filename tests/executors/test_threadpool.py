"""Runs on threads: what cannot be stopped holds up nobody else."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from fp_events.domain.run import AttemptResult, Ended, Released
from fp_events.executors.threadpool import ThreadpoolExecutor

from .handlers import load
from .runs import attempt, gather, only, released, run, until


async def test_fast_runs_do_not_wait_behind_slow_ones(threads: ThreadpoolExecutor, tmp_path: Path) -> None:
    """A thousand fast runs end while more slow ones than there are threads still block."""
    flag = tmp_path / "go"
    for number in range(20):  # the first one may be slow: it imports
        await run(threads, attempt(f"measure{number}", "echo"))
    slow = [attempt(f"slow{n}", "wait_for_file", str(flag)) for n in range(8)]
    fast = [attempt(f"fast{n}", "echo") for n in range(1000)]

    threads.submit([*slow, *fast])
    results = await gather(threads, 1000)
    assert {item.run_id for item in fast} == set(results)

    flag.touch()
    assert {item.run_id for item in slow} == set(await gather(threads, 8))


async def test_a_pipeline_that_turns_slow_holds_up_no_other(threads: ThreadpoolExecutor, tmp_path: Path) -> None:
    """A pipeline known to be fast blocks one thread at a time until it is noticed: the others go on."""
    flag, there = tmp_path / "go", tmp_path / "there"
    there.touch()
    await run(threads, *(attempt(f"m{n}", "wait_for_file", str(there)) for n in range(5)))
    await run(threads, attempt("m", "echo"))

    threads.submit([attempt("slow", "wait_for_file", str(flag)), *(attempt(f"fast{n}", "echo") for n in range(100))])
    results = await gather(threads, 100)
    assert "slow" not in results

    flag.touch()
    assert "slow" == (await only(threads)).run_id


async def test_a_hung_run_is_abandoned_and_released(threads: ThreadpoolExecutor, tmp_path: Path) -> None:
    """TIMED_OUT comes at the timeout, Released when the thread has returned."""
    flag = tmp_path / "go"
    threads.submit([attempt("r", "wait_for_file", str(flag), timeout=0.05)])

    result = await only(threads)
    assert (Ended.TIMED_OUT, True) == (result.ended, result.abandoned)
    assert 0.05 <= result.duration
    assert 1 == threads.status()["abandoned"]

    flag.touch()
    assert Released(run_id="r", number=1) == await released(threads)
    assert 0 == threads.status()["abandoned"]


async def test_hung_runs_do_not_use_up_the_threads(tmp_path: Path) -> None:
    """Twice as many hung runs as threads, and the pool still has all its room."""
    threads = ThreadpoolExecutor(load, 2)
    await threads.start()
    flag = tmp_path / "go"
    hung = [attempt(f"hung{n}", "wait_for_file", str(flag), timeout=0.02) for n in range(4)]

    assert {Ended.TIMED_OUT} == {result.ended for result in (await run(threads, *hung)).values()}
    assert Ended.RETURNED == (await run(threads, attempt("next")))["next"].ended
    assert (2, 4) == (threads.status()["workers"], threads.status()["abandoned"])

    flag.touch()
    back: list[Released | AttemptResult] = []
    while len(back) < 4:
        back.extend(await threads.results())
    assert {item.run_id for item in hung} == {item.run_id for item in back}
    assert Ended.RETURNED == (await run(threads, attempt("last")))["last"].ended
    await threads.close(1)


async def test_lost_threads_are_replaced_up_to_a_limit(tmp_path: Path) -> None:
    """Above the limit the pool shrinks and says so; when the threads return it is whole again."""
    threads = ThreadpoolExecutor(load, 2)
    await threads.start()
    flag = tmp_path / "go"
    whole = threads.capacity

    for n in range(10):
        await run(threads, attempt(f"hung{n}", "wait_for_file", str(flag), timeout=0.01))
    threads.submit([attempt("waits")])
    assert (0, 0, 1) == (threads.status()["workers"], threads.capacity, threads.status()["queued"])

    flag.touch()
    seen: list[Released | AttemptResult] = []
    while len(seen) < 11:
        seen.extend(await threads.results())
    assert {"waits"} == {item.run_id for item in seen if isinstance(item, AttemptResult)}
    assert (2, whole) == (threads.status()["workers"], threads.capacity)
    await threads.close(1)


async def test_a_running_run_is_cancelled_and_abandoned(threads: ThreadpoolExecutor, tmp_path: Path) -> None:
    """A thread cannot be stopped: CANCELLED at once, Released later."""
    flag = tmp_path / "go"
    threads.submit([attempt("r", "wait_for_file", str(flag))])
    await until(lambda: threads.status()["busy"] == 1 and not threads.status()["queued"])

    assert threads.cancel("r")
    result = await only(threads)
    assert (Ended.CANCELLED, True) == (result.ended, result.abandoned)

    flag.touch()
    assert Released(run_id="r", number=1) == await released(threads)


async def test_a_run_behind_blocked_threads_is_cancelled(tmp_path: Path) -> None:
    """A run that no thread has begun is dropped; it never runs."""
    threads = ThreadpoolExecutor(load, 1)
    await threads.start()
    flag, ran = tmp_path / "go", tmp_path / "ran"
    threads.submit([attempt("first", "wait_for_file", str(flag)), attempt("second", "hang_once", str(ran))])
    await until(lambda: threads.status()["busy"] == 1)

    assert threads.cancel("second")
    result = await only(threads)
    assert ("second", Ended.CANCELLED, False) == (result.run_id, result.ended, result.abandoned)

    flag.touch()
    assert "first" == (await only(threads)).run_id
    assert not ran.exists()
    await threads.close(1)


async def test_an_awaiting_run_gives_its_thread_back(threads: ThreadpoolExecutor) -> None:
    """An async run that timed out is cancelled on its thread, so its release follows at once."""
    threads.submit([attempt("r", "async_sleep", "3600", timeout=0.02)])

    result = await only(threads)
    assert (Ended.TIMED_OUT, True) == (result.ended, result.abandoned)
    assert Released(run_id="r", number=1) == await released(threads)


async def test_the_loop_stays_free_while_threads_block(threads: ThreadpoolExecutor, tmp_path: Path) -> None:
    """Blocking runs leave the loop its turns."""
    flag = tmp_path / "go"
    threads.submit([attempt(f"r{n}", "wait_for_file", str(flag)) for n in range(3)])

    for _ in range(50):
        await asyncio.sleep(0.001)
    flag.touch()

    assert 3 == len(await gather(threads, 3))


async def test_close_leaves_hung_threads_behind(tmp_path: Path) -> None:
    """`close` returns after its grace; the thread is a daemon."""
    threads = ThreadpoolExecutor(load, 2)
    await threads.start()
    flag = tmp_path / "go"
    threads.submit([attempt("r", "wait_for_file", str(flag))])
    await until(lambda: threads.status()["busy"] == 1)

    await threads.close(0.05)

    assert 1 == threads.status()["busy"]
    flag.touch()
    await until(lambda: threads.status()["busy"] == 0)


HUNG = """
import asyncio
from fp_events.executors.threadpool import ThreadpoolExecutor
from tests.executors.handlers import load
from tests.executors.runs import attempt

async def main():
    threads = ThreadpoolExecutor(load, 2)
    await threads.start()
    threads.submit([attempt("r", "sleep", "3600", timeout=0.05)])
    (result,) = await threads.results()
    await threads.close(0.05)
    print(result.ended.value)

asyncio.run(main())
"""


def test_a_hung_thread_does_not_keep_the_process() -> None:
    """The interpreter ends although a thread sleeps for an hour."""
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", HUNG], cwd=root, capture_output=True, text=True, timeout=30, check=False
    )

    assert (0, "timed_out\n", "") == (ended.returncode, ended.stdout, ended.stderr)
