"""Marked functions: skipped, called again, given up, in every kind of plan and beside Hamilton's decorators."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from fp_events.domain.errors import ConfigError
from fp_events.domain.marks import ATTEMPT_ENDS
from fp_events.domain.pipeline import ExecutorSpec
from fp_events.plans.driver_plan import DriverPlan

from .projects import Project

DECORATED = """
    from fp_events import retry, timeout, when
    from hamilton.function_modifiers import (
        does, extract_columns, extract_fields, parameterize, pipe_input, pipe_output, source, step, subdag, tag, value,
        unpack_fields, check_output, inject, config
    )
    import pandas as pd

    @when(lambda v: v > 80)
    def alert(v: float) -> str:
        return f"hot {v}"

    def loud(alert: str) -> str:
        return alert.upper()

    def either(alert: str | None, v: float) -> str:
        return f"{alert} at {v}"

    @extract_fields({"a": int, "b": int})
    @when(lambda v: v > 50)
    @tag(team="x")
    def fields(v: float) -> dict[str, int]:
        return {"a": 1, "b": 2}

    @when(lambda v: v > 50)
    @extract_columns("c", "d")
    def frame(v: float) -> pd.DataFrame:
        return pd.DataFrame({"c": [v], "d": [1.0]})

    def total(c: pd.Series, a: int) -> float:
        return float(c.sum()) + a

    @unpack_fields("p", "q")
    @when(lambda v: v > 50)
    def pair(v: float) -> tuple[int, int]:
        return (1, 2)

    def _sum(**given: float) -> float:
        return sum(given.values())

    @when(lambda v: v > 50)
    @does(_sum)
    def summed(v: float, a: int) -> float:
        pass

    @parameterize(low={"limit": value(10)}, high={"limit": value(100)})
    @when(lambda limit, v: v > limit)
    def over(v: float, limit: int) -> bool:
        return True

    @inject(limit=value(60))
    @when(lambda v, limit: v > limit)
    def injected(v: float, limit: int) -> float:
        return v - limit

    @when(lambda x: x > 60)
    def inner(x: float) -> float:
        return x * 2

    @subdag(inner, inputs={"x": source("v")})
    def sub(inner: float) -> float:
        return inner

    @when(lambda v: v > 20)
    def _plus(v: float, n: int) -> float:
        return v + n

    @pipe_input(step(_plus, n=3))
    def piped(v: float) -> float:
        return v

    @when(lambda v: v > 20)
    @pipe_output(step(_plus, n=1))
    def piped_out(v: float) -> float:
        return v

    @check_output(range=(0, 100), importance="fail")
    @when(lambda v: v > 70)
    def checked(v: float) -> float:
        return v

    @when(lambda v: v > 70)
    @config.when(mode="a")
    def chosen__a(v: float) -> str:
        return "a"
"""
NAMES = [
    "loud", "either", "a", "b", "total", "p", "q", "summed", "low", "high", "injected", "sub", "piped", "piped_out",
    "checked", "chosen",
]  # fmt: skip


@pytest.mark.parametrize(
    ("v", "expected"),
    [
        (
            90.0,
            {
                "loud": "HOT 90.0", "either": "hot 90.0 at 90.0", "a": 1, "b": 2, "total": 91.0, "p": 1, "q": 2,
                "summed": 91.0, "low": True, "injected": 30.0, "sub": 180.0, "piped": 93.0, "piped_out": 91.0,
                "checked": 90.0, "chosen": "a",
            },
        ),
        (
            55.0,
            {
                "either": "None at 55.0", "a": 1, "b": 2, "total": 56.0, "p": 1, "q": 2, "summed": 56.0, "low": True,
                "piped": 58.0, "piped_out": 56.0,
            },
        ),
        (10.0, {"either": "None at 10.0"}),
    ],
)  # fmt: skip
def test_a_condition_means_the_function_below_any_decorator(
    project: Project, v: float, expected: dict[str, Any]
) -> None:
    """What needs a skipped node is skipped, but for parameters that may be None; in compiled and in traced plans."""
    plan = project.catalogue.plan(project.pipeline(DECORATED, config={"mode": "a"}), final_vars=NAMES)
    traced = plan.traced()

    assert expected == plan.execute({"v": v})
    assert expected == traced.execute({"v": v})
    skipped = {record.node for record in traced.nodes() if record.status == "skipped"}
    assert set(NAMES) - expected.keys() == skipped & set(NAMES)


BRANCHES = """
    from hamilton.htypes import Collect, Parallelizable
    from fp_events import retry, when

    calls = []

    def item(count: int) -> Parallelizable[int]:
        yield from range(count)

    @when(lambda item: item % 2 == 0)
    def even(item: int) -> int:
        return item

    @retry(2)
    def doubled(even: int) -> int:
        calls.append(even)
        if calls.count(even) == 1:
            raise ValueError(even)
        return 2 * even

    def all_of_them(doubled: Collect[int]) -> list[int]:
        return sorted(doubled)

    def with_gaps(doubled: Collect[int | None]) -> list[int | None]:
        return list(doubled)

    @when(lambda all_of_them: len(all_of_them) > 5)
    def many(all_of_them: list[int]) -> int:
        return len(all_of_them)

    def told(many: int | None) -> str:
        return str(many)
