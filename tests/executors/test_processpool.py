"""Runs in processes: killed at the timeout, and a crash is one run's own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fp_events.domain.run import Attempt, Ended
from fp_events.executors.processpool import ProcesspoolExecutor

from .conftest import BOOTSTRAP
from .runs import attempt, gather, only, run, until


def exists(pid: int) -> bool:
    """Whether a process lives; a zombie does not."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or stat.read_text().rpartition(") ")[2][0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def bystanders(count: int) -> list[Attempt]:
    """Runs that must come through whatever happens beside them."""
    return [attempt(f"b{n}", "echo", str(n)) for n in range(count)]


async def test_a_spinning_run_is_killed_at_its_timeout(processes: ProcesspoolExecutor, tmp_path: Path) -> None:
    """Its process is gone, it is not abandoned, and the bystanders return."""
    file = tmp_path / "pid"

    results = await run(processes, attempt("spin", "spin", str(file), timeout=0.2), *bystanders(200))

    spin = results.pop("spin")
    assert (Ended.TIMED_OUT, False) == (spin.ended, spin.abandoned)
    assert 0.2 <= spin.duration
    assert {Ended.RETURNED} == {result.ended for result in results.values()}
    assert not exists(int(file.read_text()))


async def test_what_waited_behind_a_killed_run_runs_elsewhere(processes: ProcesspoolExecutor, tmp_path: Path) -> None:
    """A pipeline measured as fast hangs in the middle of a chunk: the rest of the chunk still returns."""
    there = tmp_path / "there"
    there.touch()
    for n in range(20):
        await run(processes, attempt(f"m{n}", "hang_once", str(there)))
    chunk = [attempt(f"r{n}", "hang_once", str(there), timeout=0.2) for n in range(20)]
    chunk[3] = attempt("r3", "hang_once", str(tmp_path / "not there"), timeout=0.2)

    results = await run(processes, *chunk)

    ended = {key: result.ended for key, result in results.items()}
    assert Ended.TIMED_OUT == ended.pop("r3")
    assert {Ended.RETURNED} == set(ended.values())


@pytest.mark.parametrize(
    ("pipeline", "request_", "says"),
    [
        ("exit_process", "7", "exited with code 7"),
        ("exit_process", "0", "exited with code 0"),
        ("segfault", "", "was killed by SIGSEGV"),
        ("kill_itself", "", "was killed by SIGKILL"),
    ],
)
async def test_a_crash_fails_only_its_run(
    processes: ProcesspoolExecutor, pipeline: str, request_: str, says: str
) -> None:
    """CRASHED names how the process died; everything around it returns."""
    around = bystanders(400)

    results = await run(processes, *around[:200], attempt("bad", pipeline, request_), *around[200:])

    bad = results.pop("bad")
    assert Ended.CRASHED == bad.ended
    assert bad.failure is not None
    assert says in bad.failure.message
    assert "bad" in bad.failure.message
    assert {item.run_id: item.request for item in around} == {key: result.values for key, result in results.items()}


async def test_the_pool_lives_through_many_crashes(processes: ProcesspoolExecutor) -> None:
    """Every crash is its own run's, however many there are."""
    bad = [attempt(f"bad{n}", "exit_process", "1") for n in range(20)]

    results = await run(processes, *bad, *bystanders(20))

    assert {Ended.CRASHED} == {results[item.run_id].ended for item in bad}
    assert {Ended.RETURNED} == {results[item.run_id].ended for item in bystanders(20)}


async def test_a_crash_is_noticed_behind_a_copy_of_the_process(processes: ProcesspoolExecutor, tmp_path: Path) -> None:
    """A copy that escaped holds the worker's socket open; the crash is told all the same."""
    file = tmp_path / "pid"

    result = (await run(processes, attempt("r", "daemonize", str(file))))["r"]
    os.kill(int(file.read_text()), signal.SIGKILL)

    assert Ended.CRASHED == result.ended


async def test_a_plan_that_closes_every_descriptor_crashes_alone(processes: ProcesspoolExecutor) -> None:
    """Its outcome has no way back: CRASHED, and the others return."""
    results = await run(processes, attempt("bad", "close_descriptors"), *bystanders(20))

    assert Ended.CRASHED == results.pop("bad").ended
    assert {Ended.RETURNED} == {result.ended for result in results.values()}


async def test_a_killed_helper_takes_only_what_ran(processes: ProcesspoolExecutor, tmp_path: Path) -> None:
    """The kernel may kill the helper too: the run under way is CRASHED, the next ones run."""
    file = tmp_path / "pid"
    processes.submit([attempt("spin", "spin", str(file))])
    await until(lambda: file.exists() and file.read_text() != "")
    worker = int(file.read_text())
    helper = int(Path(f"/proc/{worker}/stat").read_text().rpartition(") ")[2].split()[1])

    os.kill(helper, signal.SIGKILL)

    assert Ended.CRASHED == (await only(processes)).ended
    await until(lambda: not exists(worker))
    assert Ended.RETURNED == (await run(processes, attempt("next")))["next"].ended


