"""The transport on aiomqtt: MQTT 5 and 3.1.1 over TCP, TLS and WebSocket."""

from __future__ import annotations

import asyncio
from functools import cached_property

from ._aiomqtt_client import make_client
from ._aiomqtt_link import AiomqttLink
from ._hang_ups import HangUps
from ._linked import LinkedTransport
from ._tls import tls_context


class AiomqttTransport(LinkedTransport):
    """`Transport` through aiomqtt and the paho client inside it.

    Under MQTT 3.1.1 there are no subscription identifiers, no retain handling (retained messages come at every
    subscribe) and no reasons: a refused publication looks sent, and a takeover looks like any lost connection,
    so that two clients with one client id go on taking it from each other; `last_error` voices the suspicion.
    A publication that is too large for the broker is REFUSED once it has ended three connections.
    """

    @cached_property
    def _hang_ups(self) -> HangUps:
        return HangUps()

    async def _make_link(self) -> AiomqttLink:
        tls = self._options.tls
        context = None if tls is None else await asyncio.to_thread(tls_context, tls)
        return AiomqttLink(
            make_client(self._options, context),
            connection=self._connections + 1,
            inbox=self._inbox,
            acks=self._acks,
            numbers=lambda: next(self._numbers),
            note=self._note,
            hang_ups=self._hang_ups,
            first_packet_id=self._packet_id,
        )
