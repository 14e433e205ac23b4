"""Triggers that do without the ledger: `when_executed` leaves the message with the broker, `when_received` does not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from .conftest import House


def work(house: House, acknowledge: str, **settings: Any) -> None:
    """The pipeline `work` with a trigger that acknowledges so."""
    mapping = {"n": "payload.n", "do": "payload.do ?? null"}
    house.pipeline(triggers=[{"topic": "in/work", "map": mapping, "acknowledge": acknowledge}], **settings)


async def test_the_broker_keeps_the_message_until_the_result_is_confirmed(house: House) -> None:
    """And the ledger knows nothing of the run."""
    work(house, "when_executed")
    async with house.serving() as daemon:
        house.publish("in/work", 1, "gate")
        await house.steering.gates[1].entered()
        assert (1, 0) == (house.unacknowledged("daemon-x"), house.unacknowledged("daemon"))
        house.steering.gates[1].open()
        assert ["succeeded"] == await daemon.outcomes(1)
        await daemon.until(lambda: house.unacknowledged("daemon-x") == 0)
        assert [{"n": 1}] == house.published("out/work")
        assert [] == (await daemon.ask("runs.list"))["runs"]


async def test_a_message_that_a_crash_met_is_executed_again(house: House) -> None:
    """It was not acknowledged, so it comes again; what was confirmed does not."""
    work(house, "when_executed")
    async with house.serving() as daemon:
        house.publish("in/work", 1)
        await daemon.until(lambda: house.published("out/work") == [{"n": 1}])
        await daemon.until(lambda: house.unacknowledged("daemon-x") == 0)
        house.publish("in/work", 2, "gate", "ok")
        await house.steering.gates[2].entered()
        await daemon.crash()
        house.steering.open_all()
    async with house.serving() as daemon:
        assert ["succeeded"] == await daemon.outcomes(1)
        await daemon.until(lambda: house.unacknowledged("daemon-x") == 0)
        assert [{"n": 1}, {"n": 2}] == house.published("out/work")


async def test_a_message_that_comes_again_while_it_is_executed_is_not_executed_twice(house: House) -> None:
    """The connection was lost, not the process: the copy takes the place of the first."""
    work(house, "when_executed")
    async with house.serving() as daemon:
        house.publish("in/work", 1, "gate")
        await house.steering.gates[1].entered()
        house.broker.drop_connections()
        await daemon.until(lambda: house.broker.running and daemon.service.parts.direct is not None)
        await daemon.service.parts.transport.connected()
        house.publish("in/work", 2)
        await daemon.until(lambda: house.published("out/work") == [{"n": 2}])
        house.steering.gates[1].open()
        await daemon.until(lambda: house.unacknowledged("daemon-x") == 0)
        assert [{"n": 2}, {"n": 1}] == house.published("out/work")
        assert [1, 2] == sorted(house.steering.calls)


async def test_retries_hold_the_message_too(house: House) -> None:
    """The second attempt succeeds; until then nothing is acknowledged."""
    work(house, "when_executed", run={"max_retries": 1, "retry_delay": 0.01})
    async with house.serving() as daemon:
        house.publish("in/work", 1, "fail", "gate")
        await house.steering.gates[1].entered()
        assert 1 == house.unacknowledged("daemon-x")
        house.steering.gates[1].open()
        await daemon.until(lambda: house.unacknowledged("daemon-x") == 0)
        assert [{"n": 1}] == house.published("out/work")
        assert ["succeeded"] == await daemon.outcomes(1)
        assert 2 == daemon.ended[0].attempt


async def test_a_failed_run_is_acknowledged_once_its_dead_letter_is_confirmed(house: House) -> None:
    """The dead letter carries the original bytes."""
    work(house, "when_executed")
    async with house.serving() as daemon:
        house.publish("in/work", 1, "fail")
        assert ["failed"] == await daemon.outcomes(1)
        await daemon.until(lambda: house.unacknowledged("daemon-x") == 0)
        (letter,) = house.publications("fp/house/dlq/work")
        assert b'{"n": 1, "do": ["fail"]}' == letter.payload


async def test_a_refused_result_becomes_a_dead_letter(house: House) -> None:
    """No ledger could keep it, so its message is told instead."""
    work(house, "when_executed")
    house.broker.refuse("out/#")
    async with house.serving() as daemon:
        house.publish("in/work", 1)
        assert ["succeeded"] == await daemon.outcomes(1)
        await daemon.until(lambda: house.unacknowledged("daemon-x") == 0)
        (letter,) = house.publications("fp/house/dlq/work")
        assert "PublicationRefused" in str(letter.properties.user_value("error"))
        assert b'{"n": 1, "do": []}' == letter.payload


async def test_one_message_for_several_runs_is_acknowledged_once(house: House) -> None:
    """When the last of them is settled, however each has ended."""
    work(house, "when_executed")
    mapping = {"n": "payload.n", "do": "payload.do ?? null"}
    house.pipeline("other", triggers=[{"topic": "in/+", "map": mapping, "acknowledge": "when_executed"}])
    async with house.serving() as daemon:
        house.publish("in/work", 1, "fail", "gate")
        assert 1 == house.unacknowledged("daemon-x")
        await house.steering.gates[1].entered()
        assert ["failed"] == await daemon.outcomes(1)
        assert 1 == house.unacknowledged("daemon-x")
        house.steering.gates[1].open()
        await daemon.until(lambda: house.unacknowledged("daemon-x") == 0)
        assert ["failed", "succeeded"] == await daemon.outcomes(2)


@pytest.mark.parametrize("acknowledge", ["when_saved", "when_received"])
async def test_one_message_for_several_runs_is_acknowledged_before_they_end(house: House, acknowledge: str) -> None:
    """However each ends: one fails, the other goes on and succeeds."""
    work(house, acknowledge)
    mapping = {"n": "payload.n", "do": "payload.do ?? null"}
    house.pipeline("other", triggers=[{"topic": "in/+", "map": mapping, "acknowledge": acknowledge}])
    async with house.serving() as daemon:
        house.publish("in/work", 1, "fail", "gate")
        await house.steering.gates[1].entered()
        assert ["failed"] == await daemon.outcomes(1)
        assert 0 == house.unacknowledged("daemon")
        house.steering.gates[1].open()
        assert ["failed", "succeeded"] == await daemon.outcomes(2)
        assert 0 == house.unacknowledged("daemon")


async def test_when_received_is_at_most_once(house: House) -> None:
    """Acknowledged before it is executed: a crash loses it, and no copy is executed."""
    work(house, "when_received")
    async with house.serving() as daemon:
        house.publish("in/work", 1, "gate", "ok")
        await house.steering.gates[1].entered()
        assert 0 == house.unacknowledged("daemon")
        await daemon.crash()
        house.steering.open_all()
    async with house.serving() as daemon:
        house.publish("in/work", 2)
        assert ["succeeded"] == await daemon.outcomes(1)
        await daemon.until(lambda: house.published("out/work") == [{"n": 2}])
        assert [] == (await daemon.ask("runs.list"))["runs"]


async def test_a_drain_waits_for_what_no_ledger_keeps(house: House) -> None:
    """What runs ends, its result is confirmed, its message acknowledged."""
    work(house, "when_executed")
    async with house.serving() as daemon:
        house.publish("in/work", 1, "gate")
        await house.steering.gates[1].entered()
        stopping = asyncio.create_task(daemon.stop())
        await daemon.asked(lambda status: status["draining"])
        house.steering.gates[1].open()
        assert await stopping
        assert ([{"n": 1}], 0) == (house.published("out/work"), house.unacknowledged("daemon-x"))


async def test_a_run_that_settles_while_the_connection_is_away_is_not_executed_again(house: House) -> None:
    """Its message comes again, for the acknowledgement found no connection, and is acknowledged then."""
    work(house, "when_executed", outputs=[])
    async with house.serving() as daemon:
        house.publish("in/work", 1, "gate", "ok")
        await house.steering.gates[1].entered()
        house.broker.stop()
        house.steering.gates[1].open()
        assert ["succeeded"] == await daemon.outcomes(1)
        assert 1 == house.unacknowledged("daemon-x")
        house.broker.start()
        house.publish("in/work", 2)
        await daemon.until(lambda: house.unacknowledged("daemon-x") == 0)
        assert [1, 2] == house.steering.calls
