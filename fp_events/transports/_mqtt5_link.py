"""One connection: the socket, the handshake and what is under way."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import anyio
import mqtt5

from fp_events.domain.connection import ConnectOptions
from fp_events.domain.message import Delivery, Subscription

from ._acks import Acknowledgements
from ._inbox import Inbox
from ._limits import Limits
from ._link import ANSWER_TIMEOUT, NoConnection
from ._mqtt5_once import Once
from ._mqtt5_output import HIGH_WATER, PacketIds, PublishOutput
from ._mqtt5_packets import connect_packet, largest_packet, limits_of
from ._mqtt5_reader import PUBREC, PUBREL, ProtocolViolation, Reader, Seen
from ._mqtt5_requests import Answers, Requests
from ._mqtt5_socket import LAST_WORD, connect
from ._reasons import IMPLEMENTATION_ERROR, PROTOCOL_ERROR, reason_name
from ._sender import Item, Sender

#: Bytes read from the socket at a time.
READ = 256 * 1024
#: Seconds between looks at the keepalive and at unconfirmed acknowledgements, at most.
TICK = 1.0
#: A packet of four bytes as a number, without its packet identifier (MQTT 5, 3.4: two bytes of body, success).
_PUBACK, _PUBREC, _PUBREL, _PUBCOMP = 0x40020000, 0x50020000, 0x62020000, 0x70020000
_PINGREQ = b"\xc0\0"


class Mqtt5Link(asyncio.BufferedProtocol):
    """See `Link`. What is queued for the socket in one turn of the loop is written at once."""

    def __init__(
        self,
        options: ConnectOptions,
        context: ssl.SSLContext | None,
        *,
        connection: int,
        inbox: Inbox,
        acks: Acknowledgements,
        numbers: Callable[[], int],
        note: Callable[[str], None],
        first_packet_id: int,
        seen: Seen,
        once: Once,
        released: dict[int, Item],
    ) -> None:
        self.connection = connection
        self.limits = Limits()
        self.connack: int | None = None
        self.goodbye: int | None = None
        self.reason = ""
        self.lost = asyncio.Event()
        self.sender: Sender | None = None
        self.lived = 0.0
        self.assigned_client_id = ""
        self._options = options
        self._context = context
        self._connect_packet = b""
        self._inbox = inbox
        self._acks = acks
        self._note = note
        self._once = once
        #: QoS 2 publications that the broker has taken on an earlier connection.
        self._released = released
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._closed = asyncio.Event()
        self._buffer = bytearray(READ)
        self._view = memoryview(self._buffer)
        self._reader = Reader(self, connection=connection, numbers=numbers, maximum=largest_packet(options), seen=seen)
        self._paused = False
        self._out: list[bytes] = []
        self._write_due = False
        self._output: PublishOutput | None = None
        self._answered = False
        self.refusal = ""
        self._under_way: dict[int, Item] = {}
        answers: Answers = {}
        self._ids = PacketIds(first_packet_id, self._under_way, answers, released)
        self._requests = Requests(answers, self._ids, queue=self._queue, silence=self._silence)
        self._connecting: asyncio.Future[None] = self._loop.create_future()
        self._probes: deque[int] = deque()
        self._keepalive = float(options.keepalive)
        self._heard = self._spoke = self._loop.time()
        self._began = 0.0
        #: QoS 2 messages that were delivered and not acknowledged.
        self._open: set[int] = set()
        #: Released and not forgotten yet; each once, however often the broker says so.
        self._to_forget: dict[int, None] = {}
        self._release_due = asyncio.Event()

    # -- life

    @property
    def last_packet_id(self) -> int:
        """See `Link.last_packet_id`."""
        return self._ids.last

    async def open(self) -> None:
        """See `Link.open`."""
        try:
            self._connect_packet = connect_packet(self._options)
            await connect(self._options, self._context, self)
            async with asyncio.timeout(ANSWER_TIMEOUT):
                await self._connecting
        except (OSError, ValueError) as error:  # ValueError: a host name or a text that cannot be encoded
            self.abort()
            raise NoConnection from error
        except BaseException:
            self.abort()
            raise
        if not self.limits.session_present:
            await self._once.clear()

    async def disconnect(self) -> None:
        """See `Link.disconnect`."""
        if self._transport is not None and not self.lost.is_set():
            self._last_word(mqtt5.DisconnectPacket().write())
        self._end("the connection was closed")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORD):
                await self._closed.wait()
        self.abort()

    def abort(self, reason: str = "the connection was closed") -> None:
        """See `Link.abort`."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.abort()
        self._end(reason)

    def _give_up(self, code: int, words: str) -> None:
        """The peer does what it must not: say so and end."""
        self._last_word(mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode(code)).write())
        if self.connack is None:
            self._end("what answers there does not speak MQTT 5")
        else:
            self._end(f"the connection was given up over a packet ({words})")

    def _last_word(self, packet: bytes) -> None:
        transport = self._transport
        assert transport is not None
        self._out.append(packet)
        self._write()
        transport.close()
        # A peer that reads nothing does not keep the socket.
        self._loop.call_later(LAST_WORD, transport.abort)

    def _end(self, reason: str) -> None:
        if self.lost.is_set():
            return
        self.reason = reason
        if self._began:
            self.lived = self._loop.time() - self._began
        self.lost.set()
        self._out.clear()
        if not self._connecting.done():
            self._connecting.set_exception(NoConnection(reason))
            self._connecting.exception()
        self._requests.lost(reason)
        if self.sender is not None:
            self._released.update(self.sender.lost())
        self._inbox.hold()

    async def live(self) -> None:
        """Keepalive, probes, and QoS 2 messages that the broker releases."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._complete, name="mqtt-release")
            await self._tick()
            tasks.cancel_scope.cancel()

    async def _tick(self) -> None:
        patience = self._keepalive / 2 if self._keepalive else float("inf")
        while not self.lost.is_set():
            await asyncio.sleep(min(TICK, patience / 4))
            now = self._loop.time()
            silence = now - self._heard
            if self._probes and silence > patience and not self._paused:
                self.abort("the connection was lost (the broker has not answered in time)")
            elif now - self._spoke >= patience or (
                not self._probes and (self._acks.unconfirmed or silence >= patience)
            ):
                self._ping()

    def _ping(self) -> None:
        self._probes.append(self._acks.mark())
        self._queue(_PINGREQ)

    # -- asyncio's protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        self._transport = cast("asyncio.Transport", transport)
        if self.lost.is_set():
            self._transport.abort()
            return
        # Paused and resumed then say whether the socket has taken everything.
        self._transport.set_write_buffer_limits(high=0)
        self._heard = self._loop.time()
        self._queue(self._connect_packet)

    def get_buffer(self, sizehint: int) -> memoryview:
        """See `asyncio.BufferedProtocol`."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """See `asyncio.BufferedProtocol`."""
        self._heard = self._loop.time()
        self._read(bytes(self._view[:nbytes]))

    def eof_received(self) -> None:
        """The other side closes: asyncio closes ours."""

    def connection_lost(self, exc: BaseException | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self._closed.set()
        if not self._connecting.done() and not self.lost.is_set():
            words = "the broker closed the connection without an answer"
            self._connecting.set_exception(exc if isinstance(exc, ssl.SSLError) else NoConnection(words))
            self._connecting.exception()
        # Mosquitto 2.0 sends the refusal and then closes (its issue 2579).
        self._end(f"the connection was lost (closed by the other side{self.refusal})")

    def pause_writing(self) -> None:
        """See `resume_writing`."""

    def resume_writing(self) -> None:
        """The socket has taken everything."""
        if self.lost.is_set():
            return
        self._flushed()
        self._resume()

    # -- inward

    def has_room(self) -> None:
        """See `Link.has_room`."""
        if self._paused:
            self._loop.call_soon(self._resume)

    def _resume(self) -> None:
        if self._paused and not self.lost.is_set():
            self._read(b"")

    def _read(self, data: bytes) -> None:
        if self.lost.is_set():
            return
        try:
            self._reader.feed(data, self._inbox.room)
            if self._answered and self.sender is not None:
                self._answered = False
                self.sender.pump()
        except ProtocolViolation as violation:
            self._give_up(violation.code, str(violation))
        except Exception as error:  # noqa: BLE001 - a packet that we stumble over must not stall the connection
            self._give_up(IMPLEMENTATION_ERROR, repr(error))
        else:
            self._pause(self._reader.stalled or self._inbox.full or self._waiting_bytes() > HIGH_WATER)

    def _pause(self, wanted: bool) -> None:
        """Stop reading: TCP tells the broker to wait."""
        transport = self._transport
        if wanted == self._paused or transport is None or self.lost.is_set():
            return
        self._paused = wanted
        if wanted:
            transport.pause_reading()
        else:
            # Its answer to our ping may be in what was not read.
            self._heard = self._loop.time()
            transport.resume_reading()

    def on_deliveries(self, burst: list[Delivery], size: int) -> None:
        """See `Receiver`."""
        self._acks.received_all(burst)
        self._inbox.put_all(burst, size)

    def is_repeated(self, packet_id: int, duplicate: bool) -> bool:
        """See `Receiver`."""
        if duplicate and packet_id in self._open:
            return True  # its PUBREC is still to come
        if self._once.is_held(packet_id, duplicate=duplicate):
            self._queue(struct.pack("!I", _PUBREC | packet_id))
            return True
        self._open.add(packet_id)
        return False

    def on_confirmed(self, packet_ids: list[int]) -> None:
        """See `Receiver`."""
        if self.sender is None:
            raise ProtocolViolation(PROTOCOL_ERROR, "an acknowledgement before the CONNACK")
        self.refusal = ""
        self._answered = True
        self.sender.confirm(packet_ids)

    def on_answer(self, kind: int, packet_id: int, code: int) -> None:
        """See `Receiver`."""
        sender = self.sender
        if sender is None:
            raise ProtocolViolation(PROTOCOL_ERROR, "an acknowledgement before the CONNACK")
        if kind == PUBREL:
            self._to_forget[packet_id] = None
            self._release_due.set()
        elif kind == PUBREC and code < 0x80:
            if sender.release(packet_id):
                self._queue(struct.pack("!I", _PUBREL | packet_id))
            else:
                reason = mqtt5.PubRelReasonCode.PACKET_ID_NOT_FOUND
                self._queue(mqtt5.PubRelPacket(packet_id, reason_code=reason).write())
        else:
            self.refusal = f" after it refused a publication ({reason_name(code)})" if code >= 0x80 else ""
            self._answered = True
            sender.answer(packet_id, code)

    async def _complete(self) -> None:
        """Answer PUBREL: what is released is forgotten first."""
        while True:
            await self._release_due.wait()
            self._release_due.clear()
            packet_ids, self._to_forget = list(self._to_forget), {}
            await self._once.forget(packet_ids)
            self._queue(_answers([_PUBCOMP | packet_id for packet_id in packet_ids]))

    def on_packet(self, packet: mqtt5.Packet) -> None:
        """See `Receiver`."""
        match packet:
            case mqtt5.ConnAckPacket() if self.connack is None:
                self._on_connack(packet)
            case mqtt5.SubAckPacket() | mqtt5.UnsubAckPacket():
                self._requests.answered(packet.packet_id, [int(code) for code in packet.reason_codes])
            case mqtt5.PingRespPacket():
                if self._probes:
                    self._acks.answered(self._probes.popleft())
            case mqtt5.DisconnectPacket():
                self.goodbye = int(packet.reason_code)
                self._end(f"the broker closed the connection ({reason_name(self.goodbye)})")
                assert self._transport is not None
                self._transport.close()
            case _:
                name = type(packet).__name__.removesuffix("Packet").upper()
                raise ProtocolViolation(PROTOCOL_ERROR, f"a packet out of place: {name}")

    def _on_connack(self, packet: mqtt5.ConnAckPacket) -> None:
        self.connack = int(packet.reason_code)
        if self.connack:
            assert self._transport is not None
            self._transport.close()
            self._end("the broker refused the connection")
            return
        self.limits = limits_of(packet)
        self.assigned_client_id = packet.assigned_client_id or ""
        if packet.server_keep_alive is not None:
            self._keepalive = float(packet.server_keep_alive)
        granted = packet.session_expiry_interval
        if granted is not None and granted < self._options.session_expiry:
            wanted = self._options.session_expiry
            self._note(
                f"the broker keeps our session for {granted} seconds, not for {wanted}: what waits longer is lost"
            )
        self._began = self._loop.time()
        self._acks.begin(self.connection)
        self._inbox.release(session_present=packet.session_present)
        self._output = PublishOutput(self.limits, self._ids, queue=self._queue, note=self._note)
        self.sender = Sender(self.limits.receive_maximum, self._output, self._acks, self._under_way)
        self._release_again()
        self._connecting.set_result(None)

    def _release_again(self) -> None:
        """What the broker had taken at QoS 2: release it once more (MQTT 5, 4.4), or take it for unknown."""
        assert self.sender is not None
        packet_ids = list(self._released)
        self.sender.adopt(self._released)
        self._released.clear()
        if self.limits.session_present:
            self._queue(_answers([_PUBREL | packet_id for packet_id in packet_ids]))
        else:
            self.sender.disown(packet_ids)

    # -- outward

    def acknowledge(self, burst: Sequence[Delivery]) -> None:
        """See `Link.acknowledge`."""
        ready = self._acks.acknowledge(burst)
        if not ready:
            return
        answers = []
        for delivery in ready:
            if delivery.message.qos == 2:
                self._open.discard(delivery.packet_id)
                self._once.acknowledged(delivery.packet_id)
                answers.append(_PUBREC | delivery.packet_id)
            else:
                answers.append(_PUBACK | delivery.packet_id)
        self._queue(_answers(answers))

    def _queue(self, data: bytes) -> None:
        """Write with all else of this turn of the loop."""
        self._out.append(data)
        if not self._write_due:
            self._write_due = True
            self._loop.call_soon(self._write)

    def _write(self) -> None:
        self._write_due = False
        transport = self._transport
        if not self._out or transport is None or transport.is_closing():
            return
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        self._spoke = self._loop.time()
        transport.write(data)
        if not transport.get_write_buffer_size():
            self._flushed()

    def _waiting_bytes(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def _flushed(self) -> None:
        sender, output = self.sender, self._output
        if sender is not None and output is not None:
            sender.flushed()
            if output.full:
                output.full = False
                sender.pump()

    # -- requests

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """See `Link.unsubscribe`."""
        await self._requests.unsubscribe(filters)

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> Mapping[str, int]:
        """See `Link.subscribe`."""
        return await self._requests.subscribe(subscriptions, self.limits)

    def _silence(self) -> float:
        """Seconds without a byte from the broker, as far as we read."""
        return 0.0 if self._paused else self._loop.time() - self._heard


def _answers(packets: list[int]) -> bytes:
    """Packets of four bytes."""
    return struct.pack(f"!{len(packets)}I", *packets)
