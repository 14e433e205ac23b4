"""What every transport does, on every broker we have."""

from __future__ import annotations

import asyncio

import pytest

from fp_events.domain.message import Publication, Subscription
from fp_events.transports.aiomqtt import AiomqttTransport
from tests.transports.places import Place, client, message, payloads

PLANT = (Subscription(filter="plant/#"),)

#: What MQTT 3.1.1 cannot say: retain handling, no local, reason codes, properties.
mqtt5_only = pytest.mark.parametrize("place", ["memory", "mqtt5-5", "aiomqtt-5"], indirect=True)


def numbered(count: int, topic: str = "plant/a", qos: int = 1) -> list[Publication]:
    return [message(topic, b"%d" % number, qos=qos) for number in range(count)]


async def test_arrivals_come_as_one_burst_in_order(place: Place) -> None:
    """What has arrived between two calls of `receive` comes at once, in order."""
    async with client(place, "one", subscriptions=PLANT) as one:
        await one.publish(*numbered(100), message("other"))

        burst = await one.transport.receive()

        assert [b"%d" % number for number in range(100)] == payloads(burst)
        assert list(range(1, 101)) == [delivery.number for delivery in burst]
        assert {1} == {delivery.connection for delivery in burst}


async def test_a_delivery_carries_the_message(place: Place) -> None:
    """Topic, payload, QoS and an aware time of arrival reach the receiver."""
    async with client(place, "one", subscriptions=PLANT) as one:
        await one.publish(message("plant/täst", b"\x00\xff", qos=1))

        (delivery,) = await one.take(1)

        assert ("plant/täst", b"\x00\xff", 1, False) == (
            delivery.message.topic,
            delivery.message.payload,
            delivery.message.qos,
            delivery.message.retain,
        )
        assert delivery.message.received_at.tzinfo is not None
        assert delivery.packet_id > 0
        assert delivery.duplicate is False


async def test_unacknowledged_come_back_and_acknowledged_do_not(place: Place) -> None:
    """After a lost connection the broker repeats what was not acknowledged, with the same packet ids."""
    async with client(place, "one", subscriptions=PLANT) as one:
        await one.publish(*numbered(6))
        first = await one.receive(6)
        one.transport.acknowledge(first[:2])
        await one.processed()
        await place.stop()
        await one.lost()
        await place.start()
        await one.connected()

        again = await one.take(4)

        assert payloads(first[2:]) == payloads(again)
        assert [delivery.packet_id for delivery in first[2:]] == [delivery.packet_id for delivery in again]
        assert {True} == {delivery.duplicate for delivery in again}
        assert {2} == {delivery.connection for delivery in again}
        assert one.transport.status().session_present


async def test_acknowledgements_go_in_receive_order(place: Place) -> None:
    """A delivery acknowledged before an earlier one is not acknowledged to the broker until that one is."""
    async with client(place, "one", subscriptions=PLANT) as one:
        await one.publish(*numbered(3))
        first, second, third = await one.receive(3)
        one.transport.acknowledge([second, third])
        await one.processed()
        assert 0 == one.transport.confirmed

        one.transport.acknowledge([first])
        await one.processed()

        assert third.number == one.transport.confirmed


async def test_acknowledgements_are_confirmed_by_an_answer_to_a_later_packet(place: Place) -> None:
    """`confirmed` follows once the broker has answered something sent after the acknowledgements."""
    async with client(place, "one", subscriptions=PLANT) as one:
        await one.publish(*numbered(5))
        burst = await one.receive(5)
        one.transport.acknowledge(burst[:3])

        await one.processed()

        assert burst[2].number == one.transport.confirmed


async def test_acknowledgements_for_an_older_connection_are_discarded(place: Place) -> None:
    """A message received before a loss and acknowledged after it is still repeated, and not acknowledged by it."""
    async with client(place, "one", subscriptions=PLANT) as one:
        await one.publish(*numbered(2))
        old = await one.receive(2)
        await place.stop()
        await one.lost()
        await place.start()
        await one.connected()

        one.transport.acknowledge(old)
        again = await one.receive(2)
        await one.processed()

        assert payloads(old) == payloads(again)
        assert 0 == one.transport.confirmed


