"""aiomqtt's client made from our options."""

from __future__ import annotations

import ssl
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from fp_events.domain.connection import ConnectOptions, TlsOptions
from fp_events.domain.errors import ConfigError

from ._aiomqtt_publish import new_properties, will_properties

#: Seconds that CONNACK, SUBACK, UNSUBACK and our own DISCONNECT may take.
ANSWER_TIMEOUT = 10.0


def make_client(options: ConnectOptions, context: ssl.SSLContext | None) -> aiomqtt.Client:
    """One client for one connection: aiomqtt's do not survive a loss unharmed."""
    mqtt5 = options.protocol == "5"
    versioned: dict[str, Any] = {"clean_session": False}
    if mqtt5:
        versioned = {"clean_start": False, "properties": _connect_properties(options)}
    return aiomqtt.Client(
        options.host,
        options.port,
        identifier=options.client_id,
        username=options.username,
        password=options.password,
        protocol=aiomqtt.ProtocolVersion.V5 if mqtt5 else aiomqtt.ProtocolVersion.V311,
        will=_will(options, mqtt5=mqtt5),
        transport=options.transport,
        websocket_path=options.path if options.transport == "websockets" else None,
        timeout=ANSWER_TIMEOUT,
        keepalive=options.keepalive,
        tls_context=context,
        **versioned,
    )


def _connect_properties(options: ConnectOptions) -> Properties:
    properties = new_properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = options.session_expiry
    properties.ReceiveMaximum = options.receive_maximum
    return properties


def _will(options: ConnectOptions, *, mqtt5: bool) -> aiomqtt.Will | None:
    will = options.will
    if will is None:
        return None
    properties = will_properties(will.properties) if mqtt5 else None
    return aiomqtt.Will(will.topic, will.payload, will.qos, will.retain, properties)


def tls_context(tls: TlsOptions) -> ssl.SSLContext:
    """The context for `tls`, from the files as they are now. Reads files: not for the loop.

    Raises ConfigError where a file is missing or is not what it should be.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"the CA file cannot be used ({_words(error)})",
            where=str(tls.ca_file),
            mend="give a PEM file in `mqtt.tls.ca_file`",
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if tls.minimum == "1.3" else ssl.TLSVersion.TLSv1_2
    if tls.cert_file is not None:
        try:
            # Without a password callback OpenSSL would ask for an encrypted key's on the terminal.
            context.load_cert_chain(tls.cert_file, tls.key_file, password=lambda: "")
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"the client certificate or its key cannot be used ({_words(error)})",
                where=tls.cert_file,
                mend="give PEM files in `mqtt.tls.cert_file` and `key_file`, the key without a password",
            ) from error
    return context


def _words(error: OSError) -> str:
    return error.strerror or getattr(error, "reason", "") or str(error)
