"""Broker and ledger URLs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

#: Scheme -> transport, TLS, default port.
_SCHEMES: Final[dict[str, tuple[Literal["tcp", "websockets"], bool, int]]] = {
    "mqtt": ("tcp", False, 1883),
    "mqtts": ("tcp", True, 8883),
    "ws": ("websockets", False, 80),
    "wss": ("websockets", True, 443),
}
_EXPECTED: Final = "expected 'embedded' or a URL such as mqtt://broker.example:1883 (mqtt, mqtts, ws or wss)"
_SQLITE: Final = "sqlite:///"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerUrl:
    """The parts of a broker's URL."""

    host: str
    port: int
    transport: Literal["tcp", "websockets"]
    tls: bool
    #: Path of the WebSocket endpoint, with its query.
    path: str = "/mqtt"
    username: str | None = None
    password: str | None = field(default=None, repr=False)


def parse_broker_url(text: str) -> BrokerUrl:
    """The parts of ``mqtt[s]://`` and ``ws[s]://`` URLs.

    Raises ValueError with a one-line reason that repeats nothing of the URL, which may hold a password.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
        host = parts.hostname
    except ValueError:
        raise ValueError(
            "the URL's host or port is malformed; a port is 1 to 65535, an IPv6 address is in []"
        ) from None
    if parts.scheme not in _SCHEMES:
        raise ValueError(_EXPECTED)
    if not host or re.search(r"\s", host) or port == 0:
        raise ValueError("the URL has no host, or one that is malformed; " + _EXPECTED)
    transport, tls, default_port = _SCHEMES[parts.scheme]
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    if parts.fragment or (transport == "tcp" and path not in {"", "/"}):
        raise ValueError(
            "the URL has something after its port; topics belong in pipelines, "
            "and '@', ':', '/', '?' and '#' in a password are written %40, %3A, %2F, %3F and %23"
        )
    return BrokerUrl(
        host=host,
        port=port or default_port,
        transport=transport,
        tls=tls,
        path=path if path not in {"", "/"} else "/mqtt",
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password is not None else None,
    )


def check_mqtt_url(text: str) -> None:
    """Raise ValueError for what `mqtt.url` cannot be."""
    if text != "embedded":
        parse_broker_url(text)


def check_ledger_url(text: str) -> None:
    """Raise ValueError for what `ledger.url` cannot be."""
    if text == "memory:" or (text.startswith(_SQLITE) and len(text) > len(_SQLITE)):
        return
    if text.startswith(("postgres:", "postgresql:")):
        raise ValueError("a PostgreSQL ledger is not available in this version; use sqlite:///<file> or memory:")
    raise ValueError("expected sqlite:///<file relative to the project>, sqlite:////<absolute file> or memory:")


def check_redis_url(text: str) -> None:
    """Raise ValueError for what `run.executor.url` cannot be; the reason repeats nothing of it."""
    try:
        parts = urlsplit(text)
        found = parts.hostname if parts.scheme in {"redis", "rediss"} else parts.path
        malformed = parts.scheme not in {"redis", "rediss", "unix"} or not found or parts.port == 0
    except ValueError:
        malformed = True
    if malformed:
        raise ValueError(
            "expected a URL such as redis://redis.example:6379/0 (redis, rediss or unix); "
            "'@', ':', '/', '?' and '#' in a password are written %40, %3A, %2F, %3F and %23"
        )


def ledger_file(url: str) -> str | None:
    """The file in a checked ledger URL, relative or absolute; None for a ledger in memory."""
    return url.removeprefix(_SQLITE) if url.startswith(_SQLITE) else None
