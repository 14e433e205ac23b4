"""Our own transport, on the mqtt5 codec: MQTT 5 over TCP and TLS."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from fp_events.domain.connection import ConnectOptions
from fp_events.domain.message import Confirmed, ConnectionStatus
from fp_events.domain.ports import ReceivedIds

from ._link import Link
from ._linked import LinkedTransport
from ._mqtt5_link import Mqtt5Link
from ._mqtt5_once import Once
from ._mqtt5_reader import Seen
from ._sender import LOST, Item
from ._tls import tls_context


class Mqtt5Transport(LinkedTransport):
    """`Transport` that speaks MQTT 5 over TCP and TLS, in bursts.

    QoS 2 is exactly once between broker and `receive` for the life of the process; with `received_ids` over restarts.
    """

    def __init__(
        self,
        options: ConnectOptions,
        *,
        on_connection: Callable[[ConnectionStatus], None] | None = None,
        received_ids: ReceivedIds | None = None,
    ) -> None:
        if options.protocol != "5" or options.transport != "tcp":
            raise ValueError("this transport speaks MQTT 5 over TCP and TLS only")
        super().__init__(options, on_connection=on_connection)
        # The broker may remember identifiers of the process before (MQTT 5, 4.4).
        self._packet_id = random.randrange(0xFFFF)  # noqa: S311 - spreads, guards nothing
        self._seen = Seen()
        self._once = Once(received_ids)
        self._released: dict[int, Item] = {}

    async def run(self) -> None:
        """See `Transport.run`. Raises ConfigError where a certificate file cannot be used at the first attempt."""
        try:
            await super().run()
        finally:
            for burst, index, _ in self._released.values():
                burst.failed(index, Confirmed.UNKNOWN, LOST)
            self._released.clear()

    async def _make_link(self) -> Link:
        tls = self._options.tls
        context = None if tls is None else await asyncio.to_thread(tls_context, tls)
        return Mqtt5Link(
            self._options,
            context,
            connection=self._connections + 1,
            inbox=self._inbox,
            acks=self._acks,
            numbers=self._numbers.__next__,
            note=self._note,
            first_packet_id=self._packet_id,
            seen=self._seen,
            once=self._once,
            released=self._released,
        )
