"""Making attempts and waiting for what came of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fp_events.domain.ports import Executor
from fp_events.domain.run import Attempt, AttemptResult, PlanRef, Released


def attempt(run_id: str, pipeline: str = "echo", request: str = "", *, timeout: float | None = None) -> Attempt:
    """The first attempt of a run."""
    return Attempt(run_id=run_id, number=1, plan=PlanRef(pipeline), request=request.encode(), timeout=timeout)


async def gather(executor: Executor, count: int, *, may_release: bool = False) -> dict[str, AttemptResult]:
    """`count` results by run. Releases among them are an error, unless `may_release` has them passed over."""
    results: dict[str, AttemptResult] = {}
    while len(results) < count:
        for item in await executor.results():
            if may_release and isinstance(item, Released):
                continue
            assert isinstance(item, AttemptResult)
            assert item.run_id not in results
            results[item.run_id] = item
    return results


async def only(executor: Executor) -> AttemptResult:
    """The one result that is expected."""
    (result,) = (await gather(executor, 1)).values()
    return result


async def run(executor: Executor, *attempts: Attempt) -> dict[str, AttemptResult]:
    """Submit and wait for all."""
    executor.submit(attempts)
    return await gather(executor, len(attempts))


async def released(executor: Executor) -> Released:
    """The one release that is expected."""
    (item,) = await executor.results()
    assert isinstance(item, Released)
    return item


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another process or thread does; the test's own timeout bounds it."""
    while not condition():
        await asyncio.sleep(0.005)