async def test_nothing_arrives_twice_that_was_not_received_before_the_loss(place: Place) -> None:
    """What waited for `receive` when the connection was lost comes once, by the new connection."""
    async with client(place, "one", subscriptions=PLANT) as one:
        await one.publish(*numbered(5), message("other"))
        await place.stop()
        await one.lost()
        await place.start()
        await one.connected()
        await one.publish(message("plant/end", b"end"))

        found = await one.take(6)

        assert [b"0", b"1", b"2", b"3", b"4", b"end"] == payloads(found)
        assert {2} == {delivery.connection for delivery in found}


async def test_a_connection_that_is_lost_while_nothing_is_read_is_followed_by_one_that_is(place: Place) -> None:
    """The buffer was full: what was in it comes again, and must not count twice."""
    async with client(place, "one", subscriptions=PLANT, max_buffered_bytes=20_000) as one, client(place, "two") as two:
        await two.publish(*(message("plant/a", b"%d " % number + bytes(1_000)) for number in range(60)))
        async with asyncio.timeout(10):
            while not one.transport._inbox.full:  # type: ignore[attr-defined]  # no public door shows it
                await asyncio.sleep(0.01)
        await place.stop()
        if not isinstance(one.transport, AiomqttTransport):  # which notices when it reads again
            await one.lost()
        await place.start()
        found: set[int] = set()
        async with asyncio.timeout(20):
            while len(found) < 60:
                burst = await one.transport.receive()
                one.transport.acknowledge(burst)
                found |= {int(payload.split()[0]) for payload in payloads(burst)}


async def test_messages_sent_while_away_are_kept(place: Place) -> None:
    """The session outlives the client: a later start with the same client id gets what it missed."""
    async with client(place, "one", subscriptions=PLANT):
        pass
    async with client(place, "two") as two:
        await two.publish(*numbered(3))

    async with client(place, "one", subscriptions=PLANT) as one:
        found = await one.take(3)

    assert [b"0", b"1", b"2"] == payloads(found)
    assert one.transport.status().session_present


async def test_stale_filters_are_unsubscribed(place: Place) -> None:
    """A filter of an earlier start that is named stale delivers nothing more."""
    async with client(place, "one", subscriptions=[*PLANT, Subscription(filter="old/#", identifier=2)]):
        pass

    async with client(place, "one", subscriptions=PLANT, stale_filters=["old/#"]) as one:
        await one.publish(message("old/a", b"no"), message("plant/a", b"yes"))
        found = await one.take(1)

    assert [b"yes"] == payloads(found)


async def test_every_copy_says_which_subscription_caused_it(place: Place) -> None:
    """Overlapping subscriptions: each copy carries an identifier, where the protocol has them."""
    overlapping = [Subscription(filter="plant/#", identifier=7), Subscription(filter="plant/+", identifier=9)]
    async with client(place, "one", subscriptions=overlapping) as one:
        await one.publish(message("plant/a"), message("end"))

        burst = await one.transport.receive()

        seen = sorted(number for delivery in burst for number in delivery.subscription_ids)
        assert ([7, 9] if place.mqtt5 else []) == seen


async def test_retained_messages_are_marked_and_come_once(place: Place) -> None:
    """A retained message has the flag; handling 1 brings it for a new subscription only."""
    async with client(place, "two") as two:
        await two.publish(message("plant/a", b"kept", retain=True))

    async with client(place, "one", subscriptions=[Subscription(filter="plant/#", retain_handling=1)]) as one:
        (kept,) = await one.take(1)
        await one.processed()
        await place.stop()
        await one.lost()
        await place.start()
        await one.connected()
        await one.publish(message("plant/b", b"live"))
        # MQTT 3.1.1 has no retain handling: every subscribe brings it.
        later = await one.take(1 if place.mqtt5 else 2)

    assert (b"kept", True) == (kept.message.payload, kept.message.retain)
    assert [(b"live", False)] == [(d.message.payload, d.message.retain) for d in later if not d.message.retain]