async def test_an_idle_worker_that_is_killed_is_nobodys_crash(processes: ProcesspoolExecutor) -> None:
    """Runs that follow the death of an idle worker return."""
    (result,) = (await run(processes, attempt("r", "pid"))).values()

    os.kill(int(result.values or b""), signal.SIGKILL)
    results = await run(processes, *bystanders(50))

    assert {Ended.RETURNED} == {item.ended for item in results.values()}


async def test_a_running_run_is_cancelled_by_killing_it(processes: ProcesspoolExecutor, tmp_path: Path) -> None:
    """CANCELLED, not abandoned, and its process is gone."""
    file = tmp_path / "pid"
    processes.submit([attempt("r", "spin", str(file))])
    await until(lambda: file.exists() and file.read_text() != "")

    assert processes.cancel("r")
    result = await only(processes)

    assert (Ended.CANCELLED, False, None) == (result.ended, result.abandoned, result.failure)
    assert not exists(int(file.read_text()))


async def test_a_run_that_waits_in_a_worker_is_cancelled(processes: ProcesspoolExecutor, tmp_path: Path) -> None:
    """A run behind another in the same chunk ends CANCELLED; its neighbours return."""
    there = tmp_path / "there"
    there.touch()
    for n in range(20):
        await run(processes, attempt(f"m{n}", "wait_for_file", str(there)))
    flag = tmp_path / "go"
    processes.submit([attempt(f"r{n}", "wait_for_file", str(flag)) for n in range(5)])

    assert processes.cancel("r4")
    flag.touch()
    results = await gather(processes, 5)

    assert Ended.CANCELLED == results.pop("r4").ended
    assert {Ended.RETURNED} == {result.ended for result in results.values()}


async def test_programs_that_a_plan_started_are_killed_with_it(processes: ProcesspoolExecutor, tmp_path: Path) -> None:
    """A timeout leaves no grandchildren."""
    file = tmp_path / "pid"

    result = (await run(processes, attempt("r", "start_program", str(file), timeout=0.3)))["r"]

    assert Ended.TIMED_OUT == result.ended
    program = int(file.read_text())
    await until(lambda: not exists(program))


async def test_a_worker_that_grows_is_replaced() -> None:
    """Each worker serves until it has grown by the limit; no run is lost."""
    pool = ProcesspoolExecutor(BOOTSTRAP, b"", 1, max_worker_bytes=20_000_000)
    await pool.start()

    results = [(await run(pool, attempt(f"r{n}", "allocate", "9000000")))[f"r{n}"] for n in range(12)]
    await pool.close(1)

    assert {Ended.RETURNED} == {result.ended for result in results}
    pids = [result.values for result in results]
    assert 4 <= len(set(pids)) <= 6
    assert 3 <= pool.status()["restarts"]


async def test_a_worker_that_served_enough_is_replaced() -> None:
    """After `max_worker_runs` another process takes over, also in the middle of a burst."""
    pool = ProcesspoolExecutor(BOOTSTRAP, b"", 1, max_worker_runs=10)
    await pool.start()

    results = await run(pool, *(attempt(f"r{n}", "pid") for n in range(300)))
    await pool.close(1)

    assert 300 == len(results)
    assert len({result.values for result in results.values()}) >= 3


async def test_what_a_plan_prints_goes_to_standard_error() -> None:
    """The daemon's standard output is its own."""
    ended = _script("""
        await pool.start()
        await run(pool, attempt("r", "shout", "a plan's own words"))
        await pool.close(1)
    """)

    assert (0, "") == (ended.returncode, ended.stdout)
    assert "a plan's own words\n" == ended.stderr


@pytest.mark.parametrize("pipeline", ["unpicklable", "poisoned"])
async def test_a_result_that_cannot_be_carried_over_is_a_failure(processes: ProcesspoolExecutor, pipeline: str) -> None:
    """The run is RAISED, and the worker goes on."""
    results = await run(processes, attempt("bad", pipeline), attempt("good"))

    assert (Ended.RAISED, Ended.RETURNED) == (results["bad"].ended, results["good"].ended)


async def test_an_attempt_that_cannot_be_pickled_is_a_failure(processes: ProcesspoolExecutor) -> None:
    """One bad attempt spoils neither the burst nor the pool."""
    broken = Attempt(run_id="bad", number=1, plan=attempt("bad").plan, captures={"x": lambda: None})  # type: ignore[dict-item]  # the point

    results = await run(processes, *bystanders(10), broken, attempt("good"))

    assert Ended.RAISED == results["bad"].ended
    assert 11 == sum(result.ended is Ended.RETURNED for result in results.values())


async def test_large_values_pass_both_ways(processes: ProcesspoolExecutor) -> None:
    """Payloads far above a socket's buffer arrive whole."""
    text = "x" * 5_000_000

    results = await run(processes, *(attempt(f"r{n}", "echo", text) for n in range(4)))

    assert {text.encode()} == {result.values for result in results.values()}


