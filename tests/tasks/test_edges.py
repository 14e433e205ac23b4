"""What a task is, and how `>>` connects tasks."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from fp_events import DAG, FlowkitError, Task, retry, task, timeout, when


def one() -> int:
    return 1


def double(x: int) -> int:
    return 2 * x


def add(x: int, y: int) -> int:
    return x + y


def test_a_decorated_function_is_a_task_with_flowkits_settings() -> None:
    """With and without brackets; the defaults are flowkit's."""

    @task
    def bare() -> None:
        """Does nothing."""

    @task(retries=3, delay="2s", backoff=3.0)
    def set_up() -> None: ...

    assert (0, 1.0, 2.0, None) == (bare.retries, bare.delay, bare.backoff, bare.when)
    assert (3, 2.0, 3.0) == (set_up.retries, set_up.delay, set_up.backoff)
    assert ("bare", "Does nothing.", True) == (bare.name, bare.__doc__, isinstance(bare, Task))


def test_chains_branches_and_merges_draw_edges() -> None:
    """Each form gives what comes next, so that a chain goes on."""
    a, b, c, d = (Task(double, name=name) for name in "abcd")

    assert d is (a >> [b, c] >> d)

    assert ([a], [a], [b, c]) == (b.upstream, c.upstream, d.upstream)
    assert [b, c] == a.downstream
    assert "Task('d', upstream=2, downstream=0)" == repr(d)


def test_groups_connect_with_groups() -> None:
    """Each task of the first with each of the second."""
    a, b, c, d = (Task(add, name=name) for name in "abcd")

    [a, b] >> c
    c >> [a, b] >> [d]

    assert ([a, b], [a, b]) == (c.upstream, d.upstream)


def test_an_edge_that_is_drawn_twice_is_one() -> None:
    """A cell of a notebook may be run again."""
    a, b = Task(one, name="a"), Task(double, name="b")

    a >> b
    a >> b

    assert {"a": 1, "b": 2} == DAG("twice", tasks=[a, b]).run()


def test_a_call_is_the_function_with_condition_and_retries() -> None:
    """None where the condition does not hold."""
    calls = []

    @task(retries=2, delay=0, when=lambda x: x > 10)
    def flaky(x: int) -> int:
        calls.append(x)
        if len(calls) < 3:
            raise ValueError("not yet")
        return x

    assert (15, None) == (flaky(15), flaky(5))
    assert [15, 15, 15] == calls


def test_a_call_raises_when_its_retries_are_spent() -> None:
    """The exception is the function's own; one that is not worth a retry passes at once."""
    calls = []

    @task(retries=2, delay=0, on=OSError)
    def failing(kind: type[Exception]) -> None:
        calls.append(kind)
        raise kind("no")

    with pytest.raises(OSError, match="no"):
        failing(OSError)
    with pytest.raises(ValueError, match="no"):
        failing(ValueError)
    assert [OSError, OSError, OSError, ValueError] == calls


async def test_a_call_of_an_async_task_is_awaited() -> None:
    """With condition, retries and timeout all the same."""
    calls = []

    @task(retries=1, delay=0, timeout="10ms")
    async def slow(x: int) -> int:
        calls.append(x)
        if len(calls) == 1:
            await asyncio.Event().wait()
        return x

    assert 4 == await slow(4)
    assert [4, 4] == calls


def test_a_call_that_takes_too_long_raises() -> None:
    """An ordinary function is left behind."""
    import threading

    never = threading.Event()

    @task(timeout=0.01)
    def stuck() -> None:
        never.wait()

    with pytest.raises(TimeoutError, match=r"longer than 0\.01 s"):
        stuck()
    never.set()


def test_decorators_of_nodes_work_below_task() -> None:
    """`@when`, `@retry` and `@timeout` mean the same there."""

    @task
    @when(lambda x: x > 10)
    @retry(3, delay=0)
    @timeout("5s")
    def marked(x: int) -> int:
        return x

    assert (None, 11) == (marked(1), marked(11))
    assert marked.retry is not None
    assert (3, 5.0) == (marked.retry.attempts, marked.timeout)


def test_a_setting_is_given_once() -> None:
    """In `@task` or below it."""
    with pytest.raises(FlowkitError, match="task 'double' has `timeout` twice"):
        task(timeout=1)(timeout(2)(copy_of(double)))


def copy_of(function: Any) -> Any:
    """A function of that name that no other test has marked."""

    def copy(x: int) -> Any:
        return function(x)

    copy.__name__ = function.__name__
    return copy


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"retries": -1}, "`retries` of task 'one' is a whole number from 0, not -1"),
        ({"retries": True}, "`retries` of task 'one' is a whole number from 0, not True"),
        ({"delay": "soon"}, "`delay` of task 'one' is a number of seconds or text such as '2s', not 'soon'"),
        ({"backoff": 0.5}, "`backoff` of task 'one' is a number from 1, not 0.5"),
        ({"jitter": -0.1}, "`jitter` of task 'one' is a number from 0, not -0.1"),
        ({"timeout": "long"}, "`timeout` of task 'one' is a number of seconds or text such as '2s', not 'long'"),
        ({"when": 3}, "`when` of task 'one' is a function, not 3"),
        ({"on": ValueError(1)}, "`on` of task 'one' names classes of exceptions, not ValueError(1)"),
        ({"retries": 1, "on": "OSError"}, "`on` of task 'one' names classes of exceptions, not 'O'"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], says: str) -> None:
    """By a sentence that names the task."""
    with pytest.raises(FlowkitError) as error:
        Task(one, **settings)

    assert says == error.value.what


def test_what_is_no_function_is_no_task() -> None:
    """Neither a number nor a task; a function without a name needs one."""
    with pytest.raises(FlowkitError, match="a task is made of a function, not of 3"):
        Task(3)  # type: ignore[arg-type]  # what the test is about
    with pytest.raises(FlowkitError, match="has no name; write task"):
        Task(lambda: 1)
    assert {"part": 3} == DAG("partial", tasks=[Task(partial(add, 1, 2), name="part")]).run()


def test_only_tasks_are_connected() -> None:
    """Whatever stands on either side."""
    a = Task(one, name="a")

    with pytest.raises(
        FlowkitError, match=r"test_edges\.py:\d+: '>>' connects tasks, and 3 is none; put @task above it"
    ):
        a >> 3  # type: ignore[operator]  # what the test is about
    with pytest.raises(FlowkitError, match="connects tasks, and <function one"):
        [one] >> a  # type: ignore[operator]  # what the test is about