@mqtt5_only
async def test_retain_handling_two_brings_no_retained_message(place: Place) -> None:
    """Handling 2 brings live messages only."""
    async with client(place, "one", subscriptions=[Subscription(filter="plant/#", retain_handling=2)]) as one:
        await one.publish(message("plant/a", b"kept", retain=True))
        await one.take(1)
    async with client(place, "two", subscriptions=[Subscription(filter="plant/#", retain_handling=2)]) as two:
        await two.publish(message("plant/b", b"live"))
        (found,) = await two.take(1)

    assert b"live" == found.message.payload


@mqtt5_only
async def test_no_local_keeps_our_own_messages_away(place: Place) -> None:
    """A subscription with `no_local` gets what others publish, not what we do."""
    async with (
        client(place, "one", subscriptions=[Subscription(filter="plant/#", no_local=True)]) as one,
        client(place, "two") as two,
    ):
        await one.publish(message("plant/a", b"ours"))
        await two.publish(message("plant/a", b"theirs"))

        (found,) = await one.take(1)

    assert b"theirs" == found.message.payload


async def test_the_will_is_published_when_the_client_dies(place: Place) -> None:
    """A client that ends without a goodbye leaves its last will."""
    async with (
        client(place, "watcher", subscriptions=[Subscription(filter="fp/#")]) as watcher,
        client(place, "one", will=message("fp/one", b"offline", qos=1)) as one,
    ):
        await one.crash()

        (found,) = await watcher.take(1)

    assert b"offline" == found.message.payload


async def test_a_farewell_takes_the_place_of_the_will(place: Place) -> None:
    """`close` publishes the farewell and disconnects, so that the will is not published."""
    async with client(place, "watcher", subscriptions=[Subscription(filter="fp/#")]) as watcher:
        async with client(place, "one", will=message("fp/one", b"will", qos=1)) as one:
            await one.transport.close([message("fp/one", b"farewell", qos=1)])
            await one.running
        await watcher.publish(message("fp/end", b"end"))

        found = await watcher.take(2)

    assert [b"farewell", b"end"] == payloads(found)


async def test_the_greeting_follows_every_connect(place: Place) -> None:
    """`greeting` is published at the first connect and after each reconnect."""
    async with client(place, "one", subscriptions=PLANT, greeting=[message("plant/hello", b"online")]) as one:
        await one.take(1)
        await one.processed()
        await place.stop()
        await one.lost()
        await place.start()
        await one.connected()

        (again,) = await one.take(1)

    assert (b"online", 2) == (again.message.payload, again.connection)


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_publications_are_confirmed_in_order(place: Place, qos: int) -> None:
    """A burst gets one confirmation each, in its order, and arrives in its order."""
    async with client(place, "one", subscriptions=[Subscription(filter="plant/#", qos=qos)]) as one:
        burst = numbered(300, qos=qos)

        confirmations = await one.transport.publish(burst)

        found = await one.take(300)
        assert [one.event_id for one in burst] == [one.event_id for one in confirmations]
        assert {"sent"} == {one.result.value for one in confirmations}
        assert [one.payload for one in burst] == payloads(found)
        assert {min(qos, place.most)} == {delivery.message.qos for delivery in found}


async def test_an_empty_burst_has_no_confirmations(place: Place) -> None:
    """Publishing nothing returns nothing, at once."""
    async with client(place, "one") as one:
        assert [] == await one.publish()


async def test_a_large_payload_passes(place: Place) -> None:
    """Eight megabytes go out and come in unchanged."""
    payload = bytes(range(256)) * 32 * 1024
    async with client(place, "one", subscriptions=PLANT) as one:
        assert ["sent"] == await one.publish(message("plant/a", payload))

        (found,) = await one.take(1)

    assert payload == found.message.payload


@mqtt5_only
@pytest.mark.parametrize("qos", [1, 2])
async def test_a_refused_publication_says_so(place: Place, qos: int) -> None:
    """A publication that the broker's access list forbids is REFUSED with the reason (MQTT 5)."""
    async with client(place, "one") as one:
        (confirmation,) = await one.transport.publish([message("forbidden/a", qos=qos)])

    assert ("refused", "not authorized") == (confirmation.result.value, confirmation.reason)