async def test_a_failing_bootstrap_fails_the_runs() -> None:
    """Every run carries the import's error; the next burst tries again."""
    pool = ProcesspoolExecutor(BOOTSTRAP, b"broken", 2)
    await pool.start()

    for burst in range(2):
        results = await run(pool, *(attempt(f"r{burst}{n}") for n in range(10)))
        failures = [result.failure for result in results.values()]
        assert {Ended.RAISED} == {result.ended for result in results.values()}
        assert all(failure and "pandsa" in failure.message for failure in failures)
    await pool.close(1)


async def test_a_bootstrap_that_ends_the_process_fails_the_runs() -> None:
    """The runs say how the process ended."""
    pool = ProcesspoolExecutor(BOOTSTRAP, b"exit", 2)
    await pool.start()

    result = (await run(pool, attempt("r")))["r"]
    await pool.close(1)

    assert Ended.RAISED == result.ended
    assert result.failure is not None
    assert "exited with code 3" in result.failure.message


async def test_a_broken_bootstrap_mends_itself(tmp_path: Path) -> None:
    """Once the import works, the next submit finds it working."""
    switch = tmp_path / "mended"
    pool = ProcesspoolExecutor("tests.executors.handlers:bootstrap_if", str(switch).encode(), 1)
    await pool.start()
    assert Ended.RAISED == (await run(pool, attempt("first")))["first"].ended

    switch.touch()

    assert Ended.RETURNED == (await run(pool, attempt("second")))["second"].ended
    await pool.close(1)


async def test_workers_that_die_before_any_run_fail_the_queue() -> None:
    """A loader that cannot live through a fork must not keep the pool forking for ever."""
    pool = ProcesspoolExecutor("tests.executors.handlers:bootstrap_dies_forked", b"", 2)
    await pool.start()

    results = await run(pool, *bystanders(10))
    await pool.close(1)

    assert {Ended.CRASHED} == {result.ended for result in results.values()}


async def test_workers_that_end_after_the_helper_are_no_noise(capfd: pytest.CaptureFixture[str]) -> None:
    """The daemon's log has no line about a worker that ends while the helper does."""
    pool = ProcesspoolExecutor("tests.executors.handlers:bootstrap_signalled_at_exit", b"", 2)
    await pool.start()
    await run(pool, *bystanders(10))

    await pool.close(1)

    assert capfd.readouterr().err == ""


async def test_close_kills_what_does_not_end(tmp_path: Path) -> None:
    """After its grace no process of the pool is left."""
    pool = ProcesspoolExecutor(BOOTSTRAP, b"", 1)
    await pool.start()
    file = tmp_path / "pid"
    pool.submit([attempt("r", "spin", str(file))])
    await until(lambda: file.exists() and file.read_text() != "")
    worker = int(file.read_text())
    family = _family(worker)

    await pool.close(0.05)

    await until(lambda: not any(exists(pid) for pid in family))


async def test_no_child_outlives_a_killed_daemon(tmp_path: Path) -> None:
    """SIGKILL of the daemon ends helper, spare and spinning workers."""
    file = tmp_path / "pid"
    with _running(f"""
        await pool.start()
        pool.submit([attempt("r", "spin", {str(file)!r})])
        await pool.results()
    """) as daemon:
        await until(lambda: file.exists() and file.read_text() != "")
        family = _family(int(file.read_text()))
        assert len(family) >= 2

        daemon.kill()

    await until(lambda: not any(exists(pid) for pid in family))


async def test_sigterm_to_the_whole_group_ends_no_run(processes: ProcesspoolExecutor, tmp_path: Path) -> None:
    """A service manager signals every process at a stop; runs under way still end while the daemon drains."""
    flag, file = tmp_path / "go", tmp_path / "pid"
    processes.submit([attempt("first", "pid"), attempt("r", "wait_for_file", str(flag))])
    worker = int((await only(processes)).values or b"")
    family = _family(worker)

    for pid in family:
        os.kill(pid, signal.SIGTERM)
    flag.touch()

    assert ("r", Ended.RETURNED) == ((result := await only(processes)).run_id, result.ended)
    assert not file.exists()


def _family(worker: int) -> list[int]:
    """The helper of a worker, and all its workers."""
    helper = Path(f"/proc/{worker}/stat").read_text().rpartition(") ")[2].split()[1]
    children = Path(f"/proc/{helper}/task/{helper}/children").read_text().split()
    return [int(helper), *map(int, children)]


SCRIPT = """
import asyncio
from fp_events.executors.processpool import ProcesspoolExecutor
from tests.executors.conftest import BOOTSTRAP
from tests.executors.runs import attempt, run

async def main():
    pool = ProcesspoolExecutor(BOOTSTRAP, b"", 1)
{body}
asyncio.run(main())
"""
ROOT = Path(__file__).parents[2]


def _source(body: str) -> str:
    return SCRIPT.format(body="\n".join("    " + line.strip() for line in body.splitlines()))


def _script(body: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _source(body)], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )


@contextmanager
def _running(body: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", _source(body)], cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()
