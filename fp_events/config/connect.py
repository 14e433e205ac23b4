"""From settings to what a transport needs."""

from __future__ import annotations

from collections.abc import Sequence

from fp_events.domain.connection import ConnectOptions, TlsOptions
from fp_events.domain.message import Publication, Subscription

from .result import Config
from .secret_files import first_line, unreadable
from .urls import BrokerUrl, parse_broker_url


def connect_options(
    config: Config,
    *,
    subscriptions: Sequence[Subscription] = (),
    stale_filters: Sequence[str] = (),
    will: Publication | None = None,
    greeting: Sequence[Publication] = (),
    host: str | None = None,
    port: int | None = None,
) -> ConnectOptions:
    """How to connect as `config` says; `host` and `port` are the embedded broker's, and needed for it alone.

    Reads `mqtt.password_file` now, so that a changed file counts at the next connect.
    Raises ConfigError where that file, or a certificate, is missing or cannot be read.
    """
    mqtt = config.mqtt
    if mqtt.url == "embedded":
        if host is None or port is None:
            raise ValueError("an embedded broker needs the host and port where it listens")
        url = BrokerUrl(host=host, port=port, transport="tcp", tls=False)
    else:
        url = parse_broker_url(mqtt.url)
    return ConnectOptions(
        host=host or url.host,
        port=port or url.port,
        transport=url.transport,
        path=url.path,
        tls=_tls(config) if url.tls else None,
        protocol=mqtt.protocol,
        client=mqtt.client,
        client_id=mqtt.client_id or "",
        username=mqtt.username or url.username,
        password=_password(config, url),
        session_expiry=round(mqtt.session_expiry),
        receive_maximum=mqtt.receive_maximum,
        keepalive=max(1, round(mqtt.keepalive)),
        subscriptions=subscriptions,
        stale_filters=stale_filters,
        will=will,
        greeting=greeting,
    )


def _password(config: Config, url: BrokerUrl) -> str | None:
    file = config.mqtt.password_file
    return (config.mqtt.password or url.password) if file is None else first_line(config, "mqtt.password_file", file)


def _tls(config: Config) -> TlsOptions:
    tls = config.mqtt.tls
    return TlsOptions(
        ca_file=_pem(config, "ca_file", tls.ca_file),
        cert_file=_pem(config, "cert_file", tls.cert_file),
        key_file=_pem(config, "key_file", tls.key_file),
        minimum=tls.minimum,
    )


def _pem(config: Config, key: str, file: str | None) -> str | None:
    if file is None:
        return None
    setting = f"mqtt.tls.{key}"
    path = config.local_path(file)
    try:
        with path.open("rb"):
            return str(path)
    except OSError as error:
        raise unreadable(config, setting, file, error.strerror or "no such file") from error
