"""Runs on RQ workers: a real Redis, real worker processes, real kills."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from fp_events.domain.errors import ExecutorUnavailable
from fp_events.domain.run import Ended
from fp_events.executors.rq import RqExecutor

from . import test_contract as contract
from .rq_parts import PROJECT, RedisServer, Worker, workers_there
from .runs import attempt, gather, only, run, until

#: Seconds after which a worker that says nothing is given up; ten where nobody waits for it.
LEASE = 1.5
#: Runs over two workers, one of which is killed; 1000 to see it all.
RUNS = int(os.environ.get("RQ_RUNS", "40"))


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A Redis."""
    made = RedisServer()
    made.start()
    yield made
    made.kill()


@pytest.fixture(scope="module")
def pair(server: RedisServer) -> Iterator[list[Worker]]:
    """Two workers that no test kills."""
    made = [Worker(server.url) for _ in range(2)]
    yield made
    for worker in made:
        worker.kill()


def make(url: str, queue: str = "q", **options: object) -> RqExecutor:
    """An executor with a short lease."""
    given = {"project": PROJECT, "owner": "test", "lease": LEASE, **options}
    return RqExecutor(url, queue, **given)  # type: ignore[arg-type]  # checked where it is called with names


@pytest.fixture
async def executor(server: RedisServer, pair: list[Worker]) -> AsyncIterator[RqExecutor]:
    """Started, with two workers; also what the contract's tests below ask for."""
    made = make(server.url)
    await made.start()
    await workers_there(made, 2)
    yield made
    await made.close(0.1)


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
test_close_waits_for_what_runs = contract.test_close_waits_for_what_runs


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_timeout_cannot_be_swallowed(executor: RqExecutor) -> None:
    """A run that computes for ever is killed at its timeout, in C or in Python."""
    results = await run(executor, attempt("r", "spin", timeout=0.2), attempt("next"))

    assert {"r": Ended.TIMED_OUT, "next": Ended.RETURNED} == {key: item.ended for key, item in results.items()}


@pytest.mark.parametrize(
    ("pipeline", "said"),
    [("segfault", "SIGSEGV"), ("kill_itself", "SIGKILL"), ("exit_process", "code 7")],
)
async def test_a_process_that_dies_ends_only_its_run(executor: RqExecutor, pipeline: str, said: str) -> None:
    """CRASHED, with how it died."""
    results = await run(executor, attempt("bad", pipeline, "7"), attempt("good"))

    assert Ended.CRASHED == results["bad"].ended
    assert said in (results["bad"].failure.message if results["bad"].failure else "")
    assert Ended.RETURNED == results["good"].ended


async def test_those_behind_a_crash_in_the_same_job_run_elsewhere(executor: RqExecutor) -> None:
    """One job carries many runs of a fast pipeline; one that dies takes none of the others with it."""
    await run(executor, *(attempt(f"w{n}", "echo_or_die") for n in range(4)))
    fast = [attempt(f"r{n}", "echo_or_die", str(n)) for n in range(60)]
    fast[20] = attempt("bad", "echo_or_die", "die")

    results = await run(executor, *fast)

    assert Ended.CRASHED == results.pop("bad").ended
    assert (59, {Ended.RETURNED}) == (len(results), {item.ended for item in results.values()})


async def test_a_run_that_is_under_way_is_cancelled(executor: RqExecutor, tmp_path: Path) -> None:
    """Its process is killed within a moment, though it never awaits."""
    began = tmp_path / "began"
    executor.submit([attempt("r", "spin", str(began))])
    await until(began.exists)

    assert executor.cancel("r")
    result = await only(executor)

    assert Ended.CANCELLED == result.ended
    assert 0 == executor.status()["busy"]


