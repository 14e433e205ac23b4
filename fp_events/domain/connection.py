"""How to reach a broker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from .message import Publication, Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """TLS for a connection: on by the URL's scheme, never switched off by a failure."""

    #: PEM file of the authorities to trust; None: the system's.
    ca_file: str | None = None
    #: PEM files of our own certificate and key, for mutual TLS.
    cert_file: str | None = None
    key_file: str | None = None
    minimum: Literal["1.2", "1.3"] = "1.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectOptions:
    """Everything a transport needs to connect and subscribe."""

    host: str
    port: int
    #: ``tcp`` (mqtt://, mqtts://) or ``websockets`` (ws://, wss://).
    transport: Literal["tcp", "websockets"] = "tcp"
    #: Path of the WebSocket endpoint.
    path: str = "/mqtt"
    tls: TlsOptions | None = None
    protocol: Literal["5", "3.1.1"] = "5"
    #: Our own client, aiomqtt, or ours wherever it can: MQTT 5 over TCP and TLS.
    client: Literal["auto", "mqtt5", "aiomqtt"] = "auto"
    client_id: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    #: Seconds the broker keeps our session after a lost connection.
    session_expiry: int = 7 * 24 * 3600
    #: Unacknowledged QoS 1 and 2 messages that the broker may have under way to us (MQTT 5, 3.1.2.11.3).
    receive_maximum: int = 1000
    #: Seconds.
    keepalive: int = 30
    subscriptions: Sequence[Subscription] = ()
    #: Filters that an earlier start subscribed and this one does not: unsubscribed when the session is kept.
    stale_filters: Sequence[str] = ()
    #: Published by the broker when the connection is lost.
    will: Publication | None = None
    #: Published by us after every connect, before anything else.
    greeting: Sequence[Publication] = ()
    #: Bytes of payload held between `receive` calls; above it the transport stops reading.
    max_buffered_bytes: int = 64 * 1024 * 1024

    @property
    def address(self) -> str:
        """The URL without credentials."""
        scheme = {"tcp": "mqtt", "websockets": "ws"}[self.transport] + ("s" if self.tls else "")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}{self.path if self.transport == 'websockets' else ''}"