"""


def test_branches_may_be_skipped_and_called_again(project: Project) -> None:
    """Through Hamilton's driver: a collecting node leaves skipped branches out, or takes None for them."""
    plan = project.catalogue.plan(project.pipeline(BRANCHES), final_vars=["all_of_them", "many", "told"])
    gaps = project.catalogue.plan(project.pipeline(), final_vars=["with_gaps"])
    traced = plan.traced()

    assert isinstance(plan, DriverPlan)
    assert {"all_of_them": [0, 4, 8], "told": "None"} == traced.execute({"count": 5})
    assert {"all_of_them": [0, 4, 8], "told": "None"} == plan.execute({"count": 5})
    assert {"with_gaps": [0, None, 4, None, 8]} == gaps.execute({"count": 5})
    records = {record.node: record for record in traced.nodes()}
    assert ("succeeded", 6) == (records["doubled"].status, records["doubled"].attempts)
    assert ("skipped", "succeeded") == (records["many"].status, records["told"].status)


ASYNC = """
    import asyncio
    from fp_events import retry, timeout, when

    calls = []

    @when(lambda v: v > 0)
    async def left(v: float) -> float:
        await asyncio.sleep(0.001)
        return v

    @retry(3, delay=0.001, on=ConnectionError)
    @timeout("5s")
    async def right(v: float) -> int:
        calls.append(v)
        await asyncio.sleep(0.001)
        if len(calls) < 3:
            raise ConnectionError("not yet")
        return len(calls)

    @timeout(0.01)
    async def slow(v: float) -> float:
        await asyncio.sleep(60)
        return v

    def both(left: float | None, right: int) -> str:
        return f"{left} {right}"

    async def needs_left(left: float) -> float:
        return left
"""


def test_nodes_that_await(project: Project) -> None:
    """Conditions and retries in a plan whose nodes run at the same time."""
    plan = project.catalogue.plan(project.pipeline(ASYNC), final_vars=["both", "needs_left"])
    traced = plan.traced()

    assert {"both": "None 3"} == traced.execute({"v": 0.0})
    assert {"both": "1.0 4", "needs_left": 1.0} == plan.execute({"v": 1.0})
    found = {record.node: (record.status, record.attempts) for record in traced.nodes()}
    assert {
        "left": ("skipped", 0), "right": ("succeeded", 3), "both": ("succeeded", 1), "needs_left": ("skipped", 0)
    } == found  # fmt: skip


def test_an_async_node_that_takes_too_long_is_cancelled(project: Project) -> None:
    """It raises TimeoutError, which names the function and is told in the trace."""
    traced = project.catalogue.plan(project.pipeline(ASYNC), final_vars=["slow", "needs_left"]).traced()

    with pytest.raises(TimeoutError, match="'slow' took longer than 10ms") as raised:
        traced.execute({"v": 1.0})

    records = {record.node: (record.status, record.error) for record in traced.nodes(raised.value)}
    assert ("failed", "TimeoutError: 'slow' took longer than 10ms") == records["slow"]


SYNC = """
    import threading, time
    from contextvars import ContextVar
    from fp_events import retry, timeout

    calls = []
    gate = threading.Event()
    place = ContextVar("place", default="nowhere")

    @retry(3, delay="1ms", backoff=2, jitter=0.5, on=(ValueError, OSError))
    def flaky(v: int) -> int:
        calls.append(time.monotonic())
        if len(calls) < v:
            raise ValueError(v)
        return len(calls)

    @retry(5, on=ValueError)
    def other(v: int) -> int:
        calls.append(v)
        raise KeyError(v)

    @retry(2)
    @timeout("20ms")
    def stuck(v: int) -> int:
        calls.append(v)
        gate.wait(20)
        return v

    @timeout(5)
    def elsewhere(v: int) -> str:
        return f"{place.get()} {threading.current_thread().name}"

    @timeout(5)
    def broken(v: int) -> int:
        raise LookupError("in a thread")

    @retry(9, delay=30)
    def patient(v: int) -> int:
        calls.append(v)
        raise ValueError("again")
"""


