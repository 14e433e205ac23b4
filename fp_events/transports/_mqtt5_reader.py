"""Bytes from the broker as deliveries, answers and the rarer packets.

A PUBLISH without properties, or with properties seen before, and the acknowledgements are read here: that costs what
the codec costs, equal topics come out as one string, and a topic that is not UTF-8 does no harm. All else is the
codec's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol, TypeVar

import mqtt5

from fp_events.domain.message import NO_PROPERTIES, Delivery, Message, Properties

from ._inbox import OVERHEAD, held_bytes
from ._mqtt5_text import check_text
from ._publish_packet import Malformed, Publish, decode_publish, varint
from ._reasons import MALFORMED, PACKET_TOO_LARGE, PROTOCOL_ERROR, TOPIC_ALIAS_INVALID

T = TypeVar("T")

#: Topics remembered at most, and bytes of one that is.
TOPICS, TOPIC_SIZE = 4096, 128
#: Blocks of properties remembered at most, and bytes of one that is: those with an identifier or a time are not.
BLOCKS, BLOCK_SIZE = 1024, 64
#: Packet types (MQTT 5, 2.1.2).
PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 3, 4, 5, 6, 7
#: First bytes of the other packets that a server sends: CONNACK, SUBACK, UNSUBACK, PINGRESP, DISCONNECT, AUTH.
CONNACK, OTHERS = 0x20, frozenset({0x20, 0x90, 0xB0, 0xD0, 0xE0, 0xF0})
#: First bytes of the answers to a PUBLISH, whose low bits are fixed (MQTT 5, 2.1.3).
ANSWERS = frozenset({0x40, 0x50, 0x62, 0x70})


class ProtocolViolation(Exception):
    """The peer sent what it must not: a reason code for our DISCONNECT, and words."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


class Receiver(Protocol):
    """Who is told what was read; it may raise ProtocolViolation."""

    def on_deliveries(self, burst: list[Delivery], size: int) -> None:
        """Deliveries in order, and the bytes that they are held for."""

    def on_confirmed(self, packet_ids: list[int]) -> None:
        """PUBACKs without a reason: these are published."""

    def on_answer(self, kind: int, packet_id: int, code: int) -> None:
        """A PUBREC, PUBREL or PUBCOMP, or a PUBACK with a reason."""

    def on_packet(self, packet: mqtt5.Packet) -> None:
        """Any other packet."""

    def is_repeated(self, packet_id: int, duplicate: bool) -> bool:
        """This QoS 2 packet was received before and is not released."""


@dataclass(slots=True)
class Seen:
    """What comes again and again, over all connections of a transport."""

    topics: dict[bytes, str] = field(default_factory=dict)
    blocks: dict[bytes, tuple[Properties, tuple[int, ...]]] = field(default_factory=dict)


