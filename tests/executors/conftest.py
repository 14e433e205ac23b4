"""The three executors behind one fixture."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from fp_events.domain.ports import Executor
from fp_events.executors.local import LocalExecutor
from fp_events.executors.processpool import ProcesspoolExecutor
from fp_events.executors.threadpool import ThreadpoolExecutor

from .handlers import load

BOOTSTRAP = "tests.executors.handlers:bootstrap"

MAKERS: dict[str, Callable[[], Executor]] = {
    "local": lambda: LocalExecutor(load),
    "threadpool": lambda: ThreadpoolExecutor(load, 4),
    "processpool": lambda: ProcesspoolExecutor(BOOTSTRAP, b"", 2),
}


@pytest.fixture(params=list(MAKERS))
async def executor(request: pytest.FixtureRequest) -> AsyncIterator[Executor]:
    """Each executor in turn, started."""
    made = MAKERS[request.param]()
    await made.start()
    yield made
    await made.close(0.1)


@pytest.fixture(params=["threadpool", "processpool"])
async def pool(request: pytest.FixtureRequest) -> AsyncIterator[Executor]:
    """The executors that run sync handlers beside the loop, started."""
    made = MAKERS[request.param]()
    await made.start()
    yield made
    await made.close(0.1)


@pytest.fixture
async def threads() -> AsyncIterator[ThreadpoolExecutor]:
    """A threadpool of four."""
    made = ThreadpoolExecutor(load, 4)
    await made.start()
    yield made
    await made.close(0.1)


@pytest.fixture
async def processes() -> AsyncIterator[ProcesspoolExecutor]:
    """A processpool of two."""
    made = ProcesspoolExecutor(BOOTSTRAP, b"", 2)
    await made.start()
    yield made
    await made.close(0.1)
