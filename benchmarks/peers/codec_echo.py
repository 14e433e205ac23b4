"""The mqtt5 codec in an asyncio protocol that sends each payload back: the limit of the client side."""

import asyncio
import sys

from mqtt5 import ConnAckPacket, ConnectPacket, PubAckPacket, PublishPacket, QoS, SubscribePacket, TopicFilter, read


class Echo(asyncio.Protocol):
    def __init__(self, closed: asyncio.Event) -> None:
        self._closed = closed
        self._rest = b""
        self._id = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(ConnectPacket("echo", clean_start=True, receive_max=1000).write())

    def connection_lost(self, error: Exception | None) -> None:
        self._closed.set()

    def data_received(self, data: bytes) -> None:
        view, out = memoryview(self._rest + data), []
        while view:
            try:
                packet, size = read(view)
            except IndexError:  # not whole yet
                break
            view = view[size:]
            if isinstance(packet, PublishPacket):
                self._id = self._id % 65_535 + 1
                out += (
                    PubAckPacket(packet.packet_id or 0).write(),
                    PublishPacket("out/echo", packet.payload, qos=QoS.AT_LEAST_ONCE, packet_id=self._id).write(),
                )
            elif isinstance(packet, ConnAckPacket):
                out.append(SubscribePacket(1, [TopicFilter("in/#", max_qos=QoS.AT_LEAST_ONCE)]).write())
        self._rest = bytes(view)
        if out:
            self._transport.write(b"".join(out))


async def main(port: int) -> None:
    closed = asyncio.Event()
    await asyncio.get_running_loop().create_connection(lambda: Echo(closed), "127.0.0.1", port)
    await closed.wait()


asyncio.run(main(int(sys.argv[1])))
