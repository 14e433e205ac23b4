"""What a transport does whose connections are links: reconnect, settle in, say what is known."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import anyio
import anyio.abc

from fp_events.domain.connection import ConnectOptions
from fp_events.domain.errors import BrokerRefused, ConfigError
from fp_events.domain.message import (
    Confirmation,
    Confirmed,
    ConnectionStatus,
    Delivery,
    Publication,
    Subscription,
)

from ._acks import Acknowledgements
from ._backoff import STEADY, backoff
from ._errors import FATAL, SLOW, describe_failure, describe_refusal
from ._inbox import Inbox
from ._link import Link, NoAnswer, NoConnection
from ._reasons import QOS_NOT_SUPPORTED, RETAIN_NOT_SUPPORTED, TAKEN_OVER
from ._sender import unsent
from ._takeovers import Takeovers

#: Seconds that the farewell may take.
FAREWELL_TIMEOUT = 2.0


class LinkedTransport(abc.ABC):
    """`Transport` over one link after another.

    `on_connection` is called at every connect and loss, and when the reason for not connecting changes.
    """

    def __init__(
        self, options: ConnectOptions, *, on_connection: Callable[[ConnectionStatus], None] | None = None
    ) -> None:
        self._options = options
        self._on_connection = on_connection
        self._inbox = Inbox(options.max_buffered_bytes, self._has_room)
        self._acks = Acknowledgements()
        self._numbers = itertools.count(1)
        self._link: Link | None = None
        self._connections = 0
        self._session_present = False
        self._last_error = ""
        self._granted: dict[str, int] = {}
        self._notes: dict[str, None] = {}
        self._ready = asyncio.Event()
        self._closing = False
        self._scope: anyio.CancelScope | None = None
        self._ended = asyncio.Event()
        self._packet_id = 0
        self._failures = 0
        self._takeovers = Takeovers()

    async def run(self) -> None:
        """See `Transport.run`. Raises ConfigError where a certificate file cannot be used at the first attempt."""
        self._ended.clear()
        try:
            with anyio.CancelScope() as self._scope:
                while not self._closing:
                    slow = await self._connection()
                    await asyncio.sleep(backoff(self._failures, refused=slow))
        finally:
            self._scope = None
            self._ended.set()

    async def receive(self) -> Sequence[Delivery]:
        """See `Transport.receive`."""
        return await self._inbox.take()

    def acknowledge(self, burst: Sequence[Delivery]) -> None:
        """See `Transport.acknowledge`. One that is acknowledged before an earlier one waits for it."""
        if self._link is not None:
            self._link.acknowledge(burst)

    @property
    def confirmed(self) -> int:
        """See `Transport.confirmed`."""
        return self._acks.confirmed

    async def publish(self, burst: Sequence[Publication]) -> Sequence[Confirmation]:
        """See `Transport.publish`."""
        if self._link is None or self._link.sender is None or not self._ready.is_set():
            return unsent(burst)
        return await self._link.sender.send(burst)

    async def connected(self) -> None:
        """See `Transport.connected`."""
        await self._ready.wait()

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """See `Transport.subscribe`."""
        before = {one.filter: one for one in self._options.subscriptions}
        wanted = {one.filter for one in subscriptions}
        gone = [text for text in before if text not in wanted]
        new = [one for one in subscriptions if before.get(one.filter) != one]
        stale = [text for text in (*self._options.stale_filters, *gone) if text not in wanted]
        self._options = replace(self._options, subscriptions=tuple(subscriptions), stale_filters=tuple(stale))
        link = self._link
        if link is None or not self._ready.is_set():
            return  # the next connection makes them
        try:
            if new:
                self._granted |= await link.subscribe(new)
            if gone:
                await link.unsubscribe(gone)
        except NoAnswer as error:
            link.abort(f"the broker did not answer our subscriptions ({error})")
            return
        for text in gone:
            self._granted.pop(text, None)

    def status(self) -> ConnectionStatus:
        """See `Transport.status`."""
        return ConnectionStatus(
            connected=self._ready.is_set(),
            address=self._options.address,
            connections=self._connections,
            session_present=self._session_present,
            last_error=self._last_error,
            granted=dict(self._granted),
            notes=tuple(self._notes),
        )

    async def close(self, farewell: Sequence[Publication] = ()) -> None:
        """See `Transport.close`."""
        self._closing = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_TIMEOUT):
                await self.publish(farewell)
        if self._scope is not None:
            self._scope.cancel()
            await self._ended.wait()

    # -- one connection after another

    async def _connection(self) -> bool:
        """Make one connection and live with it until it ends; True where the next should wait longer."""
        try:
            link = await self._make_link()
        except ConfigError as error:
            if not self._connections and not self._failures:
                raise
            return self._failed(str(error))
        # Before `open` returns there may be deliveries already, to be acknowledged by whoever received them.
        self._link = link
        try:
            await link.open()
            self._connections = link.connection
            if link.assigned_client_id:
                # The session is found again by it.
                self._options = replace(self._options, client_id=link.assigned_client_id)
            self._session_present = link.limits.session_present
            await self._live(link)
        except NoConnection as error:
            return self._refused(link, error)
        finally:
            self._link = None
            self._packet_id = link.last_packet_id
            await self._end(link)
        return self._lost(link)

    @abc.abstractmethod
    async def _make_link(self) -> Link:
        """A link for the next connection. Raises ConfigError where a certificate file cannot be used."""

    async def _live(self, link: Link) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(link.live, name="mqtt-keepalive")
            tasks.start_soon(self._settle_in, link, name="mqtt-subscribe")
            await link.lost.wait()
            tasks.cancel_scope.cancel()

    async def _settle_in(self, link: Link) -> None:
        """Unsubscribe, subscribe, greet; then the connection counts."""
        options = self._options
        try:
            if options.stale_filters and link.limits.session_present:
                await link.unsubscribe(options.stale_filters)
            self._granted = dict(await link.subscribe(options.subscriptions))
        except NoAnswer as error:
            link.abort(f"the broker did not answer our subscriptions ({error})")
            return
        assert link.sender is not None
        for one in await link.sender.send(options.greeting):
            if one.result is Confirmed.REFUSED:
                self._note(f"the broker refused the greeting {one.event_id}: {one.reason}")
        if not link.lost.is_set():
            self._ready.set()
            self._report()

    async def _end(self, link: Link) -> None:
        self._ready.clear()
        with anyio.CancelScope(shield=True):
            if self._closing and not link.lost.is_set():
                await link.disconnect()
            else:
                # Ended from outside, or lost: the will is for that.
                link.abort()

    # -- what is said of it

    def _refused(self, link: Link, error: NoConnection) -> bool:
        code = link.connack
        if not code:
            return self._failed(describe_failure(error.__cause__ or error, self._options))
        reason = describe_refusal(code, self._options)
        self._failed(reason)
        self._lower_will(code)
        if code in FATAL:
            raise BrokerRefused(reason, mend="change `mqtt.protocol` or `mqtt.client_id`") from error
        return code in SLOW

    def _lower_will(self, code: int) -> None:
        """Ask for less where the broker cannot keep the will as it is (MQTT 5, 3.2.2.3.4 and 3.2.2.3.5)."""
        will = self._options.will
        if will is None:
            return
        if code == RETAIN_NOT_SUPPORTED and will.retain:
            self._note("the broker does not retain messages: the last will is given without the flag")
            self._options = replace(self._options, will=replace(will, retain=False))
        elif code == QOS_NOT_SUPPORTED and will.qos:
            self._note(f"the broker takes no last will at QoS {will.qos}: it is given at {will.qos - 1}")
            self._options = replace(self._options, will=replace(will, qos=will.qos - 1))

    def _failed(self, reason: str) -> bool:
        self._failures += 1
        if reason != self._last_error:
            self._last_error = reason
            self._report()
        return False

    def _lost(self, link: Link) -> bool:
        """A connection has ended that was made."""
        self._failures = 1 if link.lived >= STEADY else self._failures + 1
        if link.refusal:
            # Mosquitto 2.0 hangs up after each publication that it refuses. That one is settled, so the next
            # connection gets further: results that wait behind it must not wait for a broker that is well.
            self._failures = 0
        self._last_error = f"{self._options.address}: {link.reason}"
        try:
            self._last_error += self._takeovers.lost(
                self._options,
                taken_over=link.goodbye == TAKEN_OVER,
                explained=link.goodbye is not None or bool(link.refusal),
                lived=link.lived,
            )
        finally:
            self._report()
        return False

    def _note(self, text: str) -> None:
        self._notes[text] = None

    def _report(self) -> None:
        if self._on_connection is not None:
            self._on_connection(self.status())

    def _has_room(self) -> None:
        if self._link is not None:
            self._link.has_room()
