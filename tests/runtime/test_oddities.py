"""What users' code may raise and return: none of it ends the daemon."""

from __future__ import annotations

import pytest

from fp_events.runtime.router import Router

from .conftest import House

ODD = """
class Odd(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Many(dict):
    def __iter__(self):
        raise KeyError("no keys")


DEEP = []
for _ in range(5_000):
    DEEP = [DEEP]


def result(n: int) -> object:
    if n == 0:
        raise ValueError("half a pair: \\ud800, a zero: \\0, a turn: \\u202e")
    if n == 1:
        raise Odd()
    if n == 2:
        raise SystemExit(3)
    if n == 3:
        raise KeyboardInterrupt
    if n == 4:
        raise type("Odd\\ud800", (Exception,), {})("x")
    if n == 5:
        raise ExceptionGroup("\\ud800", [ValueError(n)])
    if n == 6:
        raise ValueError("x" * 1_000_000)
    if n == 7:
        raise StopIteration(7)
    if n == 8:
        return "\\ud800"
    if n == 9:
        return {"\\ud800": float("nan")}
    if n == 10:
        return DEEP
    if n == 11:
        return Many(a=1)
    if n == 12:
        return object()
    if n == 13:
        return 10**5000
    return n
"""
CASES = 14


@pytest.mark.parametrize("executor", ["threadpool", "local"])
async def test_whatever_a_run_raises_or_returns_only_that_run_ends(house: House, executor: str) -> None:
    """Each ends, is listed and explained; the one after them all is well."""
    house.use_sqlite()
    trigger = {"topic": "in/work", "map": {"n": "payload.n"}}
    house.pipeline(code=ODD, triggers=[trigger], run={"executor": {"type": executor}})
    async with house.serving() as daemon:
        for number in range(CASES):
            house.publish("in/work", number)
        await daemon.outcomes(CASES)
        house.publish("in/work", 99)
        assert "succeeded" == (await daemon.outcomes(CASES + 1))[-1]

        runs = (await daemon.ask("runs.list"))["runs"]
        assert CASES + 1 == len(runs)
        for run in runs:
            assert run["run_id"] == (await daemon.ask("runs.show", run_id=run["run_id"]))["run_id"]
        failed = sum(record.outcome.value == "failed" for record in daemon.ended)
        await daemon.until(lambda: len(house.publications("fp/house/dlq/work")) == failed)
        assert await daemon.stop()


def test_without_subscription_identifiers_no_filters_overlap(house: House) -> None:
    """MQTT 3.1.1 cannot tell two copies of a request apart: the daemon's own filter is merged with the others."""
    house.pipeline(triggers=[{"topic": "#", "map": {"n": "payload.n"}}])
    pipelines = house.options().pipelines.values()
    for protocol, expected in (("5", ["#", "fp/house/control/+"]), ("3.1.1", ["#"])):
        router = Router(pipelines, protocol=protocol, extra=("fp/house/control/+",))
        assert expected == [subscription.filter for subscription in router.subscriptions]