def test_a_function_is_called_again_until_it_returns(project: Project) -> None:
    """As often as attempts say; the trace counts the calls."""
    plan = project.catalogue.plan(project.pipeline(SYNC), final_vars=["flaky"])
    first, second = plan.traced(), plan.traced()

    assert {"flaky": 3} == first.execute({"v": 3})
    with pytest.raises(ValueError, match="99") as raised:
        second.execute({"v": 99})
    assert [("succeeded", 3)] == [(record.status, record.attempts) for record in first.nodes()]
    assert [("failed", 3, "ValueError: 99")] == [
        (record.status, record.attempts, record.error) for record in second.nodes(raised.value)
    ]
    assert "flaky" == plan.failed_node(raised.value)


def test_an_exception_that_on_does_not_name_passes_at_once(project: Project) -> None:
    """One call, and the exception unchanged."""
    plan = project.catalogue.plan(project.pipeline(SYNC), final_vars=["other"])

    with pytest.raises(KeyError):
        plan.execute({"v": 1})

    assert [1] == _module(project).calls


def test_an_ordinary_function_that_takes_too_long_is_left_behind(project: Project) -> None:
    """Each call has its own time; a thread that is left behind ends when its function does."""
    plan = project.catalogue.plan(project.pipeline(SYNC), final_vars=["stuck"])

    started = time.monotonic()
    with pytest.raises(TimeoutError, match="'stuck' took longer than 20ms"):
        plan.execute({"v": 1})

    assert 0.04 <= time.monotonic() - started < 10
    module = _module(project)
    assert [1, 1] == module.calls
    module.gate.set()


def test_a_limited_function_sees_the_context_and_passes_errors(project: Project) -> None:
    """It runs in a thread of its own, with the caller's context variables."""
    plan = project.catalogue.plan(project.pipeline(SYNC), final_vars=["elsewhere"])
    broken = project.catalogue.plan(project.pipeline(), final_vars=["broken"])
    place = _module(project).place
    token = place.set("here")

    assert {"elsewhere": "here fp-events node elsewhere"} == plan.execute({"v": 1})
    with pytest.raises(LookupError, match="in a thread") as raised:
        broken.execute({"v": 1})
    assert "broken" == broken.failed_node(raised.value)
    place.reset(token)


def test_no_call_is_made_after_the_attempt_is_given_up(project: Project) -> None:
    """A delay that would pass the attempt's end is not waited for: the last error ends the attempt."""
    plan = project.catalogue.plan(project.pipeline(SYNC), final_vars=["patient"])
    token = ATTEMPT_ENDS.set(time.monotonic() + 5)

    started = time.monotonic()
    with pytest.raises(ValueError, match="again"):
        plan.execute({"v": 1})

    assert time.monotonic() - started < 5
    assert [1] == _module(project).calls
    ATTEMPT_ENDS.reset(token)


def test_a_cancelled_run_is_not_called_again(project: Project) -> None:
    """Cancelling is no exception that a retry is for."""
    source = """
        import asyncio
        from fp_events import retry
        calls = []
        @retry(5)
        async def forever(v: int) -> int:
            calls.append(v)
            await asyncio.sleep(60)
            return v
    """
    plan = project.catalogue.plan(project.pipeline(source))

    async def cancelled() -> None:
        run = asyncio.create_task(plan.execute_async({"v": 1}))
        await asyncio.sleep(0.01)
        run.cancel()
        await asyncio.wait([run])
        assert run.cancelled()

    asyncio.run(cancelled())

    assert [1] == _module(project).calls


PLAIN = """
    from fp_events import cached, retry, timeout, when

    @when(lambda v: v > 80)
    @retry(3)
    @timeout(1)
    @cached(ttl="1h")
    def alert(v: float) -> str:
        return f"hot {v}"
"""


def test_plain_hamilton_sees_ordinary_functions(project: Project) -> None:
    """The decorators return the function they stand above."""
    from hamilton import driver

    pipeline = project.pipeline(PLAIN)
    module = project.catalogue.graph(pipeline).module

    given = driver.Builder().with_modules(module).build().execute(["alert"], inputs={"v": 1.0})

    assert {"alert": "hot 1.0"} == given
    assert {} == project.catalogue.plan(pipeline).execute({"v": 1.0})


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("@retry(0)", "@retry: attempts is a whole number from 1, not 0"),
        ("@retry(2, delay=-1)", "@retry: delay is a number of seconds or text such as '2s', not -1"),
        ("@retry(2, backoff=0.5)", "@retry: backoff is a number from 1, not 0.5"),
        ("@retry(2, jitter=2)", "@retry: jitter is a number from 0 to 1, not 2"),
        ("@retry(2, on='ValueError')", "@retry: on takes classes of exceptions, not 'V'"),
        ("@timeout(-1)", "@timeout: it is a number of seconds or text such as '2s', not -1"),
        ("@timeout(0)", "@timeout: it takes a time above zero"),
        ("@when(True)", "@when: it takes a function, not True"),
        ("@when(lambda other: other)", "@when: its function takes 'other', but 'alert' takes v, w"),
        ("@cached(key=lambda x, y, z: x)", "@cached: its function takes 'x', but 'alert' takes v, w"),
        ("@retry", "@retry: it stands above a function without parentheses: write @retry(3)"),
        ("@timeout", '@timeout: it stands above a function without parentheses: write @timeout("2s")'),
        ("@cached", "@cached: it stands above a function without parentheses: write @cached()"),
        ("@retry(2)\n@retry(3)", "@retry: it stands twice above 'alert'"),
    ],
)
def test_wrong_use_is_one_error_with_its_line(project: Project, line: str, what: str) -> None:
    """Found by `check`, at the decorator."""
    project.write("pipelines/work.py", f"from fp_events import cached, retry, timeout, when\n\n\n{line}\n")
    with (project.root / "pipelines/work.py").open("a") as file:
        file.write("def alert(v: float, w: float) -> str:\n    return str(v)\n")

    (problem,) = project.catalogue.check(project.pipeline())

    assert ("pipelines/work.py:4", what) == (problem.where, problem.what)
    assert not problem.warning


