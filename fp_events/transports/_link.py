"""One connection, as the transport that reconnects sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from fp_events.domain.message import Delivery, Subscription

from ._limits import Limits
from ._sender import Sender

#: Seconds that CONNACK, SUBACK, UNSUBACK and our own DISCONNECT may take.
ANSWER_TIMEOUT = 10.0
#: Seconds that each step of connecting may take: TCP, TLS, WebSocket.
CONNECT_TIMEOUT = 10.0


class NoConnection(Exception):
    """The connection could not be made, or ended before the broker had said yes; its cause is the reason."""


class NoAnswer(Exception):
    """The broker did not answer a request, or the connection was lost while it was waited for."""


class Link(Protocol):
    """A connection from its first packet to its end; never used again after."""

    connection: int
    limits: Limits
    #: CONNACK's reason code, once there is one.
    connack: int | None
    #: The reason code of the broker's DISCONNECT packet.
    goodbye: int | None
    #: Why it ended.
    reason: str
    #: That the broker's last answer to a publication was a no, in words to follow `reason`; empty where it was a yes.
    refusal: str
    lost: asyncio.Event
    #: From CONNACK on.
    sender: Sender | None
    #: Seconds from CONNACK to the end.
    lived: float
    #: The client id that the broker gave, where we named none.
    assigned_client_id: str

    @property
    def last_packet_id(self) -> int:
        """Broker and client may still remember identifiers of the last connection (MQTT 5, 4.4)."""

    async def open(self) -> None:
        """Connect; returns after a positive CONNACK. Raises NoConnection."""

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """Give up filters of an earlier start. Raises NoAnswer."""

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> Mapping[str, int]:
        """Subscribe to all; filter -> granted QoS, or reason code of a refusal. Raises NoAnswer."""

    async def live(self) -> None:
        """What has to be done from time to time, for as long as the connection lives."""

    def acknowledge(self, burst: Sequence[Delivery]) -> None:
        """Acknowledge, each once all earlier ones are acknowledged."""

    def has_room(self) -> None:
        """The inbox has been emptied."""

    async def disconnect(self) -> None:
        """Say goodbye, so that the broker drops the will."""

    def abort(self, reason: str = ...) -> None:
        """End without a goodbye."""
