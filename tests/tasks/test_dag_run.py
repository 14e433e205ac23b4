"""Running a DAG: at the same time what can be, in order what must be, and nothing after an error."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from fp_events import DAG, FlowkitError, Task, TaskExecutionError, task
from fp_events.dags.events import TaskEvent

#: Seconds after which a test that waits for another thread gives up.
PATIENCE = 20


def test_independent_tasks_run_at_the_same_time() -> None:
    """Each waits for the other one."""
    both = threading.Barrier(2, timeout=PATIENCE)
    a, b = Task(both.wait, name="a"), Task(both.wait, name="b")

    results = DAG("parallel", max_workers=2, tasks=[a, b]).run()

    assert [0, 1] == sorted(results.values())


def test_no_more_run_than_max_workers() -> None:
    """Five tasks, two at a time, sync and async counted together."""
    lock, running, most = threading.Lock(), [0], [0]
    pairs = threading.Semaphore(0)

    def enter() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])

    def leave() -> None:
        with lock:
            running[0] -= 1

    def work() -> None:
        enter()
        pairs.release()
        pairs.acquire(timeout=PATIENCE)
        leave()

    async def wait() -> None:
        enter()
        await asyncio.sleep(0)
        leave()

    tasks = [Task(work, name=f"sync{number}") for number in range(3)]
    tasks += [Task(wait, name=f"async{number}") for number in range(2)]
    DAG("limit", max_workers=2, tasks=tasks).run()

    assert 1 <= most[0] <= 2


def test_async_tasks_run_at_the_same_time_beside_ordinary_ones() -> None:
    """On the event loop, which ordinary functions do not hold up."""
    met = threading.Event()

    @task
    async def first() -> str:
        while not met.is_set():
            await asyncio.sleep(0.001)
        return "first"

    @task
    def second() -> str:
        met.set()
        return "second"

    @task
    async def both(a: str, b: str) -> str:
        return f"{a} {b}"

    [first, second] >> both

    assert "first second" == DAG("mixed").run()["both"]


def test_results_are_by_name_with_what_happened() -> None:
    """Values, and for each task its status, calls and times."""

    @task(retries=1, delay=0)
    def flaky() -> int:
        calls.append(1)
        if len(calls) == 1:
            raise OSError
        return 5

    @task(when=lambda x: x > 5)
    def never(x: int) -> int:
        return x

    calls: list[int] = []
    flaky >> never
    results = DAG("records").run()

    assert {"flaky": 5} == results
    assert [("flaky", "succeeded", 2), ("never", "skipped", 0)] == [
        (record.node, record.status, record.attempts) for record in results.records.values()
    ]
    assert all(record.duration >= 0 <= record.started for record in results.records.values())


def test_the_first_error_ends_the_run() -> None:
    """What has not started is never called; async tasks under way are cancelled; the error names task, line, cause."""
    called, cancelled = [], []

    @task
    async def waiting() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append("waiting")

    @task(retries=1, delay=0)
    def broken() -> None:
        called.append("broken")
        raise ValueError("no\nway")

    @task
    def after(_: None) -> None:
        called.append("after")

    broken >> after

    with pytest.raises(TaskExecutionError) as error:
        DAG("failing").run()

    assert (["broken", "broken"], ["waiting"]) == (called, cancelled)
    assert "task 'broken' of DAG 'failing' raised ValueError: no way, the last of 2 times" == error.value.what
    line = broken.func.__code__.co_firstlineno + 1
    assert f"tests/tasks/test_dag_run.py:{line}" == error.value.where
    assert ("broken", 2, "ValueError('no\\nway')") == (
        error.value.task_name,
        error.value.attempts,
        repr(error.value.cause),
    )


def test_a_queued_task_is_cancelled_by_an_error() -> None:
    """With one worker, the second task was ready and waited."""
    called = []

    @task
    def broken() -> None:
        raise ValueError

    @task
    def queued() -> None:
        called.append("queued")

    with pytest.raises(TaskExecutionError, match=r"task 'broken' of DAG 'queue' raised ValueError$"):
        DAG("queue", max_workers=1).run()

    assert [] == called


def test_a_task_that_takes_too_long_fails() -> None:
    """Its thread is left behind; a retry is another call, though there is one worker only."""
    release = threading.Event()
    calls = []

    @task(timeout=0.05, retries=1, delay=0)
    def slow() -> str:
        calls.append(1)
        if len(calls) == 1:
            release.wait(PATIENCE)
        return "in time"

    assert "in time" == DAG("patient", max_workers=1).run()["slow"]

    slow.retry = None
    calls.clear()
    with pytest.raises(TaskExecutionError, match=r"task 'slow' of DAG 'patient' took longer than 0\.05 s"):
        DAG("patient", max_workers=1).run()
    release.set()


def test_delays_grow_and_are_spread() -> None:
    """Each is twice the one before, give or take the jitter; the last is capped."""
    events: list[TaskEvent] = []

    @task(retries=4, delay=0.004, backoff=2, jitter=0.25, max_delay=0.02)
    def broken() -> None:
        raise OSError

    with pytest.raises(TaskExecutionError):
        DAG("delays").run(progress=events.append)

    delays = [event.delay for event in events if event.kind == "retrying"]
    for expected, delay in zip([0.004, 0.008, 0.016], delays, strict=False):
        assert expected * 0.75 <= delay <= expected * 1.25
    assert 4 == len(delays)
    assert delays[3] <= 0.02


def test_a_retry_does_not_hold_a_worker() -> None:
    """While one task waits for its next call, the only worker does another one."""
    order = []

    @task(retries=1, delay=0.05)
    def flaky() -> None:
        order.append("flaky")
        if len(order) == 1:
            raise OSError

    @task
    def other() -> None:
        order.append("other")

    DAG("waiting", max_workers=1).run()

    assert ["flaky", "other", "flaky"] == order


def test_progress_tells_of_each_step() -> None:
    """By a function, which cannot disturb the run."""
    told: list[tuple[str, str, int, int]] = []

    def observe(event: TaskEvent) -> None:
        told.append((event.task, event.kind, event.done, event.total))
        raise RuntimeError("an observer")

    @task
    def first() -> int:
        return 1

    @task(when=lambda x: x > 1)
    def second(x: int) -> int:
        return x

    first >> second
    DAG("steps", progress=observe).run()

    assert [("first", "started", 0, 2), ("first", "succeeded", 1, 2), ("second", "skipped", 2, 2)] == told


def test_a_bar_shows_progress(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error."""

    @task
    def only() -> None: ...

    DAG("shown").run(progress=True)

    shown = capsys.readouterr()
    assert "" == shown.out
    assert "shown: only succeeded" in shown.err
    assert "1/1" in shown.err


