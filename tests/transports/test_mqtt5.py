"""What MQTT 5 asks of a client and no broker at hand does."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any, Literal

import mqtt5
import pytest
from mqtt5 import (
    ConnAckPacket,
    ConnAckReasonCode,
    ConnectPacket,
    DisconnectPacket,
    DisconnectReasonCode,
    PingReqPacket,
    PubAckPacket,
    PubAckReasonCode,
    PublishPacket,
    QoS,
    SubscribePacket,
)

from fp_events.domain.message import Subscription
from tests.transports.places import client, message, payloads
from tests.transports.scripted import Peer, Script, scripted

Library = Literal["mqtt5", "aiomqtt"]
both = pytest.mark.parametrize("library", ["mqtt5", "aiomqtt"])
WANTED = [Subscription(filter="a/#")]


def publish(number: int, **others: Any) -> PublishPacket:
    """A message at QoS 1."""
    return PublishPacket("a/b", b"%d" % number, **{"qos": QoS.AT_LEAST_ONCE, "packet_id": number, **others})


# -- messages to us


@both
async def test_a_message_may_name_several_subscriptions(library: Library) -> None:
    """One copy for several subscriptions carries the identifiers of all."""

    async def send(peer: Peer) -> None:
        await peer.accept()
        await peer.grant()
        peer.send(publish(1, subscription_ids=[3, 200]))
        await peer.answer()

    async with scripted(send, library=library) as place, client(place, "one", subscriptions=WANTED) as one:
        (found,) = await one.take(1)

    assert (3, 200) == found.subscription_ids


async def test_properties_that_repeat_are_those_of_each_message() -> None:
    """Messages with equal, other and no properties get their own."""
    users = [[("a", "1")], [("a", "1")], [("b", "2")], [], [("c", "x" * 300)], [("a", "1")]]

    async def send(peer: Peer) -> None:
        await peer.accept()
        await peer.grant()
        peer.send(*(publish(number, user_properties=user) for number, user in enumerate(users, start=1)))
        await peer.answer()

    async with scripted(send) as place, client(place, "one", subscriptions=WANTED) as one:
        found = await one.take(len(users))

    assert [tuple(user) for user in users] == [delivery.message.properties.user for delivery in found]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
async def test_packets_may_come_in_any_pieces(size: int) -> None:
    """Bytes arrive as the network cuts them; packets of all sizes come out whole."""
    sizes = [0, 1, 100, 127, 128, 5_000]

    async def send(peer: Peer) -> None:
        await peer.accept()
        await peer.grant()
        packets = [
            PublishPacket("a/b", bytes(length), qos=QoS.AT_LEAST_ONCE, packet_id=number)
            for number, length in enumerate(sizes, start=1)
        ]
        data = b"".join(packet.write() for packet in packets)
        for start in range(0, len(data), size):
            peer.send(data[start : start + size])
            await asyncio.sleep(0)
        await peer.answer()

    async with scripted(send) as place, client(place, "one", subscriptions=WANTED) as one:
        found = await one.take(len(sizes))

    assert sizes == [len(delivery.message.payload) for delivery in found]


@pytest.mark.parametrize(
    ("packet", "topic", "user"),
    [
        (b"\x32\x08\x00\x03a/\xff\x00\x01\x00", "a/\ufffd", ()),
        (b"\x32\x0f\x00\x03a/b\x00\x01\x07\x26\x00\x01k\x00\x01\xff", "a/b", (("k", "\ufffd"),)),
    ],
    ids=["topic", "user property"],
)
async def test_text_that_is_not_utf8_is_replaced(packet: bytes, topic: str, user: tuple[tuple[str, str], ...]) -> None:
    """A message whose text is not UTF-8 passes with a replacement, since the broker would send it for ever."""

    async def send(peer: Peer) -> None:
        await peer.accept()
        await peer.grant()
        peer.send(packet)
        await peer.expect(PubAckPacket)
        await peer.answer()

    async with scripted(send) as place, client(place, "one", subscriptions=WANTED) as one:
        (found,) = await one.take(1)
        await one.processed()

    assert (topic, user) == (found.message.topic, found.message.properties.user)
    assert 1 == place.connections


# -- messages from us


@both
async def test_a_tiny_receive_maximum_is_kept(library: Library) -> None:
    """No more publications are unanswered than the broker allows, and all are confirmed in order."""
    seen: list[bytes] = []

    async def check(peer: Peer) -> None:
        await peer.accept(receive_max=3)
        while len(seen) < 20:
            burst = [await peer.expect(PublishPacket) for _ in range(min(3, 20 - len(seen)))]
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(peer.next(), 0.02)
            seen.extend(packet.payload for packet in burst)
            peer.send(*(PubAckPacket(packet.packet_id or 0) for packet in burst))
        await peer.answer()

    async with scripted(check, library=library) as place, client(place, "one") as one:
        assert ["sent"] * 20 == await one.publish(*(message("a", b"%d" % number) for number in range(20)))

    assert [b"%d" % number for number in range(20)] == seen


@both
async def test_a_negative_acknowledgement_is_a_refusal(library: Library) -> None:
    """A PUBACK with a reason of 0x80 or above refuses one publication, in words; its neighbours are sent."""

    async def refuse(peer: Peer) -> None:
        await peer.accept()
        codes = [PubAckReasonCode.SUCCESS, PubAckReasonCode.QUOTA_EXCEEDED, PubAckReasonCode.NO_MATCHING_SUBSCRIBERS]
        for code in codes:
            packet = await peer.expect(PublishPacket)
            peer.send(PubAckPacket(packet.packet_id or 0, reason_code=code, reason_str="full"))
        await peer.answer()

    async with scripted(refuse, library=library) as place, client(place, "one") as one:
        found = await one.transport.publish([message("a"), message("b"), message("c")])

    assert [("sent", ""), ("refused", "quota exceeded"), ("sent", "")] == [
        (answer.result.value, answer.reason) for answer in found
    ]


@both
@pytest.mark.parametrize("maximum", [0, 1])
async def test_the_maximum_qos_is_kept(library: Library, maximum: int) -> None:
    """Publications above the broker's Maximum QoS go out at it, which is noted."""
    seen: list[int] = []

    async def accept(peer: Peer) -> None:
        await peer.accept(max_qos=QoS(maximum))
        while len(seen) < 3:
            packet = await peer.expect(PublishPacket)
            seen.append(int(packet.qos))
            if packet.packet_id:
                peer.send(PubAckPacket(packet.packet_id))
        await peer.answer()

    async with scripted(accept, library=library) as place, client(place, "one") as one:
        results = await one.publish(*(message("a", qos=qos) for qos in range(3)))
        notes = one.transport.status().notes

    assert ["sent"] * 3 == results
    assert [min(qos, maximum) for qos in range(3)] == seen
    assert "at most" in notes[0]