async def test_a_run_in_the_queue_is_cancelled_there(server: RedisServer) -> None:
    """Without a worker a job waits in Redis, and is gone from it when it is cancelled."""
    made = make(server.url, "nobody")
    await made.start()
    executor_queue = f"rq:queue:{'nobody'}"
    import redis

    link = redis.Redis.from_url(server.url)
    try:
        made.submit([attempt("r")])
        await until(lambda: link.llen(executor_queue) == 1)
        made.cancel("r")

        result = await only(made)

        assert Ended.CANCELLED == result.ended
        assert 0 == link.llen(executor_queue)
    finally:
        link.close()
        await made.close(0)


async def test_a_worker_that_is_killed_loses_no_run(server: RedisServer) -> None:
    """Two workers, one of them killed in the middle: its run ends CRASHED, and runs again; all end."""
    pair = [Worker(server.url, "killed") for _ in range(2)]
    made = make(server.url, "killed")
    await made.start()
    try:
        await workers_there(made, 2)
        attempts = {f"r{n}": attempt(f"r{n}", "sleep", "0.02") for n in range(RUNS)}
        ended: dict[str, Ended] = {}
        crashed = 0
        made.submit(list(attempts.values()))
        async with asyncio.timeout(55 if RUNS < 100 else 600):
            while len(ended) < RUNS:
                for item in await made.results():
                    assert item.run_id not in ended
                    if getattr(item, "ended", None) is Ended.CRASHED:
                        crashed += 1
                        made.submit([attempts[item.run_id]])
                    else:
                        ended[item.run_id] = item.ended  # type: ignore[union-attr]  # nothing is released here
                if len(ended) >= RUNS // 2 and pair[0].process.poll() is None:
                    pair[0].kill()

        assert {Ended.RETURNED} == set(ended.values())
        assert crashed <= 1
        assert crashed <= made.status()["restarts"] <= 2
    finally:
        for worker in pair:
            worker.kill()
        await made.close(0)


async def test_a_killed_workers_run_crashes_and_dies_with_it(server: RedisServer, tmp_path: Path) -> None:
    """The lease runs out: CRASHED, WorkerLost; the process of the run has not outlived its worker."""
    worker = Worker(server.url, "lonely")
    made = make(server.url, "lonely")
    await made.start()
    try:
        began = tmp_path / "began"
        made.submit([attempt("r", "spin", str(began))])
        await until(lambda: began.exists() and began.read_text() != "")
        worker.kill()

        result = await only(made)

        assert (Ended.CRASHED, "WorkerLost") == (result.ended, result.failure.type if result.failure else "")
        await until(lambda: not alive(int(began.read_text())))
    finally:
        worker.kill()
        await made.close(0)


async def test_runs_wait_while_redis_is_away() -> None:
    """Killed in the middle, with all that it held: attempts wait, the link's end and return are told, all end."""
    server = RedisServer()
    server.start()
    worker = Worker(server.url)
    told: list[str] = []
    made = make(server.url, on_link=told.append)
    await made.start()
    try:
        await run(made, attempt("before"))
        made.submit([attempt(f"r{n}", "sleep", "0.3") for n in range(6)])
        await gather(made, 1)
        server.kill()
        await until(lambda: made.status()["connected"] == 0)
        made.submit([attempt("meanwhile")])
        server.start()

        rest = await gather(made, 6)

        assert {Ended.RETURNED} == {item.ended for item in rest.values()}
        assert 1 == made.status()["connected"]
        assert told[0]
        assert not told[-1]
    finally:
        worker.kill()
        await made.close(0)
        server.kill()


async def test_redis_that_does_not_answer_ends_the_start(server: RedisServer) -> None:
    """One sentence, exit code 69, and no password."""
    made = make("redis://user:s3cret@127.0.0.1:1/0")

    with pytest.raises(ExecutorUnavailable) as caught:
        await made.start()

    assert 69 == caught.value.exit_code
    assert "redis://127.0.0.1:1/0" in str(caught.value)
    assert "s3cret" not in str(caught.value)


