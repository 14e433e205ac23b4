"""A broker that does what the test says: what no broker at hand does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Literal, TypeVar

import mqtt5
from mqtt5 import (
    ConnAckPacket,
    ConnectPacket,
    PingReqPacket,
    PubAckPacket,
    PublishPacket,
    QoS,
    SubAckPacket,
    SubAckReasonCode,
    SubscribePacket,
    UnsubAckPacket,
    UnsubAckReasonCode,
    UnsubscribePacket,
)

from fp_events.domain.connection import ConnectOptions
from fp_events.domain.message import ConnectionStatus
from fp_events.domain.ports import ReceivedIds, Transport
from fp_events.transports.aiomqtt import AiomqttTransport
from fp_events.transports.mqtt5 import Mqtt5Transport

P = TypeVar("P")


class Peer:
    """The broker's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._rest = b""

    async def next(self) -> Any:
        """The next packet; None at the end of the connection."""
        while True:
            with contextlib.suppress(IndexError):
                packet, size = mqtt5.read(memoryview(self._rest))
                self._rest = self._rest[size:]
                return packet
            try:
                data = await self._reader.read(65_536)
            except ConnectionError:
                data = b""
            if not data:
                return None
            self._rest += data

    async def expect(self, kind: type[P]) -> P:
        """The next packet, which has to be of this kind; pings are answered on the way."""
        while isinstance(packet := await self.next(), PingReqPacket) and kind is not PingReqPacket:
            self.send(mqtt5.PingRespPacket())
        assert isinstance(packet, kind), f"{packet} instead of {kind}"
        return packet

    def send(self, *packets: Any) -> None:
        """In one piece."""
        self._writer.write(b"".join(packet if isinstance(packet, bytes) else packet.write() for packet in packets))

    async def accept(self, **limits: Any) -> ConnectPacket:
        """Take CONNECT and answer it."""
        connect = await self.expect(ConnectPacket)
        self.send(ConnAckPacket(**limits))
        return connect

    async def grant(self) -> SubscribePacket:
        """Take a SUBSCRIBE and grant it."""
        packet = await self.expect(SubscribePacket)
        self.send(SubAckPacket(packet.packet_id, [SubAckReasonCode(int(one.max_qos)) for one in packet.topic_filters]))
        return packet

    async def leave(self) -> None:
        """Close without a word."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def cut(self) -> None:
        """Close with a reset."""
        self._writer.transport.abort()

    async def answer(self) -> None:
        """Grant, confirm and answer everything until the end."""
        while (packet := await self.next()) is not None:
            match packet:
                case SubscribePacket():
                    self.send(SubAckPacket(packet.packet_id, [SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE]))
                case UnsubscribePacket():
                    self.send(UnsubAckPacket(packet.packet_id, [UnsubAckReasonCode.SUCCESS]))
                case PublishPacket() if packet.qos is QoS.AT_LEAST_ONCE and packet.packet_id:
                    self.send(PubAckPacket(packet.packet_id))
                case PingReqPacket():
                    self.send(mqtt5.PingRespPacket())


Script = Callable[[Peer], Awaitable[None]]


class ScriptedPlace:
    """A `Place` whose broker runs the scripts, one for each connection, the last for all that follow."""

    mqtt5 = True
    most = 2

    def __init__(self, port: int, library: Literal["mqtt5", "aiomqtt"], received_ids: ReceivedIds | None) -> None:
        self.port = port
        self._library = library
        self._received_ids = received_ids
        #: What a script has found wrong, raised at the end of the test.
        self.errors: list[BaseException] = []
        self.connections = 0

    def options(self, client_id: str, **others: Any) -> ConnectOptions:
        return ConnectOptions(**{"host": "127.0.0.1", "port": self.port, "client_id": client_id, **others})

    def transport(self, options: ConnectOptions, events: asyncio.Queue[ConnectionStatus]) -> Transport:
        if self._library == "aiomqtt":
            return AiomqttTransport(options, on_connection=events.put_nowait)
        return Mqtt5Transport(options, on_connection=events.put_nowait, received_ids=self._received_ids)

    async def stop(self) -> None:
        raise AssertionError("a script stops itself")

    kill = start = stop


@contextlib.asynccontextmanager
async def scripted(
    *scripts: Script,
    library: Literal["mqtt5", "aiomqtt"] = "mqtt5",
    received_ids: ReceivedIds | None = None,
    address: str = "127.0.0.1",
) -> AsyncIterator[ScriptedPlace]:
    """A server that runs `scripts`; a failed assertion in one fails the test."""
    writers: list[asyncio.StreamWriter] = []
    tasks: set[asyncio.Task[Any]] = set()

    owner = asyncio.current_task()
    assert owner is not None

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        script = scripts[min(place.connections, len(scripts) - 1)]
        place.connections += 1
        try:
            await script(Peer(reader, writer))
        except Exception as error:  # noqa: BLE001 - whatever it is, the test has to hear of it
            place.errors.append(error)
            owner.cancel()  # the test may wait for what now never comes

    server = await asyncio.start_server(serve, address, 0)
    place = ScriptedPlace(server.sockets[0].getsockname()[1], library, received_ids)
    try:
        yield place
    except asyncio.CancelledError:
        if not place.errors:
            raise
        owner.uncancel()
    finally:
        server.close()
        for writer in writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        await asyncio.gather(*tasks, return_exceptions=True)
    if place.errors:
        raise place.errors[0]