@pytest.mark.parametrize(
    ("source", "what"),
    [
        (
            """
            from fp_events import when
            from hamilton.htypes import Collect, Parallelizable
            @when(lambda n: n > 0)
            def branch(n: int) -> Parallelizable[int]:
                return [1, 2]
            def joined(branch: Collect[int]) -> int:
                return sum(branch)
            """,
            "'branch' is Parallelizable, and cannot have a condition",
        ),
        (
            """
            from fp_events import retry
            from hamilton.htypes import Collect, Parallelizable
            @retry(3)
            def branch(n: int) -> Parallelizable[int]:
                yield 1
            def joined(branch: Collect[int]) -> int:
                return sum(branch)
            """,
            "'branch' yields its values one by one, and its marks would end before the first of them",
        ),
        (
            """
            from fp_events import when
            from hamilton.htypes import Collect, Parallelizable
            @when(lambda n: n > 0)
            def above(n: int) -> int:
                return n
            def branch(above: int) -> Parallelizable[int]:
                yield 1
            def joined(branch: Collect[int]) -> int:
                return sum(branch)
            """,
            "'branch' is Parallelizable and needs 'above', which a condition may skip",
        ),
    ],
)
def test_marks_that_cannot_work_are_refused(project: Project, source: str, what: str) -> None:
    """Rather than be without effect."""
    with pytest.raises(ConfigError, match=r"^pipelines/work.py:\d+: ") as raised:
        project.catalogue.plan(project.pipeline(source))

    assert what == raised.value.problems[0].what


def test_waiting_on_the_loop_is_warned_of(project: Project) -> None:
    """With `executor: local`, an ordinary function's delays would stop the daemon."""
    local = project.pipeline(SYNC, executor=ExecutorSpec("local"), final_vars=("flaky", "other", "stuck"))
    threads = project.pipeline(final_vars=("flaky", "other", "stuck"))

    problems = [problem.what for problem in project.catalogue.check(local)]

    assert [
        "@retry of 'flaky', which is not async, would wait on the daemon's own loop",
        "@timeout of 'stuck', which is not async, would wait on the daemon's own loop",
    ] == problems
    assert [] == project.catalogue.check(threads)


def test_marks_of_a_helper_are_warned_of(project: Project) -> None:
    """They stand above what no node comes from, and its callers call the function itself; steps of a pipe are nodes."""
    source = """
        from fp_events import retry, when
        from hamilton.function_modifiers import pipe_input, step

        @retry(3)
        def _fetched(v: float) -> float:
            return v

        @when(lambda v: v > 0)
        def _step(v: float) -> float:
            return v

        @pipe_input(step(_step))
        def answer(v: float) -> float:
            return _fetched(v)
    """

    (problem,) = project.catalogue.check(project.pipeline(source))

    assert problem.warning
    assert "pipelines/work.py:5" == problem.where
    assert "'_fetched' has marks and is no node: whoever calls it calls the function without them" == problem.what


def test_marks_are_part_of_the_version(project: Project) -> None:
    """Another predicate or number of attempts is another version; another comment is not."""
    source = """
        from fp_events import retry, when
        @when(lambda v: v > 80)
        @retry(3)
        def alert(v: float) -> str:
            return f"hot {v}"
    """

    def version(text: str) -> str:
        pipeline = project.pipeline(text)
        project.catalogue.refresh()
        return project.catalogue.plan(pipeline).ref.version

    first = version(source)

    assert first == version(source.replace("def alert", "# so hot\n        def alert"))
    assert 3 == len({first, version(source.replace("80", "81 ")), version(source.replace("retry(3)", "retry(40)"))})


def _module(project: Project) -> Any:
    return project.catalogue.graph(project.pipeline()).module
