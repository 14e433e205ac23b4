"""Publications as packets, within what the broker allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.exception import MQTTException

from fp_events.domain.message import NO_PROPERTIES, Properties, Publication

from ._hang_ups import HangUps
from ._limits import MAX_WINDOW, Limits
from ._publish_packet import PackedProperties
from ._sender import CannotSend


def limits_of(flags: Any, properties: Any, *, mqtt5: bool) -> Limits:
    """What a CONNACK allows."""
    if not mqtt5:
        return Limits(session_present=bool(flags.session_present))
    known = vars(properties)
    return Limits(
        session_present=bool(flags.session_present),
        receive_maximum=min(known.get("ReceiveMaximum", 65535), MAX_WINDOW),
        maximum_qos=known.get("MaximumQoS", 2),
        retain=bool(known.get("RetainAvailable", 1)),
        maximum_packet=known.get("MaximumPacketSize", 0),
        subscription_ids=bool(known.get("SubscriptionIdentifierAvailable", 1)),
        wildcards=bool(known.get("WildcardSubscriptionAvailable", 1)),
        shared=bool(known.get("SharedSubscriptionAvailable", 1)),
    )


class Outgoing:
    """Queues PUBLISH packets with paho; `note` is told what is done otherwise than asked."""

    def __init__(
        self, paho: Client, limits: Limits, *, mqtt5: bool, note: Callable[[str], None], hang_ups: HangUps | None
    ) -> None:
        """`hang_ups`: where the broker cannot say what it takes."""
        self._hang_ups = hang_ups
        self._paho = paho
        self._limits = limits
        self._mqtt5 = mqtt5
        self._note = note
        #: paho takes everything and writes in its own time.
        self.full = False

    def flush(self) -> None:
        """See `full`."""

    def write(self, publication: Publication) -> int:
        """Queue a PUBLISH packet; its identifier."""
        qos, retain = self._allowed(publication)
        topic = publication.topic
        if not topic or "\0" in topic:
            raise CannotSend("the topic is empty or contains a NUL character")
        try:
            properties: Any = self._packed(publication.properties) if self._mqtt5 else None
            self._check_size(publication, properties)
            while True:
                info = self._paho.publish(topic, publication.payload, qos, retain, properties)
                if info.rc != MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
                    return info.mid if qos else 0
                # The identifier is in use by a publication unanswered for 65,535 others: take the next.
        except (ValueError, MQTTException) as error:
            raise CannotSend(str(error)) from error

    @staticmethod
    def _packed(properties: Properties) -> PackedProperties | None:
        return None if properties is NO_PROPERTIES else PackedProperties(properties)

    def _allowed(self, publication: Publication) -> tuple[int, bool]:
        qos, retain = publication.qos, publication.retain
        if qos > self._limits.maximum_qos:
            qos = self._limits.maximum_qos
            self._note(f"the broker takes QoS {qos} at most: publications above are sent at {qos}")
        if retain and not self._limits.retain:
            retain = False
            self._note("the broker does not retain messages: retained publications are sent without the flag")
        return qos, retain

    def _check_size(self, publication: Publication, properties: Any) -> None:
        if self._hang_ups is not None:
            self._hang_ups.check(publication)
        limit = self._limits.maximum_packet
        if not limit:
            return
        # Fixed header 5, topic length 2, packet identifier 2 (MQTT 5, 3.3), properties at least 1.
        size = 9 + len(publication.topic.encode()) + len(publication.payload)
        size += len(properties.pack()) if properties is not None else 1
        if size > limit:
            raise CannotSend(f"packet too large: {size} bytes, the broker takes {limit}")
