"""The life of a message: from the broker to a confirmed result."""

from __future__ import annotations

from typing import Any

import pytest

from fp_events.domain.message import Properties

from .conftest import House

MAP = {"n": "payload.n", "do": "payload.do ?? null"}


async def test_a_message_becomes_a_result(house: House) -> None:
    """Accepted, run, published with the facts of its run, acknowledged."""
    house.pipeline()
    async with house.serving() as daemon:
        house.publish("in/work", 1, user=[("traceparent", "00-1-2-01")])

        assert ["succeeded"] == await daemon.outcomes(1)
        await daemon.until(lambda: house.published("out/work"))
        (publication,) = house.publications("out/work")
        assert [{"n": 1}] == house.published("out/work")
        assert daemon.ended[0].run_id == publication.properties.user_value("run_id")
        assert "00-1-2-01" == publication.properties.user_value("traceparent")
        assert unacknowledged(house) == 0


async def test_overlapping_triggers_run_once_each(house: House) -> None:
    """A message that two triggers of a pipeline match makes two runs, however many copies the broker sends."""
    topics = ["in/#", "in/+", "in/work", "other/#"]
    house.pipeline(triggers=[{"topic": topic, "map": MAP} for topic in topics])
    async with house.serving() as daemon:
        house.publish("in/work", 1)
        house.publish("in/else", 2)

        await daemon.outcomes(5)
        assert [1, 1, 1, 2, 2] == sorted(house.steering.calls)
        status = await daemon.ask("status")
        assert [2, 2, 1, 0] == [trigger["received"] for trigger in status["pipelines"][0]["triggers"]]


@pytest.mark.parametrize(("policy", "calls"), [("skip", []), ("process", [1])])
async def test_retained_messages_run_only_where_wanted(house: House, policy: str, calls: list[int]) -> None:
    """What was published before the daemon came is skipped, unless the trigger processes it."""
    house.pipeline(triggers=[{"topic": "in/work", "retained": policy, "map": MAP}])
    house.broker.publish("in/work", '{"n": 1}', retain=True)
    async with house.serving() as daemon:
        house.publish("in/work", 2)

        await daemon.outcomes(len(calls) + 1)
        assert [*calls, 2] == sorted(house.steering.calls)


async def test_what_nobody_wants_is_acknowledged_in_its_turn(house: House) -> None:
    """Unmatched messages between others hold nothing up and stay with nobody."""
    house.pipeline(triggers=[{"topic": "in/+", "retained": "process", "map": MAP}])
    for number in range(3):
        house.broker.publish(f"in/{number}", f'{{"n": {number}}}', retain=True)
    async with house.serving() as daemon:
        await daemon.outcomes(3)
        await daemon.until(lambda: unacknowledged(house) == 0)
    house.pipeline()
    async with house.serving() as daemon:
        house.broker.publish("in/1", "{}")
        house.publish("in/work", 9)
        await daemon.outcomes(1)
        assert unacknowledged(house) == 0


async def test_an_identity_is_run_once(house: House) -> None:
    """The `message_id` property, or the trigger's expression; null is no identity."""
    house.pipeline(triggers=[{"topic": "in/work", "identity": "payload.id ?? null", "map": MAP}])
    async with house.serving() as daemon:
        for text in ('{"n": 1, "id": "a"}', '{"n": 2, "id": "a"}', '{"n": 3, "id": null}', '{"n": 4, "id": null}'):
            house.broker.publish("in/work", text)
        for number in (5, 6):
            house.publish("in/work", number, user=[("message_id", "m")])

        await daemon.outcomes(4)
        status = await daemon.asked(lambda status: status["totals"]["received"] == 6)
        assert [1, 3, 4, 5] == sorted(house.steering.calls)
        assert status["pipelines"][0]["triggers"][0]["duplicates"] == 2


