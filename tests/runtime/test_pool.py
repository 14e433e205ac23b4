"""Opening once, whoever asks and however many; closing when nobody asks any more."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from fp_events.domain.closing import close_loop
from fp_events.domain.errors import ResourceUnavailable
from fp_events.domain.hooks import Resource
from fp_events.runtime.resources import Lease, Pool


class Opened:
    """Counts how often it was opened, and closed."""

    def __init__(self, opener: Callable[[], object] = object) -> None:
        self.times = 0
        self.closed = 0
        self._opener = opener

    def __call__(self) -> Opened:
        self.times += 1
        self._opener()
        return self

    async def later(self) -> Opened:
        """The same, on a loop."""
        await asyncio.sleep(0.02)
        return self()

    def close(self) -> None:
        """As resources do."""
        self.closed += 1


def lease(pool: Pool, opened: Opened, *, is_async: bool = False, version: str = "1") -> Lease:
    """Of a handler whose input `db` it is."""
    call: Any = opened.later if is_async else opened
    return pool.lease({"db": Resource(name="db", text="hooks.r:db", call=call, is_async=is_async, version=version)})


def test_threads_that_come_together_open_once() -> None:
    """They wait for the first of them, and get the same."""
    opened = Opened(lambda: time.sleep(0.02))
    held = lease(Pool(), opened)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(held.get("db"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (1, [opened] * 8) == (opened.times, found)


async def test_attempts_that_come_together_open_once_on_their_loop() -> None:
    """One that is given up leaves the opening to the others."""
    opened = Opened()
    held = lease(Pool(), opened, is_async=True)
    first = asyncio.create_task(held.get_on_loop("db"))
    others = [asyncio.create_task(held.get_on_loop("db")) for _ in range(3)]
    await asyncio.sleep(0)
    first.cancel()

    assert [opened] * 3 == await asyncio.gather(*others)
    assert 1 == opened.times
    await close_loop(asyncio.get_running_loop())
    assert 1 == opened.closed


def test_each_failure_puts_the_next_try_off_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as long each time, from one second to a minute; in between nothing is called."""
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)

    def fails() -> None:
        raise OSError("no route")

    opened = Opened(fails)
    held = lease(Pool(), opened)
    pauses = []
    for _ in range(8):
        with pytest.raises(ResourceUnavailable, match="no route") as told:
            held.get("db")
        pauses.append(float(told.value.mend.split()[-2]))
        with pytest.raises(ResourceUnavailable):
            held.get("db")
        now += pauses[-1]

    assert [1, 2, 4, 8, 16, 32, 60, 60] == pauses
    assert 8 == opened.times


def test_what_handlers_share_is_closed_after_the_last_of_them() -> None:
    """By their attempts or their replacement, in whatever order."""
    pool, opened = Pool(), Opened()
    first, second = lease(pool, opened), lease(pool, opened)
    with first:
        first.get("db")
        second.hold()
        first.retire()
    assert 0 == opened.closed
    with second:
        second.get("db")
        second.retire()
        assert 0 == opened.closed
    assert (1, 1) == (opened.times, opened.closed)
    # An attempt that was handed over just before: for it alone.
    with first:
        first.get("db")
    assert (2, 2) == (opened.times, opened.closed)


def test_a_handler_that_was_never_used_keeps_nothing_open() -> None:
    """Such as those of a reload that was refused."""
    pool, opened = Pool(), Opened()
    used, _unused = lease(pool, opened), lease(pool, opened)
    with used:
        used.get("db")
    used.retire()
    assert 1 == opened.closed


async def test_what_does_not_close_is_left(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """After some seconds, with a line in the log."""
    monkeypatch.setattr("fp_events.runtime.holding.PATIENCE", 0.02)
    monkeypatch.setattr("fp_events.runtime.resources.PATIENCE", 0.02)
    never = threading.Event()

    async def hangs() -> Any:
        yield 1
        await asyncio.Event().wait()

    def blocks() -> Any:
        yield 2
        never.wait()

    pool = Pool()
    calls: dict[str, Any] = {"loop": hangs, "process": blocks}
    held = pool.lease(
        {
            name: Resource(name=name, text=f"h:{name}", call=call, is_async=name == "loop", yields=True, version=name)
            for name, call in calls.items()
        }
    )
    assert [1, 2] == [await held.get_on_loop(name) for name in calls]

    await pool.close()

    never.set()
    assert [
        "resource 'loop' (h:loop) did not close properly: TimeoutError: not within 0.02 s",
        "resources are not closed within 0.02 s; the process ends without",
    ] == [record.getMessage() for record in caplog.records]