async def test_packet_identifiers_in_use_are_passed_over() -> None:
    """A publication without an answer keeps its identifier while 70,000 others pass."""
    used: list[int] = []

    async def hold_the_first(peer: Peer) -> None:
        await peer.accept(receive_max=500)
        first = await peer.expect(PublishPacket)
        while isinstance(packet := await peer.next(), PublishPacket):
            used.append(packet.packet_id or 0)
            if len(used) == 70_000:
                peer.send(PubAckPacket(first.packet_id or 0))
            peer.send(PubAckPacket(packet.packet_id or 0))
        assert first.packet_id not in used

    async with scripted(hold_the_first) as place, client(place, "one") as one:
        results = await one.publish(*(message("a") for _ in range(70_001)))

    assert {"sent"} == set(results)
    assert 65_534 == len(set(used))


async def test_a_broker_that_reads_slowly_is_not_piled_up_against() -> None:
    """While the broker does not read, publications wait where they are; when it does, all are sent."""
    reading = asyncio.Event()

    async def wait_and_read(peer: Peer) -> None:
        await peer.accept()
        await reading.wait()
        await peer.answer()

    payload = bytes(1_000_000)
    async with scripted(wait_and_read) as place, client(place, "one") as one:
        tracemalloc.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                publishing = tasks.create_task(one.publish(*(message("a", payload) for _ in range(50))))
                # Long enough for all of them to be copied.
                await asyncio.sleep(0.2)
                held, _ = tracemalloc.get_traced_memory()
                reading.set()
        finally:
            tracemalloc.stop()

    assert {"sent"} == set(publishing.result())
    assert held < 10_000_000


# -- the connection


@both
@pytest.mark.parametrize(("bound", "host"), [("::1", "::1"), ("127.0.0.1", "localhost")])
async def test_all_addresses_of_a_host_are_tried(library: Library, bound: str, host: str) -> None:
    """A broker is found by IPv6, and by a name that may stand for addresses where nobody listens."""
    async with (
        scripted(after_connack(), library=library, address=bound) as place,
        client(place, "one", host=host) as one,
    ):
        assert ("[::1]" if host == "::1" else host) in one.transport.status().address


async def test_connect_says_what_we_take() -> None:
    """CONNECT asks for the session, its time, our Receive Maximum and our largest packet; no topic aliases."""
    seen: list[ConnectPacket] = []

    async def look(peer: Peer) -> None:
        seen.append(await peer.accept())
        await peer.answer()

    options: dict[str, Any] = {
        "receive_maximum": 77,
        "session_expiry": 99,
        "keepalive": 11,
        "max_buffered_bytes": 500_000,
    }
    async with scripted(look) as place, client(place, "one", **options):
        pass

    (packet,) = seen
    assert (False, 77, 99, 11, 500_000, 0) == (
        packet.clean_start,
        packet.receive_max,
        packet.session_expiry_interval,
        packet.keep_alive,
        packet.max_packet_size,
        packet.topic_alias_max,
    )


