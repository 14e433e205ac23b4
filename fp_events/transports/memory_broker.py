"""A small MQTT broker in this process, for tests of pipelines: no sockets, no packets, the same behaviour."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from fp_events.domain.message import NO_PROPERTIES, Delivery, Message, Properties, Publication, Subscription
from fp_events.domain.topics import TopicPattern, parse_filter


class MemoryBroker:
    """Subscriptions, retained messages, and sessions that outlive connections.

    Behaves as MQTT 5 does: one copy of a message for each matching subscription, with its identifier.
    """

    def __init__(self) -> None:
        #: Everything that was published, in order.
        self.published: list[Publication] = []
        self._running = asyncio.Event()
        self._running.set()
        self._sessions: dict[str, Session] = {}
        self._retained: dict[str, Publication] = {}
        self._refused: list[TopicPattern] = []
        self._turn = itertools.count()
        self._ids = itertools.count(1)

    def publish(
        self,
        topic: str,
        payload: bytes | str,
        *,
        qos: int = 1,
        retain: bool = False,
        properties: Properties = NO_PROPERTIES,
    ) -> None:
        """Publish as some other client would."""
        data = payload.encode() if isinstance(payload, str) else payload
        event_id = f"published-{next(self._ids)}"
        self.accept(
            Publication(event_id=event_id, topic=topic, payload=data, qos=qos, retain=retain, properties=properties)
        )

    def refuse(self, topic_filter: str) -> None:
        """From now on refuse publications to matching topics, as an access list would."""
        self._refused.append(parse_filter(topic_filter))

    def refuses(self, topic: str) -> bool:
        """Whether `refuse` has named this topic."""
        return any(pattern.match(topic) is not None for pattern in self._refused)

    def unacknowledged(self, client_id: str) -> int:
        """Messages that are kept for a client: on their way to it, or waiting."""
        session = self._sessions.get(client_id)
        return 0 if session is None else session.kept

    def drop_connections(self) -> None:
        """Cut every connection: wills are published, clients come back at once."""
        for session in list(self._sessions.values()):
            session.drop(taken_over=False)

    def stop(self) -> None:
        """Cut every connection and accept none until `start`. Sessions and retained messages stay."""
        self._running.clear()
        self.drop_connections()

    def start(self) -> None:
        """Accept connections again."""
        self._running.set()

    @property
    def running(self) -> bool:
        """Connections are accepted."""
        return self._running.is_set()

    async def wait_running(self) -> None:
        """Wait for `start`."""
        await self._running.wait()

    # -- what `MemoryTransport` calls

    def connect(self, client_id: str, connection: Connection, *, keep: bool) -> tuple[Session, bool]:
        """The client's session and whether it was there before; a connection that it has is thrown out."""
        session = self._sessions.get(client_id)
        if session is not None:
            session.drop(taken_over=True)
        present = session is not None and client_id in self._sessions
        if session is None or not present:
            session = self._sessions[client_id] = Session(self, client_id, keep=keep)
        session.keep = keep
        session.connection = connection
        return session, present

    def forget(self, client_id: str) -> None:
        """End a session."""
        self._sessions.pop(client_id, None)

    def retained(self, pattern: TopicPattern) -> list[Publication]:
        """Retained messages that match."""
        return [one for topic, one in self._retained.items() if pattern.match(topic) is not None]

    def accept(self, publication: Publication, origin: str = "") -> None:
        """Take a publication of client `origin` and give it to every subscriber."""
        self.published.append(publication)
        if publication.retain:
            self._retained.pop(publication.topic, None)
            if publication.payload:
                self._retained[publication.topic] = publication
        shared: dict[str, list[tuple[Session, Subscription]]] = {}
        for session in list(self._sessions.values()):
            for pattern, subscription in session.matching(publication.topic):
                if subscription.no_local and session.client_id == origin:
                    continue
                if pattern.share:
                    shared.setdefault(pattern.filter, []).append((session, subscription))
                else:
                    session.give(publication, subscription)
        for members in shared.values():
            present = [member for member in members if member[0].connection is not None] or members
            session, subscription = present[next(self._turn) % len(present)]
            session.give(publication, subscription)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What a broker knows of a connected client."""

    number: int
    receive_maximum: int
    #: Hands over a delivery, its number still to be set.
    deliver: Callable[[Delivery], None]
    #: Whether the client reads.
    reading: Callable[[], bool]
    #: Called with True when another client has taken the session.
    lost: Callable[[bool], None]
    will: Publication | None = None


@dataclass(slots=True)
class Session:
    """What a broker keeps for a client id."""

    broker: MemoryBroker
    client_id: str
    keep: bool
    connection: Connection | None = None
    _subscriptions: dict[str, tuple[TopicPattern, Subscription]] = field(default_factory=dict)
    _queue: deque[Delivery] = field(default_factory=deque)
    _unacknowledged: dict[int, Delivery] = field(default_factory=dict)
    _last_packet_id: int = 0

    @property
    def kept(self) -> int:
        """Messages that are not acknowledged."""
        return len(self._queue) + len(self._unacknowledged)

    def matching(self, topic: str) -> list[tuple[TopicPattern, Subscription]]:
        """Subscriptions that match."""
        return [item for item in self._subscriptions.values() if item[0].match(topic) is not None]

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Subscribe and send retained messages."""
        for subscription in subscriptions:
            new = subscription.filter not in self._subscriptions
            pattern = parse_filter(subscription.filter)
            self._subscriptions[subscription.filter] = (pattern, subscription)
            wanted = subscription.retain_handling == 0 or (subscription.retain_handling == 1 and new)
            if wanted and not pattern.share:
                for publication in self.broker.retained(pattern):
                    self.give(publication, subscription, retained=True)

    def unsubscribe(self, filters: Sequence[str]) -> None:
        """Give up filters."""
        for one in filters:
            self._subscriptions.pop(one, None)

    def give(self, publication: Publication, subscription: Subscription, *, retained: bool = False) -> None:
        """Queue a copy for the client; without a connection QoS 0 is dropped."""
        qos = min(publication.qos, subscription.qos)
        if self.connection is None and not qos:
            return
        message = Message(
            topic=publication.topic,
            payload=publication.payload,
            qos=qos,
            retain=retained,
            properties=publication.properties,
            received_at=datetime.now(UTC),
        )
        self._queue.append(
            Delivery(message=message, number=0, connection=0, subscription_ids=(subscription.identifier,))
        )
        self.pump()

    def resend(self) -> None:
        """After a reconnect: what was not acknowledged comes first, in order (MQTT 5, 4.4)."""
        for packet_id, delivery in self._unacknowledged.items():
            self._deliver(replace(delivery, packet_id=packet_id, duplicate=True))
        self.pump()

    def pump(self) -> None:
        """Send what waits, as far as the client allows."""
        while (connection := self.connection) is not None and self._queue and connection.reading():
            delivery = self._queue[0]
            if delivery.message.qos:
                if len(self._unacknowledged) >= connection.receive_maximum:
                    return
                delivery = replace(delivery, packet_id=self._packet_id())
                self._unacknowledged[delivery.packet_id] = delivery
            self._queue.popleft()
            self._deliver(delivery)

    def acknowledge(self, packet_id: int) -> None:
        """The client has acknowledged."""
        self._unacknowledged.pop(packet_id, None)

    def drop(self, *, taken_over: bool) -> None:
        """Cut the connection, if there is one: the will is published."""
        connection, self.connection = self.connection, None
        if connection is None:
            return
        if not self.keep:
            self.broker.forget(self.client_id)
        connection.lost(taken_over)
        if connection.will is not None:
            self.broker.accept(connection.will, self.client_id)

    def leave(self) -> None:
        """The client says goodbye: no will."""
        self.connection = None
        if not self.keep:
            self.broker.forget(self.client_id)

    def _deliver(self, delivery: Delivery) -> None:
        if self.connection is not None:
            self.connection.deliver(replace(delivery, connection=self.connection.number))

    def _packet_id(self) -> int:
        while True:
            self._last_packet_id = self._last_packet_id % 65535 + 1
            if self._last_packet_id not in self._unacknowledged:
                return self._last_packet_id
