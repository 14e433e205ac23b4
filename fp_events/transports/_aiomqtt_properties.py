"""MQTT 5 properties in paho's form."""

from __future__ import annotations

import paho.mqtt.properties
from paho.mqtt.packettypes import PacketTypes

from fp_events.domain.message import NO_PROPERTIES, Properties


def new_properties(packet_type: int) -> paho.mqtt.properties.Properties:
    """paho's own, which it has not annotated."""
    return paho.mqtt.properties.Properties(packet_type)  # type: ignore[no-untyped-call]  # see above


def will_properties(properties: Properties) -> paho.mqtt.properties.Properties | None:
    """paho's form, for a will; None where there is nothing to say."""
    if properties == NO_PROPERTIES:
        return None
    target = new_properties(PacketTypes.WILLMESSAGE)
    values = {
        "ContentType": properties.content_type,
        "ResponseTopic": properties.response_topic,
        "CorrelationData": properties.correlation_data,
        "MessageExpiryInterval": properties.message_expiry,
        "UserProperty": list(properties.user) or None,
    }
    for name, value in values.items():
        if value is not None:
            setattr(target, name, value)
    return target
