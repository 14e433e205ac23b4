"""What only the broker in memory does."""

from __future__ import annotations

import asyncio

import pytest

from fp_events.domain.errors import BrokerRefused
from fp_events.domain.message import Subscription
from tests.transports.places import MemoryPlace, client, message, payloads


async def test_a_test_publishes_and_sees_what_was_published() -> None:
    """`publish` reaches subscribers, and `published` lists what everybody published."""
    place = MemoryPlace()
    async with client(place, "one", subscriptions=[Subscription(filter="plant/+/temperature")]) as one:
        place.broker.publish("plant/a/temperature", "21.5")
        place.broker.publish("plant/a/humidity", "40")

        (found,) = await one.take(1)
        await one.publish(message("alerts/a", b"hot"))

    assert b"21.5" == found.message.payload
    assert [b"21.5", b"40", b"hot"] == [one.payload for one in place.broker.published]


async def test_dropped_connections_come_back_at_once() -> None:
    """`drop_connections` repeats what was not acknowledged on a new connection."""
    place = MemoryPlace()
    async with client(place, "one", subscriptions=[Subscription(filter="#")]) as one:
        place.broker.publish("a", "1")
        await one.receive(1)

        place.broker.drop_connections()

        (again,) = await one.take(1)
        assert (True, 2) == (again.duplicate, again.connection)


async def test_a_shared_subscription_divides_the_messages() -> None:
    """Members of one group get each message once between them."""
    place = MemoryPlace()
    shared = [Subscription(filter="$share/group/plant/#")]
    async with client(place, "one", subscriptions=shared) as one, client(place, "two", subscriptions=shared) as two:
        for number in range(4):
            place.broker.publish("plant/a", b"%d" % number)

        assert [b"0", b"2"] == payloads(await one.take(2))
        assert [b"1", b"3"] == payloads(await two.take(2))


async def test_receive_maximum_bounds_what_is_under_way() -> None:
    """The broker sends no more unacknowledged messages than the client asked for."""
    place = MemoryPlace()
    async with client(place, "one", subscriptions=[Subscription(filter="#")], receive_maximum=2) as one:
        for number in range(5):
            place.broker.publish("a", b"%d" % number)

        assert [b"0", b"1"] == payloads(await one.take(2))
        assert [b"2", b"3"] == payloads(await one.take(2))
        assert [b"4"] == payloads(await one.take(1))


async def test_a_full_inbox_stops_the_broker() -> None:
    """Above `max_buffered_bytes` messages wait with the broker and come after the next `receive`."""
    place = MemoryPlace()
    async with client(place, "one", subscriptions=[Subscription(filter="#")], max_buffered_bytes=10_000) as one:
        for number in range(10):
            place.broker.publish("a", bytes([number]) * 4000)

        bursts = [len(await one.transport.receive()) for _ in range(4)]

    assert [3, 3, 3, 1] == bursts


async def test_the_third_takeover_ends_it() -> None:
    """Two clients with one id: one of them stops with an error that names the id."""
    place = MemoryPlace()
    async with client(place, "same") as one, client(place, "same", wait=False) as two:
        await asyncio.wait({one.running, two.running}, return_when=asyncio.FIRST_COMPLETED)
        loser = one if one.running.done() else two

        with pytest.raises(BrokerRefused, match="another client uses the client id 'same'"):
            await loser.running