async def test_a_wrong_password_ends_the_start() -> None:
    """Redis says no."""
    server = RedisServer("--requirepass", "right")
    server.start()
    try:
        with pytest.raises(ExecutorUnavailable, match=r"password|auth"):
            await make(server.url.replace("redis://", "redis://:wr0ng@")).start()
    finally:
        server.kill()


async def test_an_earlier_process_leaves_nothing_in_the_queue(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a killed daemon had queued is gone when it starts again: its runs are executed anew."""
    import redis

    from fp_events.executors import _rq_link

    link = redis.Redis.from_url(server.url)
    old = make(server.url, "restarted")
    await old.start()
    old.submit([attempt("r1"), attempt("r2")])
    await until(lambda: link.llen("rq:queue:restarted") == 2)

    monkeypatch.setattr(_rq_link, "_PROCESS", "another1")
    new = make(server.url, "restarted")
    await new.start()
    try:
        assert 0 == link.llen("rq:queue:restarted")
    finally:
        link.close()
        await new.close(0)
        await old.close(0)


async def test_jobs_of_others_are_never_called(server: RedisServer, tmp_path: Path) -> None:
    """Who writes to Redis can name any function: the worker calls none, of job or callback, and goes on."""
    import redis
    from rq import Callback, Queue
    from rq.serializers import JSONSerializer

    proof = tmp_path / "proof"
    log = tmp_path / "log"
    worker = Worker(server.url, "open", log=log)
    made = make(server.url, "open")
    await made.start()
    try:
        queue = Queue("open", connection=redis.Redis.from_url(server.url), serializer=JSONSerializer)
        queue.enqueue("os.mkdir", str(proof), on_success=Callback("os.getpid"), on_failure=Callback("os.getpid"))

        result = (await run(made, attempt("r")))["r"]

        assert Ended.RETURNED == result.ended
        assert not proof.exists()
        assert "refused" in log.read_text()
        queue.connection.close()
    finally:
        worker.kill()
        await made.close(0)


async def test_a_pickle_is_not_read(server: RedisServer, tmp_path: Path) -> None:
    """A job as RQ makes it by default holds a pickle; the worker refuses it as it is."""
    import redis
    from rq import Queue

    log = tmp_path / "log"
    worker = Worker(server.url, "pickled", log=log)
    made = make(server.url, "pickled")
    await made.start()
    try:
        queue = Queue("pickled", connection=redis.Redis.from_url(server.url))
        queue.enqueue("os.mkdir", str(tmp_path / "proof"))

        await run(made, attempt("r"))

        assert not (tmp_path / "proof").exists()
        assert "refused" in log.read_text()
        queue.connection.close()
    finally:
        worker.kill()
        await made.close(0)


async def test_what_goes_over_redis_is_json(server: RedisServer) -> None:
    """A waiting job is JSON that names one function, with one text."""
    import zlib

    import redis

    link: Any = redis.Redis.from_url(server.url)
    made = make(server.url, "looked-at")
    await made.start()
    try:
        made.submit([attempt("r", "echo", "\x00\xff")])
        await until(lambda: link.llen("rq:queue:looked-at") == 1)
        (job_id,) = link.lrange("rq:queue:looked-at", 0, -1)
        data = link.hget(b"rq:job:" + job_id, "data")

        function, _, arguments, _ = json.loads(zlib.decompress(data))

        assert "fp_events.executors.rq.run" == function
        assert isinstance(arguments[0], str)
    finally:
        link.close()
        await made.close(0)


def test_a_worker_ends_when_it_is_told(server: RedisServer) -> None:
    """SIGTERM: exit code 0."""
    import redis

    link = redis.Redis.from_url(server.url)
    worker = Worker(server.url, "ending")
    while not link.exists("rq:workers:ending"):
        assert worker.process.poll() is None

    assert 0 == worker.end(signal.SIGTERM)
    link.close()
