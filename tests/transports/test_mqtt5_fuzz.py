"""Nothing that a peer sends may raise out of the protocol, stall it or grow without end.

FP_EVENTS_FUZZ=1000000 tries more streams; the seed is in the failure's name.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import tracemalloc
from collections.abc import Callable, Iterator

import mqtt5
import pytest
from mqtt5 import ConnAckPacket, PublishPacket, QoS, SubAckReasonCode

from fp_events.domain.connection import ConnectOptions
from fp_events.domain.message import Delivery
from fp_events.transports._acks import Acknowledgements
from fp_events.transports._inbox import Inbox
from fp_events.transports._mqtt5_link import Mqtt5Link
from fp_events.transports._mqtt5_once import Once
from fp_events.transports._mqtt5_reader import Seen

#: Streams in the whole of this module.
STREAMS = int(os.environ.get("FP_EVENTS_FUZZ", "100000"))
PARTS = 4
OPTIONS = ConnectOptions(host="nowhere", port=1, client_id="fuzz", max_buffered_bytes=1_000_000)


class Wire(asyncio.Transport):
    """The socket's end: takes everything, and says whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Session:
    """Links over a `Wire`, with what a transport has around them."""

    inbox: Inbox

    def __init__(self) -> None:
        self.seen = Seen()
        self._numbers = itertools.count(1)
        self.acks = Acknowledgements()

    def link(self) -> tuple[Mqtt5Link, Wire]:
        self.inbox = Inbox(OPTIONS.max_buffered_bytes, lambda: None)
        link = Mqtt5Link(
            OPTIONS,
            None,
            connection=1,
            inbox=self.inbox,
            acks=self.acks,
            numbers=self._numbers.__next__,
            note=lambda _: None,
            first_packet_id=0,
            seen=self.seen,
            once=Once(None),
            released={},
        )
        wire = Wire()
        link.connection_made(wire)
        return link, wire

    async def taken(self) -> list[Delivery]:
        """Everything received until now."""
        try:
            async with asyncio.timeout(0):
                return await self.inbox.take()
        except TimeoutError:
            return []


def feed(link: Mqtt5Link, data: bytes) -> None:
    buffer = link.get_buffer(-1)
    buffer[: len(data)] = data
    link.buffer_updated(len(data))


SAMPLES: tuple[bytes, ...] = tuple(
    packet.write()
    for packet in (
        PublishPacket("plant/a", b"21.5"),
        PublishPacket("plant/b", b"x" * 200, qos=QoS.AT_LEAST_ONCE, packet_id=7, subscription_ids=[1]),
        PublishPacket("plant/c", b"", qos=QoS.EXACTLY_ONCE, packet_id=300, duplicate=True),
        PublishPacket(
            "plant/d",
            b"{}",
            qos=QoS.AT_LEAST_ONCE,
            packet_id=8,
            content_type="application/json",
            response_topic="reply",
            correlation_data=b"\x01\x02",
            message_expiry_interval=60,
            subscription_ids=[1, 300],
            user_properties=[("run_id", "1"), ("key", "value" * 30)],
        ),
        mqtt5.PubAckPacket(1, reason_code=mqtt5.PubAckReasonCode.QUOTA_EXCEEDED, reason_str="full"),
        mqtt5.PubAckPacket(2),
        mqtt5.PubRecPacket(3),
        mqtt5.PubRelPacket(300),
        mqtt5.PubCompPacket(3),
        mqtt5.SubAckPacket(4, [SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE]),
        mqtt5.UnsubAckPacket(5, [mqtt5.UnsubAckReasonCode.SUCCESS]),
        mqtt5.PingRespPacket(),
        mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.SERVER_BUSY, reason_str="later"),
        mqtt5.AuthPacket(),
        ConnAckPacket(),
    )
)
CONNACK = ConnAckPacket(receive_max=10, max_packet_size=1000).write()


