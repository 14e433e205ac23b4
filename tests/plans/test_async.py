"""Plans whose functions await."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fp_events.domain.errors import InputInvalid

from .projects import Project

DIAMOND = """
    import asyncio

    async def left(meet: object) -> str:
        await meet()
        return "l"

    async def right(meet: object) -> str:
        await meet()
        return "r"

    def both(left: str, right: str) -> str:
        return left + right

    async def last(both: str) -> str:
        await asyncio.sleep(0)
        return both + "!"
"""


def _meeting(parties: int) -> Any:
    barrier = asyncio.Barrier(parties)
    return barrier.wait


async def test_independent_nodes_await_together(project: Project) -> None:
    """Two nodes that wait for one another only return if both run at once."""
    plan = project.catalogue.plan(project.pipeline(DIAMOND))
    assert plan.is_async
    assert plan.has_sync_nodes
    assert {"last": "lr!"} == await plan.execute_async({"meet": _meeting(2)})


async def test_branches_do_not_wait_for_one_another(project: Project) -> None:
    """The second step of one branch starts while the first step of the other still waits."""
    source = """
        async def slow(gate: object) -> str:
            await gate.wait()
            return "slow"

        async def quick(start: int) -> str:
            return "quick"

        async def after_quick(quick: str, gate: object) -> str:
            gate.set()
            return quick

        def both(slow: str, after_quick: str) -> str:
            return slow + after_quick
    """
    plan = project.catalogue.plan(project.pipeline(source))
    assert {"both": "slowquick"} == await plan.execute_async({"gate": asyncio.Event(), "start": 1})


async def test_a_chain_needs_no_task(project: Project) -> None:
    """Awaiting nodes that follow one another run in the caller's task."""
    source = """
        import asyncio

        async def first(start: int) -> int:
            return len(asyncio.all_tasks()) + start

        def between(first: int) -> int:
            return first

        async def second(between: int) -> list:
            return [between, len(asyncio.all_tasks())]
    """
    plan = project.catalogue.plan(project.pipeline(source))
    tasks = len(asyncio.all_tasks())
    assert {"second": [tasks, tasks]} == await plan.execute_async({"start": 0})


async def test_what_cannot_wait_needs_no_task(project: Project) -> None:
    """Independent async functions without `await` run in the caller's task, also beside others that wait."""
    source = """
        import asyncio

        async def one(start: int) -> int:
            return len(asyncio.all_tasks())

        async def two(start: int) -> int:
            return len(asyncio.all_tasks())

        def both(one: int, two: int) -> list:
            return [one, two]

        async def waits(gate: object) -> str:
            async with asyncio.timeout(5):
                await gate.wait()
            return "waited"

        async def opens(gate: object, two: int) -> str:
            gate.set()
            return "opened"

        async def waits_too(gate: object) -> str:
            async for item in _items(gate):
                return item

        async def _items(gate):
            await gate.wait()
            yield "item"
    """
    plan = project.catalogue.plan(project.pipeline(source, final_vars=("both",)))
    tasks = len(asyncio.all_tasks())
    assert {"both": [tasks, tasks]} == await plan.execute_async({"start": 0})

    names = ("waits", "opens", "waits_too")
    plan = project.catalogue.plan(project.pipeline(source, final_vars=names))
    expected = {"waits": "waited", "opens": "opened", "waits_too": "item"}
    assert expected == await plan.execute_async({"start": 0, "gate": asyncio.Event()})


async def test_the_first_error_stops_the_others(project: Project) -> None:
    """It passes unchanged, names its node, and leaves no task behind."""
    source = """
        import asyncio

        async def waits(seen: list) -> str:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise
            return ""

        async def fails(start: int) -> str:
            await asyncio.sleep(0)
            raise LookupError("no")

        def both(waits: str, fails: str) -> str:
            return waits + fails
    """
    plan = project.catalogue.plan(project.pipeline(source))
    tasks = len(asyncio.all_tasks())
    seen: list[str] = []
    with pytest.raises(LookupError, match="no") as caught:
        await plan.execute_async({"seen": seen, "start": 1})
    assert "fails" == plan.failed_node(caught.value)
    assert ["cancelled"] == seen
    assert tasks == len(asyncio.all_tasks())


async def test_cancelling_a_run_cancels_its_nodes(project: Project) -> None:
    """A timeout around the plan reaches every node that awaits."""
    source = """
        import asyncio

        async def one(seen: list) -> str:
            try:
                await asyncio.Event().wait()
            finally:
                seen.append("one")

        async def two(seen: list) -> str:
            try:
                await asyncio.Event().wait()
            finally:
                seen.append("two")
    """
    plan = project.catalogue.plan(project.pipeline(source))
    seen: list[str] = []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await plan.execute_async({"seen": seen})
    assert ["one", "two"] == sorted(seen)


async def test_coroutines_of_sync_wrappers_are_awaited(project: Project) -> None:
    """`@parameterize` and `@inject` on async functions give values, where Hamilton's driver gives coroutines."""
    source = """
        from hamilton.function_modifiers import inject, parameterize, value

        @parameterize(one={"by": value(1)}, two={"by": value(2)})
        async def added(start: int, by: int) -> int:
            return start + by

        @inject(factor=value(10))
        async def scaled(one: int, factor: int) -> int:
            return one * factor

        async def total(scaled: int, two: int) -> int:
            return scaled + two
    """
    plan = project.catalogue.plan(project.pipeline(source))
    assert plan.is_async
    assert not plan.has_sync_nodes
    assert {"total": 67} == await plan.execute_async({"start": 5})


async def test_a_missing_input_is_named_by_async_plans(project: Project) -> None:
    """InputInvalid, not a KeyError."""
    plan = project.catalogue.plan(project.pipeline(DIAMOND))
    with pytest.raises(InputInvalid, match="'meet'"):
        await plan.execute_async({})


def test_an_async_plan_runs_on_a_loop_of_its_own(project: Project) -> None:
    """`execute` serves callers without a loop."""
    source = """
        import asyncio

        async def value(start: int) -> int:
            await asyncio.sleep(0)
            return start + 1
    """
    assert {"value": 2} == project.catalogue.plan(project.pipeline(source)).execute({"start": 1})


async def test_a_sync_plan_serves_async_callers(project: Project) -> None:
    """`execute_async` of a plan without async functions is `execute`."""
    source = """
        def value(start: int) -> int:
            return start + 1
    """
    plan = project.catalogue.plan(project.pipeline(source))
    assert not plan.is_async
    assert {"value": 2} == await plan.execute_async({"start": 1})
