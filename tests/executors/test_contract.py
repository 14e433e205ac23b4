"""What all executors have in common."""

from __future__ import annotations

import asyncio
import time
from types import MappingProxyType

import pytest

from fp_events.domain.message import Message, Properties
from fp_events.domain.ports import Executor
from fp_events.domain.run import Attempt, Ended, PlanRef

from .handlers import NOW
from .runs import attempt, gather, only, run


async def test_a_burst_comes_back_whole(executor: Executor) -> None:
    """Of 5,000 attempts each has one result, with its own values."""
    attempts = [attempt(f"r{n}", "echo", str(n)) for n in range(5000)]

    results = await run(executor, *attempts)

    assert {f"r{n}": str(n).encode() for n in range(5000)} == {key: result.values for key, result in results.items()}


async def test_a_message_reaches_the_handler(executor: Executor) -> None:
    """Everything in an attempt arrives, whatever the way there."""
    sent = Attempt(
        run_id="r",
        number=3,
        plan=PlanRef("look", "v7"),
        trigger=1,
        message=Message(
            topic="plant/1", payload=b"\xff", received_at=NOW, properties=Properties(user=(("a", "b"),)), retain=True
        ),
        captures=MappingProxyType({"line": "1"}),
        state=b"{}",
        timeout=5.0,
    )

    result = (await run(executor, sent))["r"]

    seen = (result.values or b"").decode()
    # The proxy may have become a dict on the way to another process.
    assert repr(sent) == seen.replace("captures={'line': '1'}", "captures=mappingproxy({'line': '1'})")
    assert 3 == result.number


@pytest.mark.parametrize(
    ("pipeline", "kind"),
    [
        ("fail", "builtins.LookupError"),
        ("exit_system", "builtins.SystemExit"),
        ("interrupt", "builtins.KeyboardInterrupt"),
        ("async_cancel_itself", "asyncio.exceptions.CancelledError"),
        ("async_exit", "builtins.SystemExit"),
        ("missing", "fp_events.domain.errors.ConfigError"),
    ],
)
async def test_whatever_a_handler_raises_is_its_runs_failure(executor: Executor, pipeline: str, kind: str) -> None:
    """Nothing that a plan raises ends a worker, the loop or another run."""
    results = await run(executor, attempt("bad", pipeline, "no such line"), attempt("good", "echo"))

    failure = results["bad"].failure
    assert failure is not None
    assert (Ended.RAISED, kind) == (results["bad"].ended, failure.type)
    assert "builtins.BaseException" in failure.lineage
    assert "Traceback" in failure.traceback
    assert Ended.RETURNED == results["good"].ended


async def test_runs_do_not_see_each_others_context(executor: Executor) -> None:
    """A context variable that one run sets is unset in the next."""
    attempts = [attempt(f"{name}{n}", name, "seen") for name in ("mark", "async_mark") for n in range(20)]

    results = await run(executor, *attempts)

    assert {b""} == {result.values for result in results.values()}


async def test_an_async_run_is_stopped_at_its_timeout(executor: Executor) -> None:
    """TIMED_OUT names the timeout, and matches `retry_exceptions: [TimeoutError]`."""
    executor.submit([attempt("r", "async_sleep", "30", timeout=0.05)])
    result = (await gather(executor, 1, may_release=True))["r"]

    assert Ended.TIMED_OUT == result.ended
    assert result.failure is not None
    assert "timeout of 0.05 s" in result.failure.message
    assert "builtins.TimeoutError" in result.failure.lineage
    assert 0.045 <= result.duration < 30


async def test_a_run_within_its_timeout_returns(executor: Executor) -> None:
    """A timeout that is not reached changes nothing."""
    result = (await run(executor, attempt("r", "async_sleep", "0.01", timeout=30)))["r"]

    assert Ended.RETURNED == result.ended


async def test_cancel_knows_only_what_is_here(executor: Executor) -> None:
    """An unknown run and a finished one cannot be cancelled."""
    await run(executor, attempt("r"))

    assert (False, False) == (executor.cancel("r"), executor.cancel("unknown"))


async def test_a_running_async_run_is_cancelled(executor: Executor) -> None:
    """The result says CANCELLED, and the executor goes on."""
    executor.submit([attempt("r", "async_sleep", "30")])
    # A result of its neighbour shows that the loop, and with it the run, has moved on.
    await run(executor, attempt("neighbour", "async_sleep", "0"))

    assert executor.cancel("r")
    executor.submit([attempt("next")])
    results = await gather(executor, 2, may_release=True)

    assert {"r": Ended.CANCELLED, "next": Ended.RETURNED} == {key: result.ended for key, result in results.items()}


async def test_a_queued_run_is_cancelled_before_it_begins(executor: Executor) -> None:
    """What is cancelled in the same breath as it is submitted ends CANCELLED without a failure."""
    executor.submit([attempt("r", "mark", "ran")])
    assert executor.cancel("r")

    result = await only(executor)

    assert (Ended.CANCELLED, None) == (result.ended, result.failure)


async def test_a_new_reader_takes_over_from_a_cancelled_one(executor: Executor) -> None:
    """A reader that is cancelled takes no result, nor the next reader's turn, with it."""
    reader = asyncio.create_task(executor.results())
    await asyncio.sleep(0)
    executor.submit([attempt("r", "async_sleep", "0.05")])

    reader.cancel()
    result = await only(executor)

    assert "r" == result.run_id


async def test_close_waits_for_what_runs(executor: Executor) -> None:
    """Within its grace, `close` lets an async run end."""
    executor.submit([attempt("r", "async_sleep", "0.1")])
    await run(executor, attempt("neighbour", "async_sleep", "0"))

    began = time.monotonic()
    await executor.close(10)

    assert time.monotonic() - began < 10
    assert "r" == (await only(executor)).run_id


async def test_idle_executors_use_no_processor(executor: Executor) -> None:
    """Without work there is no tick: a second of idling costs next to nothing."""
    await run(executor, *(attempt(f"r{n}") for n in range(100)))
    before = time.process_time()

    await asyncio.sleep(0.5)

    assert time.process_time() - before < 0.02
