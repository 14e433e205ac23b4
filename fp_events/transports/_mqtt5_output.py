"""Publications as packets, within what the broker allows."""

from __future__ import annotations

from collections.abc import Callable, Container

import mqtt5

from fp_events.domain.message import NO_PROPERTIES, Properties, Publication
from fp_events.domain.topics import validate_topic

from ._limits import Limits
from ._publish_packet import packed_length
from ._sender import CannotSend

#: Bytes waiting for the socket above which publications wait here.
HIGH_WATER = 1024 * 1024
#: Topics whose packed form is remembered.
TOPICS = 1024
#: Bytes after the fixed header at most (MQTT 5, 2.1.4).
LARGEST = 268_435_455

_QOS = (mqtt5.QoS.AT_MOST_ONCE, mqtt5.QoS.AT_LEAST_ONCE, mqtt5.QoS.EXACTLY_ONCE)


class PacketIds:
    """Gives out identifiers; one that is in use is passed over (MQTT 5, 2.2.1)."""

    def __init__(
        self, last: int, under_way: Container[int], requests: Container[int], released: Container[int]
    ) -> None:
        self.last = last
        self._under_way = under_way
        self._requests = requests
        self._released = released

    def next(self) -> int:
        packet_id = self.last % 0xFFFF + 1
        while packet_id in self._under_way or packet_id in self._requests or packet_id in self._released:
            packet_id = packet_id % 0xFFFF + 1
        self.last = packet_id
        return packet_id


class PublishOutput:
    """`Output` of `Sender`. `queue` takes bytes for the socket, `note` is told what is done otherwise than asked."""

    def __init__(
        self, limits: Limits, ids: PacketIds, *, queue: Callable[[bytes], None], note: Callable[[str], None]
    ) -> None:
        #: See `Output`; reset by whoever sees the socket take everything.
        self.full = False
        self._limits = limits
        self._ids = ids
        self._queue = queue
        self._note = note
        self._parts: list[bytes] = []
        self._size = 0
        self._topics: dict[str, bytes] = {}

    def write(self, publication: Publication) -> int:
        """See `Output.write`."""
        qos, retain = publication.qos, publication.retain
        if qos > self._limits.maximum_qos or (retain and not self._limits.retain):
            qos, retain = self._allowed(qos, retain)
        topic = self._topics.get(publication.topic) or self._packed(publication.topic)
        packet_id = self._ids.next() if qos else 0
        properties = publication.properties
        if properties is NO_PROPERTIES:
            packet = _plain(topic, publication.payload, qos, retain, packet_id)
        else:
            packet = _by_codec(publication, properties, qos, retain, packet_id)
        size = len(packet)
        limit = self._limits.maximum_packet or LARGEST + 5
        if size > limit:
            raise CannotSend(f"packet too large: {size} bytes, the broker takes {limit}")
        self._parts.append(packet)
        self._size += size
        if self._size > HIGH_WATER:
            self.full = True
        return packet_id

    def flush(self) -> None:
        """See `Output.flush`."""
        if self._parts:
            self._queue(b"".join(self._parts))
            self._parts.clear()
            self._size = 0

    def _allowed(self, qos: int, retain: bool) -> tuple[int, bool]:
        if qos > self._limits.maximum_qos:
            qos = self._limits.maximum_qos
            self._note(f"the broker takes QoS {qos} at most: publications above are sent at {qos}")
        if retain and not self._limits.retain:
            retain = False
            self._note("the broker does not retain messages: retained publications are sent without the flag")
        return qos, retain

    def _packed(self, topic: str) -> bytes:
        try:
            validate_topic(topic)
            encoded = topic.encode()
        except ValueError as error:
            raise CannotSend(str(error)) from error
        packed = len(encoded).to_bytes(2, "big") + encoded
        if len(self._topics) >= TOPICS:
            self._topics.clear()
        self._topics[topic] = packed
        return packed


def _plain(topic: bytes, payload: bytes, qos: int, retain: bool, packet_id: int) -> bytes:
    """A PUBLISH without properties (MQTT 5, 3.3)."""
    head = 0x30 | qos << 1 | retain
    size = len(topic) + len(payload) + (3 if qos else 1)
    start = bytes((head, size)) if size < 0x80 else bytes((head,)) + packed_length(size)
    if qos:
        return b"".join((start, topic, packet_id.to_bytes(2, "big"), b"\0", payload))
    return b"".join((start, topic, b"\0", payload))


def _by_codec(publication: Publication, properties: Properties, qos: int, retain: bool, packet_id: int) -> bytes:
    user = list(properties.user)
    # The codec would pass on what makes the broker disconnect (MQTT 5, 1.5.4).
    if any("\0" in name or "\0" in value for name, value in user):
        raise CannotSend("a property contains a NUL character")
    if "\0" in (properties.content_type or "") or "\0" in (properties.response_topic or ""):
        raise CannotSend("a property contains a NUL character")
    try:
        return mqtt5.PublishPacket(
            publication.topic,
            publication.payload,
            qos=_QOS[qos],
            retain=retain,
            packet_id=packet_id or None,
            message_expiry_interval=properties.message_expiry,
            content_type=properties.content_type,
            response_topic=properties.response_topic,
            correlation_data=properties.correlation_data,
            user_properties=user,
        ).write()
    except (ValueError, OverflowError) as error:
        raise CannotSend(str(error)) from error