async def test_a_message_without_its_key_is_rejected(house: House) -> None:
    """Its order and its state would be somebody else's."""
    mapping = {**MAP, "key": 'payload.key ?? "none"'}
    house.keyed(triggers=[{"topic": "in/work", "key": "{payload.key}", "map": mapping}])
    async with house.serving() as daemon:
        house.broker.publish("in/work", '{"n": 1}')
        house.broker.publish("in/work", '{"n": 2, "key": "k"}')

        assert ["rejected", "succeeded"] == sorted(await daemon.outcomes(2))
        (rejected,) = (record for record in daemon.ended if record.failure)
        assert rejected.failure is not None
        assert "key" in rejected.failure.message
        states = (await daemon.ask("state.list"))["states"]
        assert [("k", {"total": 2})] == [(state["key"], state["value"]) for state in states]


async def test_more_messages_than_one_commit_holds_keep_their_order(house: House) -> None:
    """A burst is accepted in parts."""
    house.keyed()
    house.broker.publish("in/work/k", '{"n": 0}')
    async with house.serving() as daemon:
        for number in range(1, 1201):
            house.broker.publish("in/work/k", f'{{"n": {number}}}', qos=number % 2)

        await daemon.outcomes(1200)
        assert list(range(1, 1201)) == house.steering.calls


async def test_intake_waits_while_too_much_is_held(house: House) -> None:
    """The broker keeps what the daemon has no room for."""
    from dataclasses import replace

    from fp_events.runtime.limits import Limits

    house.pipeline()
    async with house.serving(lambda options: replace(options, limits=Limits(pending_runs=5))) as daemon:
        await daemon.ask("pause", pipeline="work")
        for number in range(5):
            house.publish("in/work", number)
        await daemon.asked(lambda status: status["totals"]["pending"] == 5)
        house.publish("in/work", 5)
        with pytest.raises(Exception, match="holds as many runs as it may"):
            await daemon.ask("run", pipeline="work", inputs={"n": 6, "do": None})
        assert 5 == (await daemon.ask("status"))["totals"]["received"]
        assert unacknowledged(house) == 1

        await daemon.ask("resume", pipeline="work")
        await daemon.outcomes(6)
        assert [0, 1, 2, 3, 4, 5] == sorted(house.steering.calls)


async def test_a_connection_cut_before_the_acknowledgement_repeats_nothing(house: House) -> None:
    """What is delivered again is recognised."""
    house.pipeline()
    async with house.serving() as daemon:
        for number in range(50):
            house.publish("in/work", number)
            if number % 7 == 0:
                house.broker.drop_connections()
        await daemon.outcomes(50)
        house.broker.drop_connections()
        house.publish("in/work", 50)
        await daemon.until(lambda: len(house.published("out/work")) >= 51)
        assert list(range(51)) == sorted(house.steering.calls)


async def test_an_equal_reading_under_a_used_packet_id_is_no_redelivery(house: House) -> None:
    """A broker that gives the lowest free id again: the second of two equal readings outlives a crash before its commit."""
    house.pipeline()
    async with house.serving() as daemon:
        house.publish("in/work", 1)
        await daemon.outcomes(1)
        await daemon.until(lambda: confirmed(house) == 1)
        session: Any = house.broker._sessions["daemon"]
        session._last_packet_id = 0
        house.publish("in/work", 1)
        await daemon.crash()

    async with house.serving() as daemon:
        assert ["succeeded"] == await daemon.outcomes(1)
        assert [1, 1] == house.steering.calls


def confirmed(house: House) -> int:
    """The last message of which the ledger knows that it cannot come again."""
    ledger: Any = house.ledger
    return int(ledger._tables.confirmed)


def unacknowledged(house: House) -> int:
    """QoS 1 messages that the broker has sent and still holds."""
    session: Any = house.broker._sessions["daemon"]
    return len(session._unacknowledged)


async def test_an_expired_message_never_starts(house: House) -> None:
    """The publisher's word counts as well as the trigger's."""
    house.pipeline()
    async with house.serving() as daemon:
        await daemon.ask("pause", pipeline="work")
        house.broker.publish("in/work", '{"n": 1}', properties=Properties(message_expiry=0))
        house.publish("in/work", 2)

        assert ["expired"] == await daemon.outcomes(1)
        await daemon.ask("resume", pipeline="work")
        assert ["expired", "succeeded"] == await daemon.outcomes(2)
        assert [2] == house.steering.calls