class Reader:
    """Puts pieces together and reads what is whole, until there is no room for more deliveries.

    `numbers` gives the next delivery its number; `maximum` is the largest packet that we have announced.
    """

    def __init__(
        self, receiver: Receiver, *, connection: int, numbers: Callable[[], int], maximum: int, seen: Seen
    ) -> None:
        #: There is a delivery that had no room.
        self.stalled = False
        self._receiver = receiver
        self._connection = connection
        self._numbers = numbers
        self._maximum = maximum
        self._seen = seen
        self._begun = False
        self._pieces: list[bytes] = []
        self._held = 0
        #: Bytes without which there is nothing to read.
        self._needed = 2

    def feed(self, data: bytes, room: int) -> None:
        """Read `data`; deliveries only while `room` bytes are not used up. Raises ProtocolViolation."""
        if self._pieces:
            self._pieces.append(data)
            self._held += len(data)
            if self._held < self._needed or (self.stalled and room <= 0):
                return
            data = b"".join(self._pieces)
            self._pieces.clear()
        self.stalled = False
        self._needed = 2
        if not self._begun and data:
            self._begin(data)
        try:
            at = self._read(data, room)
        except IndexError as error:
            raise ProtocolViolation(MALFORMED, "packet is too short") from error
        except Malformed as error:
            raise ProtocolViolation(MALFORMED, str(error)) from error
        if at < len(data):
            self._pieces.append(data[at:])
            self._held = len(data) - at

    def _begin(self, data: bytes) -> None:
        if data[0] != CONNACK:
            raise ProtocolViolation(PROTOCOL_ERROR, "the first packet is not a CONNACK")
        self._begun = True

    def _read(self, data: bytes, room: int) -> int:  # noqa: PLR0912, PLR0915 - one loop: a call for each packet is dear
        """Read whole packets from the beginning; where the rest begins."""
        receiver, connection, numbers = self._receiver, self._connection, self._numbers
        topics, blocks = self._seen.topics, self._seen.blocks
        burst: list[Delivery] = []
        confirmed: list[int] = []
        now: datetime | None = None
        identifiers: tuple[int, ...]
        at, end, left = 0, len(data), room
        try:
            while end - at > 1:
                head, size, body = data[at], data[at + 1], at + 2
                if size > 0x7F:
                    size, body = self._long(data, at)
                stop = body + size
                if stop > end:
                    self._needed = stop - at
                    break
                if head >> 4 != PUBLISH:
                    if head == 0x40 and size == 2:
                        confirmed.append(data[body] << 8 | data[body + 1])
                    else:
                        # It may be the end of the connection.
                        if confirmed:
                            receiver.on_confirmed(confirmed)
                            confirmed = []
                        if burst:
                            receiver.on_deliveries(burst, room - left)
                            burst, room = [], left
                        self._other(head, data[at:stop], body - at)
                    at = stop
                    continue
                if left <= 0:
                    self.stalled = True
                    break
                place = body + 2 + (data[body] << 8 | data[body + 1])
                raw = data[body + 2 : place]
                topic = topics.get(raw) or self._topic(raw)
                qos = head >> 1 & 3
                packet_id = 0
                if qos:
                    packet_id = data[place] << 8 | data[place + 1]
                    place += 2
                length = data[place]
                if not length:
                    properties, identifiers, payload = NO_PROPERTIES, (), data[place + 1 : stop]
                elif length < BLOCK_SIZE and (known := blocks.get(data[place + 1 : place + 1 + length])) is not None:
                    properties, identifiers = known
                    payload = data[place + 1 + length : stop]
                    place += length
                else:
                    whole = self._publish(data[at:stop], body - at, place - at)
                    properties, identifiers, payload = whole.properties, whole.subscription_ids, whole.payload
                if place >= stop or qos == 3 or (qos and not packet_id):
                    raise ProtocolViolation(MALFORMED, "PUBLISH packet is malformed")
                at = stop
                if qos == 2 and receiver.is_repeated(packet_id, head & 8 == 8):
                    continue
                if now is None:
                    now = datetime.now(UTC)
                message = Message(
                    topic=topic,
                    payload=payload,
                    qos=qos,
                    retain=head & 1 == 1,
                    properties=properties,
                    received_at=now,
                )
                left -= OVERHEAD + size if properties is NO_PROPERTIES else held_bytes(message)
                burst.append(
                    Delivery(
                        message=message,
                        number=numbers(),
                        connection=connection,
                        packet_id=packet_id,
                        duplicate=head & 8 == 8,
                        subscription_ids=identifiers,
                    )
                )
        finally:
            # What came before a malformed packet has come.
            if confirmed:
                receiver.on_confirmed(confirmed)
            if burst:
                receiver.on_deliveries(burst, room - left)
        return at

    def _long(self, data: bytes, at: int) -> tuple[int, int]:
        """Size and beginning of the body of a packet of 128 bytes and more; beyond the end where that is not known."""
        if len(data) - at < 5 and all(byte > 0x7F for byte in data[at + 1 :]):
            return 1, len(data)
        size, body = varint(data, at + 1)
        if body + size - at > self._maximum:
            words = f"a packet of {size} bytes, where we take {self._maximum}"
            raise ProtocolViolation(PACKET_TOO_LARGE, words)
        return size, body

    def _topic(self, raw: bytes) -> str:
        if not raw:
            # A topic alias, which would do instead, we do not allow.
            raise ProtocolViolation(PROTOCOL_ERROR, "PUBLISH packet without a topic")
        # A broker checks UTF-8. Where it did not, a replaced character is better than a message that never ends.
        topic = raw.decode("utf-8", "replace")
        if len(raw) <= TOPIC_SIZE:
            _remember(self._seen.topics, raw, topic, TOPICS)
        return topic

    def _publish(self, frame: bytes, body: int, place: int) -> Publish:
        """Read a packet whose properties are new; they begin with their length at `place`."""
        size, start = varint(frame, place)
        block = frame[start : start + size]
        packet = _by_codec(frame, body, block)
        if packet is None:
            found = decode_publish(frame[0], frame[body:], mqtt5=True)
        elif packet.topic_alias is not None:
            raise ProtocolViolation(TOPIC_ALIAS_INVALID, "PUBLISH packet with a topic alias, of which we allow none")
        else:
            found = _converted(packet)
        if size < BLOCK_SIZE:
            _remember(self._seen.blocks, block, (found.properties, found.subscription_ids), BLOCKS)
        return found

    def _other(self, head: int, frame: bytes, body: int) -> None:
        if head in ANSWERS:
            packet_id = frame[body] << 8 | frame[body + 1]
            # No reason code means success (MQTT 5, 3.4.2.1).
            self._receiver.on_answer(head >> 4, packet_id, frame[body + 2] if len(frame) > body + 2 else 0)
        elif head in OTHERS:
            check_text(frame, body)
            self._receiver.on_packet(_connack_of_old(frame) or read_packet(frame))
        else:
            raise ProtocolViolation(PROTOCOL_ERROR, f"a packet that begins with 0x{head:02X}")


