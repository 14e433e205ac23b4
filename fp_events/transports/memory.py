"""The transport to a `MemoryBroker`: for tests of pipelines, without a network."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import anyio

from fp_events.domain.connection import ConnectOptions
from fp_events.domain.message import (
    Confirmation,
    Confirmed,
    ConnectionStatus,
    Delivery,
    Publication,
    Subscription,
)
from fp_events.domain.topics import validate_topic

from ._acks import Acknowledgements
from ._inbox import Inbox
from ._reasons import NOT_AUTHORIZED, TAKEN_OVER, reason_name
from ._sender import unsent
from ._takeovers import Takeovers
from .memory_broker import Connection, MemoryBroker, Session

__all__ = ["MemoryBroker", "MemoryTransport"]


class MemoryTransport:
    """`Transport` to a broker in this process; host, port, TLS, password and protocol are not looked at."""

    def __init__(
        self,
        broker: MemoryBroker,
        options: ConnectOptions,
        *,
        on_connection: Callable[[ConnectionStatus], None] | None = None,
    ) -> None:
        self._broker = broker
        self._options = options
        self._on_connection = on_connection
        self._inbox = Inbox(options.max_buffered_bytes, self._pump)
        self._acks = Acknowledgements()
        self._numbers = itertools.count(1)
        self._session: Session | None = None
        self._session_present = False
        self._connections = 0
        self._last_error = ""
        self._ready = asyncio.Event()
        self._lost = asyncio.Event()
        self._taken_over = False
        self._takeovers = Takeovers()
        self._closing = False
        self._scope: anyio.CancelScope | None = None
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """See `Transport.run`."""
        self._ended.clear()
        try:
            with anyio.CancelScope() as self._scope:
                while not self._closing:
                    await self._broker.wait_running()
                    await self._connection()
        finally:
            self._scope = None
            self._ended.set()

    async def receive(self) -> Sequence[Delivery]:
        """See `Transport.receive`."""
        return await self._inbox.take()

    def acknowledge(self, burst: Sequence[Delivery]) -> None:
        """See `Transport.acknowledge`."""
        if self._session is None:
            return
        for delivery in self._acks.acknowledge(burst):
            self._session.acknowledge(delivery.packet_id)
        self._acks.answered(self._acks.mark())
        self._session.pump()

    @property
    def confirmed(self) -> int:
        """See `Transport.confirmed`; here acknowledgements are processed at once."""
        return self._acks.confirmed

    async def publish(self, burst: Sequence[Publication]) -> Sequence[Confirmation]:
        """See `Transport.publish`."""
        if not self._ready.is_set():
            return unsent(burst)
        return [self._publish(one) for one in burst]

    async def connected(self) -> None:
        """See `Transport.connected`."""
        await self._ready.wait()

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """See `Transport.subscribe`."""
        before = {one.filter: one for one in self._options.subscriptions}
        wanted = {one.filter for one in subscriptions}
        gone = tuple(text for text in (*self._options.stale_filters, *before) if text not in wanted)
        self._options = replace(self._options, subscriptions=tuple(subscriptions), stale_filters=gone)
        if self._session is not None:
            self._session.subscribe([one for one in subscriptions if before.get(one.filter) != one])
            self._session.unsubscribe(gone)

    def status(self) -> ConnectionStatus:
        """See `Transport.status`."""
        return ConnectionStatus(
            connected=self._ready.is_set(),
            address="memory:",
            connections=self._connections,
            session_present=self._session_present,
            last_error=self._last_error,
            granted={one.filter: one.qos for one in self._options.subscriptions} if self._connections else {},
        )

    async def close(self, farewell: Sequence[Publication] = ()) -> None:
        """See `Transport.close`."""
        self._closing = True
        await self.publish(farewell)
        if self._scope is not None:
            self._scope.cancel()
            await self._ended.wait()

    async def _connection(self) -> None:
        options = self._options
        self._lost.clear()
        self._connections += 1
        connection = Connection(
            number=self._connections,
            receive_maximum=options.receive_maximum,
            deliver=self._deliver,
            reading=lambda: not self._inbox.full,
            lost=self._cut,
            will=options.will,
        )
        self._acks.begin(self._connections)
        session, present = self._broker.connect(options.client_id, connection, keep=options.session_expiry > 0)
        began = asyncio.get_running_loop().time()
        self._session, self._session_present = session, present
        self._inbox.release(session_present=present)
        try:
            session.resend()
            session.unsubscribe(options.stale_filters)
            session.subscribe(options.subscriptions)
            for one in options.greeting:
                self._publish(one)
            self._ready.set()
            self._report()
            await self._lost.wait()
        finally:
            self._ready.clear()
            self._session = None
            self._part(session, connection)
        self._report()
        lived = asyncio.get_running_loop().time() - began
        self._takeovers.lost(options, taken_over=self._taken_over, explained=True, lived=lived)
        await asyncio.sleep(0)

    def _part(self, session: Session, connection: Connection) -> None:
        if session.connection is not connection:
            return
        if self._closing:
            session.leave()
        else:
            session.drop(taken_over=False)

    def _publish(self, one: Publication) -> Confirmation:
        try:
            validate_topic(one.topic)
        except ValueError as error:
            return Confirmation(event_id=one.event_id, result=Confirmed.REFUSED, reason=str(error))
        if self._broker.refuses(one.topic):
            reason = reason_name(NOT_AUTHORIZED)
            return Confirmation(event_id=one.event_id, result=Confirmed.REFUSED, reason=reason)
        self._broker.accept(one, self._options.client_id)
        return Confirmation(event_id=one.event_id, result=Confirmed.SENT)

    def _deliver(self, delivery: Delivery) -> None:
        numbered = replace(delivery, number=next(self._numbers))
        self._acks.received(numbered)
        self._inbox.put(numbered)

    def _cut(self, taken_over: bool) -> None:
        self._taken_over = taken_over
        self._last_error = (
            f"the broker closed the connection ({reason_name(TAKEN_OVER)})"
            if taken_over
            else ("the connection was lost (closed by the other side)")
        )
        self._ready.clear()
        self._session = None
        self._inbox.hold()
        self._lost.set()

    def _pump(self) -> None:
        if self._session is not None:
            self._session.pump()

    def _report(self) -> None:
        if self._on_connection is not None:
            self._on_connection(self.status())