async def test_a_dag_runs_on_a_running_loop() -> None:
    """`run_async` on it, `run` beside it, as in a notebook."""
    loop = asyncio.get_running_loop()

    @task
    async def here() -> bool:
        return asyncio.get_running_loop() is loop

    dag = DAG("loops")

    assert {"here": True} == await dag.run_async()
    assert {"here": False} == dag.run()


async def test_a_run_can_be_cancelled() -> None:
    """Like any coroutine; its async tasks are cancelled with it."""
    started, cancelled = asyncio.Event(), []

    @task
    async def waiting() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(True)

    run = asyncio.ensure_future(DAG("cancelled").run_async())
    await started.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run

    assert [True] == cancelled


def test_context_variables_reach_threads() -> None:
    """Those of the caller."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    variable.set("mine")

    @task
    def read() -> str:
        return variable.get()

    assert {"read": "mine"} == DAG("context").run()


def test_an_empty_dag_has_no_results() -> None:
    """As flowkit's."""
    assert {} == DAG("empty", tasks=[]).run()


def test_what_ends_an_iteration_ends_a_task() -> None:
    """StopIteration is an error like any other."""

    @task
    def stop() -> None:
        raise StopIteration

    with pytest.raises(TaskExecutionError, match="raised RuntimeError: the function raised StopIteration"):
        DAG("stop").run()


def pid_of(_: Any = None) -> int:
    """Of the process that calls it."""
    return os.getpid()


def test_processes_run_ordinary_functions() -> None:
    """Functions in a function too where processes are forked; async ones stay here."""

    @task
    def there() -> int:
        return os.getpid()

    @task
    async def here(_: int) -> int:
        return os.getpid()

    module_level = Task(pid_of, name="module_level")
    there >> [here, module_level]

    results = DAG("processes", max_workers=1).run(executor="process")

    assert os.getpid() == results["here"]
    assert os.getpid() not in (results["there"], results["module_level"])


def test_errors_come_from_processes(tmp_path: Path) -> None:
    """With their retries; a process that dies is replaced."""
    file = tmp_path / "calls"

    @task(retries=1, delay=0)
    def dies() -> str:
        with file.open("a") as calls:
            calls.write("call\n")
        if len(file.read_text().splitlines()) == 1:
            os._exit(3)
        raise KeyError("and then")

    with pytest.raises(
        TaskExecutionError, match="'dies' of DAG 'processes' raised KeyError: 'and then', the last of 2"
    ):
        DAG("processes", executor="processes").run()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"max_workers": 0}, "`max_workers` of DAG 'x' is a number from 1, not 0"),
        ({"executor": "gpu"}, "`executor` of DAG 'x' is 'threads' or 'processes', not 'gpu'"),
        ({"tasks": [3]}, "`tasks` of DAG 'x' holds 3, which is no task"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], says: str) -> None:
    """By a sentence that names the DAG."""
    with pytest.raises(FlowkitError) as error:
        DAG("x", **settings)

    assert says == error.value.what
