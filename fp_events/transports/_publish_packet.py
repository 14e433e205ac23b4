"""The PUBLISH packet (MQTT 5, 3.3), both directions.

paho builds an object with a table of all properties for each packet, which is half of the time a message takes,
and it drops the connection over characters that MQTT allows: the broker would send that message for ever.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from fp_events.domain.message import NO_PROPERTIES, Properties

PayloadFormatIndicator, MessageExpiry, ContentType, ResponseTopic = 0x01, 0x02, 0x03, 0x08
CorrelationData, SubscriptionIdentifier, TopicAlias, UserProperty = 0x09, 0x0B, 0x23, 0x26


class Malformed(Exception):
    """The packet cannot be read."""


class Publish(NamedTuple):
    """A PUBLISH packet as received."""

    topic: str
    payload: bytes
    packet_id: int
    qos: int
    retain: bool
    duplicate: bool
    properties: Properties
    subscription_ids: tuple[int, ...]


def decode_publish(header: int, body: bytes | bytearray, *, mqtt5: bool) -> Publish:
    """Read a packet: first byte and everything after the remaining length. Raises Malformed."""
    qos = (header & 0x06) >> 1
    properties = NO_PROPERTIES
    identifiers: tuple[int, ...] = ()
    packet_id = 0
    try:
        topic, at = _text(body, 0)
        if qos:
            (packet_id,) = struct.unpack_from("!H", body, at)
            at += 2
        if mqtt5:
            size, at = varint(body, at)
            if size:
                properties, identifiers = _properties(body, at, at + size)
                at += size
    except (IndexError, struct.error) as error:
        raise Malformed("PUBLISH packet is too short") from error
    if qos == 3 or at > len(body):
        raise Malformed("PUBLISH packet is malformed")
    return Publish(
        topic, bytes(body[at:]), packet_id, qos, bool(header & 0x01), bool(header & 0x08), properties, identifiers
    )


def _properties(body: bytes | bytearray, at: int, end: int) -> tuple[Properties, tuple[int, ...]]:
    known: dict[str, str | bytes | int] = {}
    user: list[tuple[str, str]] = []
    identifiers: list[int] = []
    while at < end:
        kind = body[at]
        at += 1
        if kind == UserProperty:
            name, at = _text(body, at)
            value, at = _text(body, at)
            user.append((name, value))
        elif kind == SubscriptionIdentifier:
            number, at = varint(body, at)
            identifiers.append(number)
        elif kind == ContentType:
            known["content_type"], at = _text(body, at)
        elif kind == ResponseTopic:
            known["response_topic"], at = _text(body, at)
        elif kind == CorrelationData:
            known["correlation_data"], at = _binary(body, at)
        elif kind == MessageExpiry:
            (known["message_expiry"],) = struct.unpack_from("!I", body, at)
            at += 4
        elif kind == PayloadFormatIndicator:
            at += 1
        else:
            # A topic alias is a protocol error here too: we allow none.
            raise Malformed(f"PUBLISH packet has property 0x{kind:02X}")
    if not known and not user:
        return NO_PROPERTIES, tuple(identifiers)
    return Properties(user=tuple(user), **known), tuple(identifiers)  # type: ignore[arg-type]  # by name


def varint(body: bytes | bytearray, at: int) -> tuple[int, int]:
    """A variable byte integer (MQTT 5, 1.5.5) and where it ends. Raises Malformed, IndexError."""
    value = shift = 0
    while True:
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 21:
            raise Malformed("variable byte integer is too long")


def _binary(body: bytes | bytearray, at: int) -> tuple[bytes, int]:
    (size,) = struct.unpack_from("!H", body, at)
    end = at + 2 + size
    if end > len(body):
        raise Malformed("PUBLISH packet is too short")
    return bytes(body[at + 2 : end]), end


def _text(body: bytes | bytearray, at: int) -> tuple[str, int]:
    data, at = _binary(body, at)
    # A broker checks UTF-8. Where it did not, a replaced character is better than a message that never ends.
    return data.decode("utf-8", "replace"), at


class PackedProperties:
    """Properties of a PUBLISH as bytes. All that paho does with properties when it sends is to call `pack`."""

    __slots__ = ("_packed",)

    def __init__(self, properties: Properties) -> None:
        """Raises ValueError for text that MQTT cannot carry (1.5.4)."""
        body = bytearray()
        if properties.message_expiry is not None:
            body += struct.pack("!BI", MessageExpiry, properties.message_expiry)
        for identifier, text in ((ContentType, properties.content_type), (ResponseTopic, properties.response_topic)):
            if text is not None:
                body.append(identifier)
                body += _packed_text(text)
        if properties.correlation_data is not None:
            body.append(CorrelationData)
            body += _packed_binary(properties.correlation_data)
        for name, value in properties.user:
            body.append(UserProperty)
            body += _packed_text(name)
            body += _packed_text(value)
        self._packed = packed_length(len(body)) + bytes(body)

    def pack(self) -> bytes:
        """Length and properties (MQTT 5, 2.2.2)."""
        return self._packed


def _packed_text(text: str) -> bytes:
    if "\0" in text:
        raise ValueError("a property contains a NUL character")
    return _packed_binary(text.encode())


def _packed_binary(data: bytes) -> bytes:
    if len(data) > 0xFFFF:
        raise ValueError("a property is longer than 65,535 bytes")
    return len(data).to_bytes(2, "big") + data


def packed_length(value: int) -> bytes:
    """A variable byte integer (MQTT 5, 1.5.5)."""
    encoded = bytearray()
    while True:
        value, low = divmod(value, 0x80)
        encoded.append(low | 0x80 if value else low)
        if not value:
            return bytes(encoded)
