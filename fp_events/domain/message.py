"""What travels: messages in, publications out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import Enum

from .values import value


@value
class Properties:
    """The MQTT 5 properties that concern a user; all empty under MQTT 3.1.1."""

    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    #: Seconds the message stays valid, counted by the broker while it waits there (MQTT 5, 3.3.2.3.3).
    message_expiry: int | None = None
    #: Pairs, since a name may come twice (MQTT 5, 3.3.2.3.7).
    user: tuple[tuple[str, str], ...] = ()

    def user_value(self, name: str) -> str | None:
        """The first user property called `name`."""
        for key, text in self.user:
            if key == name:
                return text
        return None


NO_PROPERTIES = Properties()


@value
class Message:
    """An MQTT message as it came."""

    topic: str
    payload: bytes
    qos: int = 0
    #: True where the broker sent it because it was retained, not because it was just published.
    retain: bool = False
    properties: Properties = NO_PROPERTIES
    #: Aware, UTC.
    received_at: datetime


@value
class Delivery:
    """A message plus the right to acknowledge it once."""

    message: Message
    #: Counts the deliveries of one transport from 1, across its connections.
    number: int
    #: Counts the connections of one transport from 1; an acknowledgement for an older one is discarded.
    connection: int
    #: MQTT packet identifier; 0 for QoS 0, which needs no acknowledgement.
    packet_id: int = 0
    #: The DUP flag: the broker has sent this packet before.
    duplicate: bool = False
    #: Which of our subscriptions caused this copy, where the broker says so (MQTT 5, 3.3.4).
    subscription_ids: tuple[int, ...] = ()


@value
class Publication:
    """A message to send."""

    #: Stays the same when the publication is repeated, so that a receiver can drop the second one.
    event_id: str
    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties = NO_PROPERTIES


class Confirmed(Enum):
    """How one publication ended."""

    #: QoS 0: handed to the socket. QoS 1, 2: the broker took it.
    SENT = "sent"
    #: The broker said no (reason code of 0x80 or above), or it cannot be sent at all. Final.
    REFUSED = "refused"
    #: The connection was lost before an answer. To be sent again with the same event id.
    UNKNOWN = "unknown"


@value
class Confirmation:
    """What the broker said of one publication."""

    event_id: str
    result: Confirmed
    #: The reason of a refusal, in words.
    reason: str = ""


@value
class Subscription:
    """What the broker is asked for; several triggers may share one."""

    #: An MQTT topic filter: captures are already turned into ``+`` and ``#``.
    filter: str
    qos: int = 1
    #: 0: retained messages at every subscribe; 1: only when the subscription is new; 2: never (MQTT 5, 3.8.3.1).
    retain_handling: int = 1
    #: Do not send us what we published ourselves.
    no_local: bool = False
    #: MQTT 5 subscription identifier, 1 or more.
    identifier: int = 1


@value
class ConnectionStatus:
    """What is known of a transport's connection."""

    connected: bool
    #: Where it connects to, without credentials.
    address: str
    #: Connections made so far.
    connections: int = 0
    #: The last CONNACK said that the broker kept our session.
    session_present: bool = False
    #: Why the last attempt or connection ended, one sentence.
    last_error: str = ""
    #: Filter -> the QoS granted, or the reason code (0x80 and above) of a refusal.
    granted: Mapping[str, int] = field(default_factory=dict)
    #: What the broker cannot do and we do otherwise, one sentence each.
    notes: tuple[str, ...] = ()