def read_packet(frame: bytes) -> mqtt5.Packet:
    """One whole packet. Raises Malformed."""
    try:
        packet, _ = mqtt5.read(memoryview(frame))
    except (ValueError, IndexError) as error:
        raise Malformed(str(error)) from error
    except BaseException as error:
        # Rust's way to stumble, over text that is not UTF-8; what is known to make it so does not come here.
        if type(error).__name__ != "PanicException":
            raise
        raise Malformed("text is not UTF-8") from None
    return packet


def _connack_of_old(frame: bytes) -> mqtt5.Packet | None:
    """A broker that does not know MQTT 5 answers in its own version: no properties (MQTT 3.1.1, 3.2)."""
    if frame[:2] != b"\x20\x02" or frame[3] == 0:
        return None
    code = mqtt5.ConnAckReasonCode.UNSUPPORTED_PROTOCOL_VERSION
    if frame[3] >= 0x80:
        code = mqtt5.ConnAckReasonCode(frame[3])
    return mqtt5.ConnAckPacket(reason_code=code)


def _by_codec(frame: bytes, body: int, block: bytes) -> mqtt5.PublishPacket | None:
    """None where the codec cannot read it, or would not do so in silence: for the lenient decoder."""
    try:
        frame[body + 2 : body + 2 + (frame[body] << 8 | frame[body + 1])].decode()
        block.decode()
        packet = read_packet(frame)
    except (UnicodeDecodeError, Malformed):
        return None
    assert isinstance(packet, mqtt5.PublishPacket)
    return packet


def _converted(packet: mqtt5.PublishPacket) -> Publish:
    properties = Properties(
        content_type=packet.content_type,
        response_topic=packet.response_topic,
        correlation_data=packet.correlation_data,
        message_expiry=packet.message_expiry_interval,
        user=tuple(packet.user_properties),
    )
    return Publish(
        packet.topic,
        packet.payload,
        packet.packet_id or 0,
        packet.qos,
        packet.retain,
        packet.duplicate,
        NO_PROPERTIES if properties == NO_PROPERTIES else properties,
        tuple(packet.subscription_ids),
    )


def _remember(known: dict[bytes, T], key: bytes, value: T, limit: int) -> None:
    if len(known) >= limit:
        known.clear()
    known[key] = value