@both
async def test_a_broker_that_stops_answering_is_left_in_time(library: Library) -> None:
    """A half-open connection is given up within 1.5 times the keepalive."""
    loop = asyncio.get_running_loop()
    silent_since = 0.0

    async def fall_silent(peer: Peer) -> None:
        nonlocal silent_since
        await peer.accept()
        silent_since = loop.time()
        while await peer.next() is not None:
            pass

    async with scripted(fall_silent, library=library) as place, client(place, "one", keepalive=2) as one:
        status = await one.lost()
        took = loop.time() - silent_since

    assert "has not answered in time" in status.last_error
    # A moment for the loop of a busy machine.
    assert 1.5 * 2 + (0.5 if library == "mqtt5" else 2) > took


async def test_the_brokers_keepalive_counts() -> None:
    """A broker may ask for a shorter keepalive than ours: it hears from us in time, without an acknowledgement due."""
    loop = asyncio.get_running_loop()
    pings: list[float] = []

    async def listen(peer: Peer) -> None:
        await peer.accept(server_keep_alive=1)
        began = loop.time()
        for _ in range(3):
            await peer.expect(PingReqPacket)
            peer.send(mqtt5.PingRespPacket())
            pings.append(loop.time() - began)
        await peer.answer()

    async with scripted(listen) as place, client(place, "one", keepalive=600) as one:
        while len(pings) < 3:
            await asyncio.sleep(0.05)
        assert one.transport.status().connected

    assert max(later - before for before, later in zip([0.0, *pings], pings, strict=False)) < 1.5


async def test_an_assigned_client_id_is_kept() -> None:
    """A client without an id takes the one that the broker gives, and comes back with it."""
    seen: list[str] = []

    async def assign(peer: Peer) -> None:
        connect = await peer.accept(assigned_client_id="given-1")
        seen.append(connect.client_id)

    async def accept(peer: Peer) -> None:
        seen.append((await peer.accept()).client_id)
        await peer.answer()

    async def assign_and_leave(peer: Peer) -> None:
        await assign(peer)
        await peer.leave()

    async with scripted(assign_and_leave, accept) as place, client(place, "", wait=False) as one:
        while len(seen) < 2:
            await one.events.get()

    assert ["", "given-1"] == seen


@both
@pytest.mark.parametrize(
    ("code", "expected"), [("RETAIN_NOT_SUPPORTED", (1, False)), ("QUALITY_NOT_SUPPORTED", (0, True))]
)
async def test_a_will_that_the_broker_cannot_keep_is_lowered(
    library: Library, code: str, expected: tuple[int, bool]
) -> None:
    """A refusal over the will's retain flag or QoS is answered with a will that the broker can keep, and noted."""
    seen: list[tuple[int, bool]] = []

    async def refuse(peer: Peer) -> None:
        await peer.expect(ConnectPacket)
        peer.send(ConnAckPacket(reason_code=getattr(ConnAckReasonCode, code)))

    async def accept(peer: Peer) -> None:
        connect = await peer.accept()
        assert connect.will is not None
        seen.append((int(connect.will.qos), connect.will.retain))
        await peer.answer()

    will = message("fp/one", b"offline", qos=1, retain=True)
    async with scripted(refuse, accept, library=library) as place, client(place, "one", will=will) as one:
        notes = one.transport.status().notes

    assert [expected] == seen
    assert "last will" in notes[0]


async def test_what_the_broker_rules_out_is_not_asked_for() -> None:
    """Without wildcards and shared subscriptions the rest is subscribed, and `granted` says why those are not."""
    seen: list[str] = []

    async def accept(peer: Peer) -> None:
        await peer.accept(
            wildcard_subscription_available=False,
            shared_subscription_available=False,
            subscription_id_available=False,
        )
        packet = await peer.grant()
        assert packet.subscription_id is None
        seen.extend(one.pattern for one in packet.topic_filters)
        await peer.answer()

    filters = ["plain", "a/+", "b/#", "$share/group/plain"]
    wanted = [Subscription(filter=one, identifier=number) for number, one in enumerate(filters, start=1)]
    async with scripted(accept) as place, client(place, "one", subscriptions=wanted) as one:
        granted = one.transport.status().granted

    assert ["plain"] == seen
    assert {"plain": 1, "a/+": 0xA2, "b/#": 0xA2, "$share/group/plain": 0x9E} == granted


