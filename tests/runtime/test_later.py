"""Runs that start later, or otherwise than their pipeline says."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fp_events.domain.errors import CommandRefused

from .conftest import Daemon, House


async def run(daemon: Daemon, number: int, *do: str, **arguments: object) -> dict[str, Any]:
    return await daemon.ask("run", pipeline="work", inputs={"n": number, "do": list(do)}, **arguments)


async def test_a_delayed_run_starts_when_it_is_due(house: House) -> None:
    """Not before; `wait` waits for it."""
    house.pipeline()
    async with house.serving() as daemon:
        began = time.monotonic()
        answer = await run(daemon, 1, run_in=0.3)
        assert ("waiting", []) == (answer["state"], house.steering.calls)
        assert "succeeded" == (await run(daemon, 1, run_id="b", run_in="300ms", wait=True))["outcome"]
        assert 0.3 <= time.monotonic() - began < 5


async def test_a_time_that_is_over_is_now(house: House) -> None:
    """As an ISO time, or as seconds since 1970."""
    house.pipeline()
    async with house.serving() as daemon:
        for at in ("2020-01-01T00:00:00+02:00", 1_000_000_000):
            assert "succeeded" == (await run(daemon, 1, run_at=at, wait=True))["outcome"]


async def test_a_delayed_run_outlives_the_daemon(house: House) -> None:
    """It starts when it is due, or at the start of the next daemon; each once."""
    house.use_sqlite()
    house.pipeline()
    async with house.serving() as daemon:
        await daemon.ask("pause", pipeline="work")
        soon = datetime.now(UTC) + timedelta(seconds=2)
        await run(daemon, 1, run_in="10ms", run_id="missed")
        await run(daemon, 2, run_at=soon.isoformat(), run_id="kept")
        assert await daemon.stop()
    async with house.serving() as daemon:
        begun = datetime.now(UTC)
        await daemon.ask("resume", pipeline="work")
        assert ["succeeded"] * 2 == await daemon.outcomes(2)
        shown = await daemon.ask("runs.show", run_id="kept")
        started = datetime.fromisoformat(shown["started_at"])
        assert soon <= started < max(soon, begun) + timedelta(seconds=2)
        assert [1, 2] == house.steering.calls


async def test_a_delayed_run_holds_no_key(house: House) -> None:
    """Runs of its key pass until it is due."""
    house.keyed()
    async with house.serving() as daemon:
        inputs = {"n": 1, "do": None, "key": "a"}
        await daemon.ask("run", pipeline="work", inputs=inputs, key="a", run_in=3600)
        house.publish("in/work/a", 2)
        assert ["succeeded"] == await daemon.outcomes(1)


async def test_retries_of_one_run(house: House) -> None:
    """The pipeline retries once a minute, five times; this run at once, and twice."""
    house.pipeline(run={"max_retries": 5, "retry_delay": 60})
    async with house.serving() as daemon:
        answer = await run(daemon, 1, "fail", max_retries=2, retry_delay=0.001, jitter_factor=0.5, wait=True)
        assert ("failed", [1, 1, 1]) == (answer["outcome"], house.steering.calls)
        assert "failed" == (await run(daemon, 2, "fail", max_retries=0, wait=True))["outcome"]


async def test_overrides_hold_after_a_restart(house: House) -> None:
    """They are stored with the run."""
    house.use_sqlite()
    house.pipeline(run={"max_retries": 5, "retry_delay": 60})
    async with house.serving() as daemon:
        await daemon.ask("pause", pipeline="work")
        await run(daemon, 1, "fail", max_retries=1, retry_delay="1ms", run_id="own")
        assert await daemon.stop()
    async with house.serving() as daemon:
        await daemon.ask("resume", pipeline="work")
        assert ["failed"] == await daemon.outcomes(1)
        assert [1, 1] == house.steering.calls


async def test_timeout_and_deadline_of_one_run(house: House) -> None:
    """Per attempt, and for all of it."""
    house.pipeline(run={"max_retries": 5, "retry_delay": 60})
    async with house.serving() as daemon:
        answer = await run(daemon, 1, "gate", timeout=0.05, max_retries=0, wait=True)
        assert "timed_out" == answer["outcome"]
        assert "timed_out" == (await run(daemon, 2, "fail", deadline="100ms", wait=True))["outcome"]


async def test_a_higher_priority_starts_first(house: House) -> None:
    """Among those that wait; the same priority in the order in which they came."""
    house.pipeline(run={"executor": {"type": "threadpool", "max_workers": 1}})
    async with house.serving() as daemon:
        await daemon.ask("pause", pipeline="work")
        for number, priority in ((1, None), (2, 3), (3, 9), (4, 3), (5, 0)):
            await run(daemon, number, **({} if priority is None else {"priority": priority}))
        await daemon.ask("resume", pipeline="work")
        await daemon.outcomes(5)
        assert [3, 2, 4, 1, 5] == house.steering.calls


@pytest.mark.parametrize(
    "arguments",
    [
        {"run_at": "tomorrow"},
        {"run_at": "2030-01-01T00:00:00"},
        {"run_at": 1e300},
        {"run_in": -1},
        {"run_in": "soon"},
        {"run_in": 1e12},
        {"run_in": 1, "run_at": "2030-01-01T00:00:00Z"},
        {"priority": 10},
        {"priority": -1},
        {"priority": 1.5},
        {"max_retries": -1},
        {"max_retries": 10**9},
        {"retry_delay": "never"},
        {"jitter_factor": 2},
        {"timeout": 0},
        {"deadline": float("nan")},
        {"executor": "raj"},
        {"cache": 5},
        {"log_level": "LOUD"},
        {"with_adapter": {"mlfow": True}},
        {"with_adapter": {"mlflow": 1}},
    ],
)
async def test_what_a_run_cannot_be_given_is_refused(house: House, arguments: dict[str, object]) -> None:
    """With a reason; nothing is started or stored."""
    house.pipeline()
    async with house.serving() as daemon:
        with pytest.raises(CommandRefused):
            await run(daemon, 1, **arguments)
        assert [] == (await daemon.ask("runs.list"))["runs"]
