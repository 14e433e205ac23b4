"""Commands through the control topic: request and response by MQTT."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fp_events.domain.errors import BrokerRefused, CommandRefused, DaemonUnavailable, UsageError
from fp_events.domain.message import NO_PROPERTIES, Confirmed, Publication, Subscription
from fp_events.domain.ports import Transport

if TYPE_CHECKING:
    from fp_events.config import Config

#: Seconds for the reply to a command that waits for nothing.
_PATIENCE = 10.0


def request(config: Config, command: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Send a command and return its result.

    Raises DaemonUnavailable without a reply, CommandRefused where the daemon said no.
    """
    import asyncio

    return asyncio.run(_request(config, command, {k: v for k, v in arguments.items() if v is not None}))


async def _request(config: Config, command: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    from .link import base_topic, connected, options_for

    base = base_topic(config)
    token = uuid.uuid4().hex
    response = f"{base}/reply/{command}/{token}"
    options = options_for(config, [Subscription(filter=response, retain_handling=2)])
    if options.protocol != "5":
        raise UsageError("MQTT 3.1.1 has no replies", mend="leave --mqtt out: the local socket answers")
    body = json.dumps({**arguments, "sent_at": datetime.now(UTC).isoformat()}).encode()
    properties = replace(NO_PROPERTIES, response_topic=response, correlation_data=token.encode())
    publication = Publication(
        event_id=token, topic=f"{base}/control/{command}", payload=body, qos=1, properties=properties
    )
    patience = arguments.get("timeout_s") if arguments.get("wait") else _PATIENCE
    async with connected(options) as transport:
        (answer,) = await transport.publish([publication])
        if answer.result is not Confirmed.SENT:
            raise BrokerRefused(f"the command was not taken: {answer.reason}", where=publication.topic)
        reply = await _reply(transport, token.encode(), patience)
    return _result(reply, command, publication.topic)


async def _reply(transport: Transport, token: bytes, patience: float | None) -> dict[str, Any] | None:
    import anyio

    # The daemon's own limit ends first; a second more lets its answer arrive.
    with anyio.move_on_after(None if patience is None else patience + 1):
        while True:
            for delivery in await transport.receive():
                if delivery.message.properties.correlation_data == token:
                    found: dict[str, Any] = json.loads(delivery.message.payload)
                    return found
    return None


def _result(reply: dict[str, Any] | None, command: str, topic: str) -> dict[str, Any]:
    if reply is None:
        raise DaemonUnavailable(
            f"no daemon answered '{command}'", where=topic, mend="is it running, and `control.mqtt` true?"
        )
    if not reply["ok"]:
        error = reply["error"]
        raise CommandRefused(error["what"], where=error["where"], mend=error["mend"])
    result: dict[str, Any] = reply["result"]
    return result
