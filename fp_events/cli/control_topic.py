"""Commands through the control topic: request and response by MQTT."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fp_events.domain.envelope import sealed
from fp_events.domain.errors import BrokerRefused, CommandRefused, DaemonUnavailable, UsageError
from fp_events.domain.message import NO_PROPERTIES, Confirmed, Publication, Subscription
from fp_events.domain.ports import Transport

if TYPE_CHECKING:
    from fp_events.config import Config

#: Seconds for the reply to a command that waits for nothing.
PATIENCE = 10.0


def request(config: Config, command: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Send a command and return its result.

    Raises DaemonUnavailable where nobody answers within 10 s, CommandRefused where the daemon said no.
    """
    import asyncio

    return asyncio.run(_request(config, command, {k: v for k, v in arguments.items() if v is not None}))


async def _request(config: Config, command: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    from fp_events.app.link import base_topic, connected, options_for
    from fp_events.config import control_key

    base = base_topic(config)
    response = f"{base}/reply/{command}/{uuid.uuid4().hex}"
    key = control_key(config)
    options = options_for(config, [Subscription(filter=response, retain_handling=2)])
    if options.protocol != "5":
        raise UsageError("MQTT 3.1.1 has no replies", mend="ask --by socket or http, or with mqtt.protocol: '5'")
    async with connected(options) as transport:
        line = _Line(transport, base, response, key)
        if not arguments.get("wait"):
            return await line.ask(command, arguments, PATIENCE)
        # A run may take for ever to answer, a daemon that is there does not.
        await line.ask("status", {}, PATIENCE)
        limit = arguments.get("timeout_s")
        # The daemon's own limit ends first; a second more lets its answer arrive.
        return await line.ask(command, arguments, None if limit is None else limit + 1)


@dataclass(frozen=True, slots=True)
class _Line:
    """A connection that is subscribed to the topic of its replies."""

    transport: Transport
    base: str
    response: str
    #: What requests are signed with; None: they are not.
    key: bytes | None

    async def ask(self, command: str, arguments: Mapping[str, Any], patience: float | None) -> dict[str, Any]:
        """Send one command and wait for its result; `patience` None: for ever."""
        token = uuid.uuid4().hex
        body = json.dumps({**arguments, "sent_at": datetime.now(UTC).isoformat()}).encode()
        if self.key is not None:
            body = sealed(self.key, command, dict(arguments))
        properties = replace(NO_PROPERTIES, response_topic=self.response, correlation_data=token.encode())
        publication = Publication(
            event_id=token, topic=f"{self.base}/control/{command}", payload=body, qos=1, properties=properties
        )
        (answer,) = await self.transport.publish([publication])
        if answer.result is not Confirmed.SENT:
            raise BrokerRefused(f"the command was not taken: {answer.reason}", where=publication.topic)
        return _result(await _reply(self.transport, token.encode(), patience), publication.topic)


async def _reply(transport: Transport, token: bytes, patience: float | None) -> dict[str, Any] | None:
    import anyio

    with anyio.move_on_after(patience):
        while True:
            for delivery in await transport.receive():
                if delivery.message.properties.correlation_data == token:
                    found: dict[str, Any] = json.loads(delivery.message.payload)
                    return found
    return None


def _result(reply: dict[str, Any] | None, topic: str) -> dict[str, Any]:
    if reply is None:
        raise DaemonUnavailable("no daemon answered", where=topic, mend="is one running, with `control.mqtt: true`?")
    if not reply["ok"]:
        error = reply["error"]
        raise CommandRefused(error["what"], where=error["where"], mend=error["mend"])
    result: dict[str, Any] = reply["result"]
    return result
