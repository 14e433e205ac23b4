"""aiomqtt's client made from our options."""

from __future__ import annotations

import ssl
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from fp_events.domain.connection import ConnectOptions

from ._aiomqtt_properties import new_properties, will_properties
from ._link import ANSWER_TIMEOUT


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
