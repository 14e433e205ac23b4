"""The outbox: in order, within bounds, until the broker has confirmed it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from fp_events.domain.message import Message, Publication
from fp_events.domain.records import Accept, Batch, Finish, NewRun
from fp_events.domain.run import Cause, Outcome, RunState
from fp_events.runtime.limits import Limits
from fp_events.runtime.options import ServiceOptions

from .conftest import Daemon, House

FEW = Limits(held_publications=10, held_bytes=1_000)


def few(options: ServiceOptions) -> ServiceOptions:
    return replace(options, limits=FEW)


def results(house: House) -> list[int]:
    return [item["n"] for item in house.published("out/work")]


def held(daemon: Daemon) -> int:
    """Publications in memory."""
    publisher: Any = daemon.service.parts.publisher
    return len(publisher._outbox)


async def test_an_outage_is_waited_for_within_bounds(house: House) -> None:
    """What does not fit waits in the ledger; afterwards each result is published once, in order."""
    house.keyed()
    house.use_sqlite()
    async with house.serving(few) as daemon:
        house.publish("in/work/a", 0)
        await daemon.until(lambda: results(house) == [0])
        house.broker.stop()
        for number in range(1, 101):
            inputs = {"n": number, "do": None, "key": "a", "source": "a"}
            known = {name: inputs[name] for name in ("n", "do", "key")}
            await daemon.ask("run", pipeline="work", key="a", inputs=known, wait=number == 100)
        assert held(daemon) <= 11
        house.broker.start()
        await daemon.until(lambda: len(results(house)) >= 101)
        assert list(range(101)) == results(house)


async def test_results_beyond_the_bound_keep_their_order_while_more_come(house: House) -> None:
    """Reading from the ledger and new results, at the same time, again and again."""
    house.keyed()
    house.use_sqlite()
    async with house.serving(few) as daemon:
        for number in range(600):
            house.publish("in/work/a", number)
            if number % 97 == 0:
                house.broker.drop_connections()
            if number % 50 == 0:
                await asyncio.sleep(0.005)
        await daemon.until(lambda: len(set(results(house))) == 600)
        first = list(dict.fromkeys(results(house)))
        assert list(range(600)) == first


async def test_the_next_life_publishes_what_is_unsent_page_by_page(house: House) -> None:
    """However much it is."""
    house.pipeline()
    await house.ledger.open()
    payload = b'{"n": 1}'
    publications = tuple(
        Publication(event_id=f"e{number}", topic="out/work", payload=b'{"n": %d}' % number, qos=1)
        for number in range(4_500)
    )
    run = NewRun(
        run_id="r1", pipeline="work", cause=Cause.MESSAGE, state=RunState.RUNNING, created_at=publications_at()
    )
    message = Message(topic="in/work", payload=payload, received_at=publications_at())
    await house.ledger.commit(Batch(accepts=(Accept(message=message, runs=(run,)),)))
    end = Finish(
        run_id="r1", attempt=1, outcome=Outcome.SUCCEEDED, finished_at=publications_at(), publications=publications
    )
    await house.ledger.commit(Batch(finishes=(end,)))
    await house.ledger.close()

    async with house.serving() as daemon:
        await daemon.until(lambda: len(results(house)) == 4_500)
        assert list(range(4_500)) == results(house)


def publications_at() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)


async def test_events_that_nobody_can_take_are_dropped(house: House) -> None:
    """The oldest first: they are news, not promises; results are kept."""
    house.pipeline()
    async with house.serving() as daemon:
        house.broker.stop()
        for number in range(1_200):
            inputs = {"n": number, "do": None}
            await daemon.ask("run", pipeline="work", inputs=inputs, wait=number == 1_199)
        await daemon.outcomes(1_200)
        house.broker.start()
        await daemon.until(lambda: len(results(house)) == 1_200)
        events = house.published("fp/house/events/work/succeeded")
        assert 0 < len(events) <= 1_500


async def test_a_refusal_is_told_and_holds_nothing_up(house: House) -> None:
    """It is listed with the broker's reason, and what comes after it is published."""
    house.pipeline()
    house.pipeline("other")
    house.broker.refuse("out/work")
    async with house.serving() as daemon:
        house.publish("in/work", 1)
        await daemon.asked(lambda status: status["ledger"]["refused"] == 1)
        house.publish("in/other", 2)
        await daemon.until(lambda: house.published("out/other"))
        (row,) = (await daemon.ask("dlq.list"))["refused"]
        assert ("out/work", True) == (row["topic"], bool(row["reason"]))
        assert [facts["topic"] for event, facts in daemon.log if event == "publication_refused"] == ["out/work"]
