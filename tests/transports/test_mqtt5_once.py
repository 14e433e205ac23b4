"""QoS 2 in both directions: once, over lost connections and restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

import pytest
from mqtt5 import (
    PubAckPacket,
    PubCompPacket,
    PublishPacket,
    PubRecPacket,
    PubRecReasonCode,
    PubRelPacket,
    PubRelReasonCode,
    QoS,
    SubscribePacket,
)

from fp_events.domain.message import Subscription
from fp_events.transports.mqtt5 import Mqtt5Transport
from tests.brokers import mosquitto
from tests.transports.places import Client, MosquittoPlace, client, message, payloads
from tests.transports.scripted import Peer, scripted

WANTED = [Subscription(filter="a/#", qos=2)]


def publish(number: int, payload: bytes, *, duplicate: bool = False) -> PublishPacket:
    return PublishPacket("a/b", payload, qos=QoS.EXACTLY_ONCE, packet_id=number, duplicate=duplicate)


class Stored:
    """`ReceivedIds` in memory: `gate` holds up every change, as a disk would."""

    def __init__(self, *packet_ids: int) -> None:
        self.ids = set(packet_ids)
        self.gate = asyncio.Event()
        self.gate.set()

    def known(self) -> Collection[int]:
        return set(self.ids)

    async def forget(self, packet_ids: Sequence[int]) -> None:
        await self.gate.wait()
        self.ids.difference_update(packet_ids)

    async def clear(self) -> None:
        await self.gate.wait()
        self.ids.clear()


# -- to us


async def test_pubrec_follows_the_acknowledgement_and_repetitions_are_dropped() -> None:
    """PUBREC waits for `acknowledge`; until PUBCOMP the same identifier is not delivered again, after it is."""
    repeated = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.grant()
        peer.send(publish(5, b"first"), publish(5, b"first", duplicate=True))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(peer.next(), 0.05)
        repeated.set()
        assert 5 == (await peer.expect(PubRecPacket)).packet_id
        peer.send(publish(5, b"first", duplicate=True))
        assert 5 == (await peer.expect(PubRecPacket)).packet_id
        peer.send(PubRelPacket(5))
        assert 5 == (await peer.expect(PubCompPacket)).packet_id
        peer.send(PubRelPacket(5))
        assert 5 == (await peer.expect(PubCompPacket)).packet_id
        peer.send(publish(5, b"second"))
        await peer.answer()

    async with scripted(script) as place, client(place, "one", subscriptions=WANTED) as one:
        burst = await one.receive(1)
        await repeated.wait()
        one.transport.acknowledge(burst)
        (second,) = await one.take(1)

    assert (b"first", b"second") == (burst[0].message.payload, second.message.payload)


async def test_an_acknowledged_message_comes_once_over_a_lost_connection() -> None:
    """What was acknowledged is not delivered again when the broker repeats it; what was not, is."""

    async def first(peer: Peer) -> None:
        await peer.accept()
        await peer.grant()
        peer.send(publish(5, b"acknowledged"), publish(6, b"received"))
        await peer.expect(PubRecPacket)
        peer.cut()

    async def second(peer: Peer) -> None:
        await peer.accept(session_present=True)
        await peer.grant()
        peer.send(publish(5, b"acknowledged", duplicate=True), publish(6, b"received", duplicate=True))
        assert 5 == (await peer.expect(PubRecPacket)).packet_id
        assert 6 == (await peer.expect(PubRecPacket)).packet_id
        await peer.answer()

    async with scripted(first, second) as place, client(place, "one", subscriptions=WANTED) as one:
        burst = await one.receive(2)
        one.transport.acknowledge(burst[:1])
        (again,) = await one.take(1)
        await one.processed()

    assert (b"received", 2, True) == (again.message.payload, again.connection, again.duplicate)


async def test_a_new_message_under_a_held_identifier_is_delivered() -> None:
    """Without the DUP flag on a later connection it is a new message: a broker that lost our session, and says not so."""

    async def first(peer: Peer) -> None:
        await peer.accept()
        await peer.grant()
        peer.send(publish(5, b"old"))
        await peer.expect(PubRecPacket)
        peer.cut()

    async def second(peer: Peer) -> None:
        await peer.accept(session_present=True)
        await peer.grant()
        peer.send(publish(5, b"new"))
        await received.wait()
        peer.cut()

    async def third(peer: Peer) -> None:
        await peer.accept(session_present=True)
        await peer.grant()
        peer.send(publish(5, b"new", duplicate=True))
        await peer.expect(PubRecPacket)
        await peer.answer()

    received = asyncio.Event()
    async with scripted(first, second, third) as place, client(place, "one", subscriptions=WANTED) as one:
        found = [*await one.take(1), *await one.receive(1)]
        received.set()
        found += await one.take(1)
        await one.processed()

    assert [b"old", b"new", b"new"] == payloads(found)


async def test_an_identifier_that_comes_round_is_a_new_message() -> None:
    """Mosquitto 2.0.11 may have more than 65,535 messages under way: without the DUP flag nothing is a repetition."""

    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.grant()
        peer.send(publish(5, b"first"), publish(5, b"before the PUBREC"))
        await peer.expect(PubRecPacket)
        await peer.expect(PubRecPacket)
        peer.send(publish(5, b"after it"))
        await peer.expect(PubRecPacket)
        await peer.answer()

    async with scripted(script) as place, client(place, "one", subscriptions=WANTED) as one:
        found = [*await one.take(2), *await one.take(1)]

    assert [b"first", b"before the PUBREC", b"after it"] == payloads(found)


async def test_a_lost_session_begins_its_identifiers_anew() -> None:
    """Without a session on the broker nothing is taken for a repetition, and what is stored is cleared first."""
    stored = Stored(5, 6)
    stored.gate.clear()

    async def script(peer: Peer) -> None:
        await peer.accept(session_present=False)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(peer.expect(SubscribePacket), 0.1)
        stored.gate.set()
        await peer.grant()
        peer.send(publish(5, b"new", duplicate=True))
        await peer.expect(PubRecPacket)
        await peer.answer()

    async with scripted(script, received_ids=stored) as place, client(place, "one", subscriptions=WANTED) as one:
        found = await one.take(1)
        await one.processed()

    assert [b"new"] == payloads(found)
    assert set() == stored.ids


async def test_after_a_restart_what_is_stored_is_not_delivered_again() -> None:
    """A new process knows the stored identifiers; PUBCOMP waits until the released one is forgotten for good."""
    stored = Stored(5)
    stored.gate.clear()
    waited, completed = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.accept(session_present=True)
        await peer.grant()
        peer.send(publish(5, b"stored", duplicate=True), publish(6, b"other", duplicate=True))
        assert 5 == (await peer.expect(PubRecPacket)).packet_id
        assert 6 == (await peer.expect(PubRecPacket)).packet_id
        peer.send(PubRelPacket(5))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(peer.next(), 0.1)
        waited.set()
        assert 5 == (await peer.expect(PubCompPacket)).packet_id
        assert set() == stored.ids
        completed.set()
        await peer.answer()

    async with scripted(script, received_ids=stored) as place, client(place, "one", subscriptions=WANTED) as one:
        found = await one.take(1)
        await waited.wait()
        assert {5} == stored.ids
        stored.gate.set()
        await completed.wait()

    assert [b"other"] == payloads(found)


async def test_a_release_that_was_not_answered_is_answered_after_the_reconnect() -> None:
    """PUBREL comes again on the next connection, where the identifier may be forgotten already."""

    async def first(peer: Peer) -> None:
        await peer.accept()
        await peer.grant()
        peer.send(publish(5, b"one"))
        await peer.expect(PubRecPacket)
        peer.send(PubRelPacket(5))
        await peer.expect(PubCompPacket)
        peer.cut()

    async def second(peer: Peer) -> None:
        await peer.accept(session_present=True)
        await peer.grant()
        peer.send(PubRelPacket(5))
        await peer.expect(PubCompPacket)
        await peer.answer()

    async with scripted(first, second) as place, client(place, "one", subscriptions=WANTED) as one:
        await one.take(1)
        await one.lost()
        await one.connected()
        await one.processed()

    assert 2 == place.connections


# -- from us


async def test_what_the_broker_has_taken_is_released_and_not_published_again() -> None:
    """Lost between PUBREC and PUBCOMP: the next connection brings PUBREL, and the publication is sent."""

    async def take(peer: Peer) -> None:
        await peer.accept()
        packet = await peer.expect(PublishPacket)
        peer.send(PubRecPacket(packet.packet_id or 0))
        assert packet.packet_id == (await peer.expect(PubRelPacket)).packet_id
        numbers.append(packet.packet_id or 0)
        peer.cut()

    async def complete(peer: Peer) -> None:
        await peer.accept(session_present=True)
        assert numbers[0] == (await peer.expect(PubRelPacket)).packet_id
        peer.send(PubCompPacket(numbers[0]))
        await peer.answer()

    numbers: list[int] = []
    async with scripted(take, complete) as place, client(place, "one") as one:
        assert ["sent"] == await one.publish(message("a", qos=2))


async def test_what_the_broker_had_taken_is_unknown_when_it_forgets_us() -> None:
    """Lost between PUBREC and PUBCOMP, and the session with it: the publication may be repeated."""

    async def take(peer: Peer) -> None:
        await peer.accept()
        peer.send(PubRecPacket((await peer.expect(PublishPacket)).packet_id or 0))
        await peer.expect(PubRelPacket)
        peer.cut()

    async def forget(peer: Peer) -> None:
        await peer.accept(session_present=False)
        packet = await peer.expect(PublishPacket)
        peer.send(PubAckPacket(packet.packet_id or 0))
        await peer.answer()

    async with scripted(take, forget) as place, client(place, "one") as one:
        assert ["unknown"] == await one.publish(message("a", qos=2))
        await one.connected()
        assert ["sent"] == await one.publish(message("b"))


async def test_close_settles_what_the_broker_has_taken() -> None:
    """Whoever waits for a publication is not left waiting by `close`."""
    taken = asyncio.Event()

    async def take(peer: Peer) -> None:
        await peer.accept()
        peer.send(PubRecPacket((await peer.expect(PublishPacket)).packet_id or 0))
        await peer.expect(PubRelPacket)
        taken.set()
        await peer.answer()

    async with scripted(take) as place, client(place, "one") as one:
        publishing = asyncio.create_task(one.publish(message("a", qos=2)))
        await taken.wait()
        await one.transport.close()

        assert ["unknown"] == await publishing


async def test_a_refused_publication_is_not_released() -> None:
    """A PUBREC with a reason of 0x80 or above ends it."""

    async def refuse(peer: Peer) -> None:
        await peer.accept()
        packet = await peer.expect(PublishPacket)
        peer.send(PubRecPacket(packet.packet_id or 0, reason_code=PubRecReasonCode.QUOTA_EXCEEDED))
        following = await peer.expect(PublishPacket)
        peer.send(PubAckPacket(following.packet_id or 0))
        await peer.answer()

    async with scripted(refuse) as place, client(place, "one") as one:
        assert ["refused"] == await one.publish(message("a", qos=2))
        assert ["sent"] == await one.publish(message("b"))


async def test_a_pubrec_for_nothing_is_answered() -> None:
    """The broker holds what an earlier process published: it is told that we do not know of it."""
    answered = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.accept()
        peer.send(PubRecPacket(9))
        packet = await peer.expect(PubRelPacket)
        assert (9, PubRelReasonCode.PACKET_ID_NOT_FOUND) == (packet.packet_id, packet.reason_code)
        answered.set()
        await peer.answer()

    async with scripted(script) as place, client(place, "one"):
        await answered.wait()


# -- with Mosquitto


async def test_every_message_comes_once_through_flapping_connections() -> None:
    """1,000 messages at QoS 2 while the broker is killed and started again: each is received once, none is lost."""
    async with mosquitto(["autosave_on_changes true"]) as broker:
        place = MosquittoPlace(broker, "mqtt5-5")
        wanted = [Subscription(filter="a/#", qos=2)]
        async with client(place, "one", subscriptions=wanted) as one, client(place, "two") as two:
            assert isinstance(one.transport, Mqtt5Transport)
            publishing = asyncio.create_task(publish_all(two, 1_000))
            taken: dict[bytes, int] = {}
            for goal in (100, 400, 1_000):
                while len(taken) < goal:
                    for delivery in await one.transport.receive():
                        one.transport.acknowledge([delivery])
                        # Received again because the acknowledgement found no connection: known by what stores it.
                        if not delivery.duplicate or delivery.message.payload not in taken:
                            taken[delivery.message.payload] = taken.get(delivery.message.payload, 0) + 1
                if goal < 1_000:
                    await broker.stop()
                    await broker.start()
            await publishing

    assert {b"%d" % number: 1 for number in range(1_000)} == taken


async def publish_all(two: Client, count: int) -> None:
    """Until each is sent."""
    left = [message("a/b", b"%d" % number, qos=2) for number in range(count)]
    while left:
        await two.connected()
        answers = await two.publish(*left[:50])
        left = [one for one, answer in zip(left, answers, strict=False) if answer != "sent"] + left[50:]
