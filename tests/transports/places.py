"""The brokers that the contract is checked on, and how a test uses a transport."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal, Protocol, get_args

from fp_events.domain.connection import ConnectOptions
from fp_events.domain.message import ConnectionStatus, Delivery, Properties, Publication
from fp_events.domain.ports import Transport
from fp_events.transports.aiomqtt import AiomqttTransport
from fp_events.transports.memory import MemoryBroker, MemoryTransport
from fp_events.transports.mqtt5 import Mqtt5Transport
from tests.brokers import Mosquitto

Version = Literal["5", "3.1.1"]
#: A transport and the version of MQTT that it speaks.
Kind = Literal["mqtt5-5", "aiomqtt-5", "aiomqtt-3.1.1"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Place(Protocol):
    """A broker and the transport to it."""

    mqtt5: bool
    #: The highest QoS of a subscription.
    most: int

    def options(self, client_id: str, **others: Any) -> ConnectOptions: ...
    def transport(self, options: ConnectOptions, events: asyncio.Queue[ConnectionStatus]) -> Transport: ...
    async def stop(self) -> None: ...
    async def kill(self) -> None: ...
    async def start(self) -> None: ...


class MemoryPlace:
    mqtt5 = True
    most = 2

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.broker.refuse("forbidden/#")

    def options(self, client_id: str, **others: Any) -> ConnectOptions:
        return ConnectOptions(host="memory", port=1, client_id=client_id, **others)

    def transport(self, options: ConnectOptions, events: asyncio.Queue[ConnectionStatus]) -> Transport:
        return MemoryTransport(self.broker, options, on_connection=events.put_nowait)

    async def stop(self) -> None:
        self.broker.stop()

    async def kill(self) -> None:
        self.broker.stop()

    async def start(self) -> None:
        self.broker.start()


class MosquittoPlace:
    def __init__(self, broker: Mosquitto, kind: Kind) -> None:
        self.broker = broker
        library, self.protocol = kind.split("-")
        self.mqtt5 = self.protocol == "5"
        self.most = 2 if library == "mqtt5" else 1
        self.make = Mqtt5Transport if library == "mqtt5" else AiomqttTransport

    def options(self, client_id: str, **others: Any) -> ConnectOptions:
        chosen = {"host": self.broker.host, "port": self.broker.port, "protocol": self.protocol, **others}
        return ConnectOptions(client_id=client_id, **chosen)

    def transport(self, options: ConnectOptions, events: asyncio.Queue[ConnectionStatus]) -> Transport:
        return self.make(options, on_connection=events.put_nowait)

    async def stop(self) -> None:
        await self.broker.stop()

    async def kill(self) -> None:
        await self.broker.kill()

    async def start(self) -> None:
        await self.broker.start()


class Client:
    """A transport whose `run` runs, with short words for what tests do."""

    def __init__(self, transport: Transport, events: asyncio.Queue[ConnectionStatus]) -> None:
        self.transport = transport
        self.events = events
        self.running = asyncio.create_task(transport.run(), name="transport")

    async def connected(self) -> None:
        """There is a connection; what `run` raises instead is raised here."""
        waiting = asyncio.ensure_future(self.transport.connected())
        await asyncio.wait({waiting, self.running}, return_when=asyncio.FIRST_COMPLETED)
        if self.running.done():
            waiting.cancel()
            self.running.result()

    async def lost(self) -> ConnectionStatus:
        """The next news of no connection."""
        while True:
            status = await self.events.get()
            if not status.connected:
                return status

    async def receive(self, count: int) -> list[Delivery]:
        """So many deliveries and no more."""
        found: list[Delivery] = []
        while len(found) < count:
            found += await self.transport.receive()
        assert len(found) == count
        return found

    async def take(self, count: int) -> list[Delivery]:
        """The same, acknowledged."""
        found = await self.receive(count)
        self.transport.acknowledge(found)
        return found

    async def publish(self, *publications: Publication) -> list[str]:
        """The results, as words."""
        return [one.result.value for one in await self.transport.publish(publications)]

    async def processed(self) -> None:
        """The broker has read everything that this client has sent until now."""
        await self.publish(message("processed", qos=1))

    async def crash(self) -> None:
        """End without a goodbye."""
        self.running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.running


@contextlib.asynccontextmanager
async def client(place: Place, client_id: str, *, wait: bool = True, **options: Any) -> AsyncIterator[Client]:
    """A client of `place`, connected unless told not to wait, and closed at the end."""
    events: asyncio.Queue[ConnectionStatus] = asyncio.Queue()
    transport = place.transport(place.options(client_id, **options), events)
    one = Client(transport, events)
    try:
        if wait:
            await one.connected()
        yield one
    finally:
        await transport.close()
        if not one.running.cancelled():
            await asyncio.wait({one.running})
            if not one.running.cancelled():
                one.running.exception()


def message(topic: str, payload: bytes = b"", *, qos: int = 1, retain: bool = False, **properties: Any) -> Publication:
    return Publication(
        event_id=f"{topic}:{len(payload)}:{payload[:20]!r}",
        topic=topic,
        payload=payload,
        qos=qos,
        retain=retain,
        properties=Properties(**properties),
    )


def payloads(deliveries: Sequence[Delivery]) -> list[bytes]:
    return [delivery.message.payload for delivery in deliveries]