@mqtt5_only
async def test_publications_after_a_refused_one_pass(place: Place) -> None:
    """A refusal costs its neighbours nothing but a repetition: Mosquitto 2.0 closes the connection over it."""
    async with client(place, "one") as one:
        *_, last = await one.publish(message("a"), message("forbidden/a"), message("b"))
        while last == "unknown":
            await one.connected()
            (last,) = await one.publish(message("b"))

    assert "sent" == last


@pytest.mark.parametrize("topic", ["", "a/#", "a\0b", "a" * 70_000, "a/\ud800"])
async def test_a_publication_that_cannot_be_sent_is_refused_here(place: Place, topic: str) -> None:
    """A topic that MQTT does not allow is REFUSED without harm to the connection."""
    async with client(place, "one") as one:
        results = await one.publish(message(topic), message("a"))

        assert ["refused", "sent"] == results
        assert 1 == one.transport.status().connections


async def test_without_a_connection_publications_are_unknown_at_once(place: Place) -> None:
    """Nothing waits for a broker that is away; the same publication is sent after the reconnect."""
    async with client(place, "one") as one:
        await place.stop()
        await one.lost()
        assert ["unknown", "unknown"] == await one.publish(*numbered(2))
        await place.start()
        await one.connected()

        assert ["sent", "sent"] == await one.publish(*numbered(2))


@mqtt5_only
async def test_properties_make_the_round_trip(place: Place) -> None:
    """Content type, response topic, correlation data, expiry and user properties arrive as sent."""
    sent = message(
        "plant/a",
        b"{}",
        content_type="application/json",
        response_topic="reply/ä",
        correlation_data=b"\x00\xff",
        message_expiry=60,
        user=(("run_id", "1"), ("run_id", "2"), ("ünï", "\ufeff")),
    )
    async with client(place, "one", subscriptions=PLANT) as one:
        await one.publish(sent)

        (found,) = await one.take(1)

    assert sent.properties == found.message.properties


async def test_a_broker_that_comes_up_later_is_found(place: Place) -> None:
    """A broker that is down at the start is not fatal."""
    await place.stop()
    async with client(place, "one", subscriptions=PLANT, wait=False) as one:
        assert not one.transport.status().connected
        await place.start()

        await one.connected()

        assert ["sent"] == await one.publish(message("plant/a"))
        assert 1 == one.transport.status().connections


async def test_a_killed_broker_is_found_again(place: Place) -> None:
    """After SIGKILL and a new start of the broker everything works as before."""
    async with client(place, "one", subscriptions=PLANT) as one:
        await place.kill()
        await one.lost()
        await place.start()
        await one.connected()

        await one.publish(message("plant/a", b"again"))

        (found,) = await one.take(1)
        assert b"again" == found.message.payload
        assert 2 == one.transport.status().connections


async def test_receive_waits_over_a_lost_connection(place: Place) -> None:
    """A call of `receive` that waits while the connection is lost gets what the next one brings."""
    async with client(place, "one", subscriptions=PLANT) as one:
        waiting = asyncio.create_task(one.receive(1))
        await place.stop()
        await one.lost()
        await place.start()
        await one.connected()
        await one.publish(message("plant/a", b"later"))

        assert [b"later"] == payloads(await waiting)


async def test_close_ends_run_while_there_is_no_broker(place: Place) -> None:
    """`close` does not wait for a broker that is away."""
    await place.stop()
    async with client(place, "one", wait=False) as one:
        await one.transport.close([message("a")])
        await one.running

        assert not one.transport.status().connected


async def test_the_status_shows_what_was_granted(place: Place) -> None:
    """`granted` names every filter with its QoS."""
    wanted = [Subscription(filter=f"a{number}/#", identifier=number + 1, qos=number % 3) for number in range(120)]
    async with client(place, "one", subscriptions=wanted) as one:
        granted = one.transport.status().granted

    assert {one.filter: min(one.qos, place.most) for one in wanted} == granted