def changed(pick: random.Random, data: bytes) -> bytes:
    """A few bytes other, more or fewer; lengths, counts and types among them."""
    found = bytearray(data)
    for _ in range(pick.randint(1, 3)):
        place = pick.randrange(len(found) + 1)
        match pick.randrange(5):
            case 0 if place < len(found):
                found[place] = pick.randrange(256)
            case 1 if place < len(found):
                found[place] ^= 1 << pick.randrange(8)
            case 2:
                found[place:place] = pick.randbytes(pick.randint(1, 4))
            case 3:
                del found[place : place + pick.randint(1, 4)]
            case _:
                found[place:place] = pick.choice((b"\xff\xff\xff\x7f", b"\0\0", b"\x80", b"\xff\xff", b"\0\x04MQTT"))
    return bytes(found)


def streams(pick: random.Random, count: int) -> Iterator[bytes]:
    for _ in range(count):
        packets = [pick.choice(SAMPLES) for _ in range(pick.randint(1, 4))]
        packets[pick.randrange(len(packets))] = changed(pick, pick.choice(packets))
        # One in sixteen breaks the beginning.
        yield (changed(pick, CONNACK) if not pick.randrange(16) else CONNACK) + b"".join(packets)


def check_end(link: Mqtt5Link, wire: Wire) -> None:
    """It goes on, or it has ended with a reason and closed."""
    assert link.lost.is_set() == wire.closed
    assert bool(link.reason) == wire.closed


@pytest.mark.parametrize("seed", range(PARTS))
@pytest.mark.parametrize(
    "cut", [lambda pick, size: size, lambda pick, size: pick.randint(1, 20)], ids=["whole", "pieces"]
)
async def test_no_stream_of_packets_raises(
    seed: int, cut: Callable[[random.Random, int], int], capfd: pytest.CaptureFixture[str]
) -> None:
    """Changed packets among good ones: the link goes on, or ends with a reason; its memory does not grow."""
    pick = random.Random(seed)
    session = Session()
    for data in streams(pick, STREAMS // (2 * PARTS)):
        link, wire = session.link()
        at = 0
        while at < len(data) and not link.lost.is_set():
            size = cut(pick, len(data))
            feed(link, data[at : at + size])
            at += size
        check_end(link, wire)
        link.abort()
        await asyncio.sleep(0)

    assert ("", "") == capfd.readouterr()  # where the codec says what it panics over
    assert len(session.seen.topics) <= 4096
    assert len(session.seen.blocks) <= 1024


async def test_bytes_cut_anywhere_say_the_same() -> None:
    """A stream of all packets gives the same deliveries and the same answers wherever it is cut in two."""
    data = CONNACK + b"".join(SAMPLES[:12])
    expected: tuple[list[bytes], bytes] | None = None
    for place in range(1, len(data)):
        session = Session()
        link, wire = session.link()
        feed(link, data[:place])
        feed(link, data[place:])
        found = await session.taken()
        link.acknowledge(found)
        await asyncio.sleep(0)
        result = ([delivery.message.payload for delivery in found], wire.written)
        expected = expected or result
        assert expected == result
        assert not wire.closed
        link.abort()


@pytest.mark.parametrize("packet", SAMPLES[:4])
async def test_a_packet_that_never_ends_is_bounded(packet: bytes) -> None:
    """Of a packet that is announced as huge no more is held than we allow; the connection ends before that."""
    link, wire = Session().link()
    feed(link, CONNACK)
    tracemalloc.start()
    try:
        feed(link, packet[:1] + b"\xff\xff\xff\x7f" + packet[2:])
        for _ in range(1_000):
            feed(link, bytes(100_000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert wire.closed
    assert peak < 3 * OPTIONS.max_buffered_bytes


async def test_many_topics_and_properties_are_not_remembered_for_ever() -> None:
    """20,000 different topics and properties: what is kept for speed is bounded."""
    session = Session()
    link, _ = session.link()
    feed(link, CONNACK)
    tracemalloc.start()
    try:
        for number in range(20_000):
            feed(link, PublishPacket(f"plant/{number}", b"", user_properties=[("id", str(number))]).write())
            if number % 1_000 == 0:
                await session.taken()
        await session.taken()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    link.abort()

    assert held < 2_000_000
