"""Which of our transports reaches a broker."""

from __future__ import annotations

from collections.abc import Callable

from fp_events.domain.connection import ConnectOptions
from fp_events.domain.errors import ConfigError
from fp_events.domain.message import ConnectionStatus
from fp_events.domain.ports import ReceivedIds, Transport


def transport_to(
    options: ConnectOptions,
    *,
    on_connection: Callable[[ConnectionStatus], None] | None = None,
    received_ids: ReceivedIds | None = None,
) -> Transport:
    """The transport that `options.client` names; its library is imported now.

    Raises ConfigError where our own client is asked for what it does not speak.
    """
    speaks = options.protocol == "5" and options.transport == "tcp"
    if options.client == "mqtt5" and not speaks:
        raise ConfigError(
            "mqtt.client: mqtt5 speaks MQTT 5 over TCP and TLS only",
            where=options.address,
            mend="leave mqtt.client out, or use aiomqtt",
        )
    if options.client == "aiomqtt" or not speaks:
        from .aiomqtt import AiomqttTransport

        return AiomqttTransport(options, on_connection=on_connection)
    from .mqtt5 import Mqtt5Transport

    return Mqtt5Transport(options, on_connection=on_connection, received_ids=received_ids)