@both
async def test_the_brokers_goodbye_is_named(library: Library) -> None:
    """The reason of a DISCONNECT from the broker is said in words."""

    async def leave(peer: Peer) -> None:
        await peer.accept()
        peer.send(DisconnectPacket(reason_code=DisconnectReasonCode.SERVER_SHUTTING_DOWN))
        await peer.answer()

    async with scripted(leave, library=library) as place, client(place, "one", wait=False) as one:
        status = await one.lost()

    assert f"mqtt://127.0.0.1:{place.port}: the broker closed the connection (server shutting down)" == (
        status.last_error
    )


async def test_a_shorter_session_than_asked_for_is_noted() -> None:
    """The broker keeps the session for less time than we asked: what waits longer would be lost in silence."""

    async def accept(peer: Peer) -> None:
        await peer.accept(session_expiry_interval=60)
        await peer.answer()

    async with scripted(accept) as place, client(place, "one", session_expiry=3600) as one:
        (note,) = one.transport.status().notes

    assert "for 60 seconds, not for 3600" in note


async def test_an_old_broker_is_understood() -> None:
    """A broker that knows MQTT 3.1.1 only refuses in its own words."""

    async def refuse(peer: Peer) -> None:
        await peer.expect(ConnectPacket)
        peer.send(b"\x20\x02\x00\x01")

    async with scripted(refuse) as place, client(place, "one", wait=False) as one:
        status = await one.lost()

    assert "does not support MQTT 5" in status.last_error


MALFORMED = {
    "QoS 3": (b"\x36\x06\x00\x01a\x00\x01\x00", 0x81),
    "identifier 0": (b"\x32\x06\x00\x01a\x00\x00\x00", 0x81),
    "topic beyond the packet": (b"\x30\x04\x00\x7fa\x00", 0x81),
    "properties beyond the packet": (b"\x30\x05\x00\x01a\x70\x01", 0x81),
    "endless length": (b"\x30\xff\xff\xff\xff", 0x81),
    "empty acknowledgement": (b"\x40\x00", 0x81),
    "unknown property": (b"\x30\x06\x00\x01a\x02\x7f\x00", 0x81),
    "no topic": (b"\x30\x03\x00\x00\x00", 0x82),
    "topic alias": (b"\x30\x07\x00\x01a\x03\x23\x00\x01", 0x94),
    "larger than announced": (b"\x30\xff\xff\xff\x7f", 0x95),
    "second CONNACK": (ConnAckPacket().write(), 0x82),
    "a client's packet": (SubscribePacket(1, [mqtt5.TopicFilter("a")]).write(), 0x82),
    "reserved type": (b"\x00\x00", 0x82),
    "reserved flags": (b"\x41\x02\x00\x01", 0x82),
}


@pytest.mark.parametrize(("packet", "code"), MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_broken_packet_ends_the_connection_with_its_reason(packet: bytes, code: int) -> None:
    """A packet that MQTT does not allow: DISCONNECT with the reason, and a new connection after a while."""
    goodbyes: list[int] = []

    async def offend(peer: Peer) -> None:
        await peer.accept()
        await peer.grant()
        peer.send(publish(1), packet)
        while not isinstance(found := await peer.next(), DisconnectPacket):
            assert found is not None
        goodbyes.append(int(found.reason_code))
        assert await peer.next() is None

    async def repeat(peer: Peer) -> None:
        await peer.accept(session_present=True)
        await peer.grant()
        peer.send(publish(1, duplicate=True))
        await peer.answer()

    async with scripted(offend, repeat) as place, client(place, "one", subscriptions=WANTED, wait=False) as one:
        assert "the connection was given up over a packet (" in (await one.lost()).last_error
        await one.connected()
        (found,) = [delivery for delivery in await one.take(1) if delivery.connection == 2]

    assert [code] == goodbyes
    assert [b"1"] == payloads([found])


async def test_a_first_packet_that_is_no_connack_is_no_broker() -> None:
    """A server that speaks something else is named as such."""

    async def speak_otherwise(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.answer()

    async with scripted(speak_otherwise) as place, client(place, "one", wait=False) as one:
        status = await one.lost()

    assert "what answers there does not speak MQTT 5; is it an MQTT broker" in status.last_error


def after_connack(*packets: Any) -> Script:
    """A script that accepts, sends and answers."""

    async def run(peer: Peer) -> None:
        await peer.accept()
        peer.send(*packets)
        await peer.answer()

    return run


async def test_answers_to_nothing_are_passed_over() -> None:
    """Acknowledgements of what we never sent, and unasked PINGRESPs, do no harm."""
    noise = [PubAckPacket(7), mqtt5.PubCompPacket(8), mqtt5.SubAckPacket(9, []), mqtt5.PingRespPacket()]
    async with scripted(after_connack(*noise)) as place, client(place, "one") as one:
        assert ["sent"] == await one.publish(message("a"))
        assert 1 == one.transport.status().connections
