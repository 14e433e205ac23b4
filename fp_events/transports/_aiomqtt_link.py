"""One connection: aiomqtt's client, its socket on the event loop, and what is under way on it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiomqtt
import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.exception import MQTTException

from fp_events.domain.message import Delivery, Message, Publication

from ._acks import Acknowledgements
from ._aiomqtt_paho import adopt
from ._aiomqtt_publish import Publish, encode_properties
from ._inbox import Inbox
from ._reasons import reason_name
from ._sender import CannotSend, Sender

#: Seconds between looks at the keepalive and at unconfirmed acknowledgements.
TICK = 1.0
#: Packets read before the loop gets its turn.
READ_BURST = 500
#: Unanswered publications where the broker names no Receive Maximum; some brokers stop at 100.
WINDOW = 100
#: Unanswered publications at most: packet identifiers must not come round while in use.
MAX_WINDOW = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the broker's CONNACK allows (MQTT 5, 3.2.2.3)."""

    session_present: bool = False
    receive_maximum: int = WINDOW
    maximum_qos: int = 2
    retain: bool = True
    #: Bytes of a packet; 0: no limit.
    maximum_packet: int = 0
    subscription_ids: bool = False

    @classmethod
    def of(cls, flags: Any, properties: Any, *, mqtt5: bool) -> Limits:
        if not mqtt5:
            return cls(session_present=bool(flags.session_present))
        known = vars(properties)
        return cls(
            session_present=bool(flags.session_present),
            receive_maximum=min(known.get("ReceiveMaximum", 65535), MAX_WINDOW),
            maximum_qos=known.get("MaximumQoS", 2),
            retain=bool(known.get("RetainAvailable", 1)),
            maximum_packet=known.get("MaximumPacketSize", 0),
            subscription_ids=bool(known.get("SubscriptionIdentifierAvailable", 1)),
        )


class Link:
    """A connection from its first packet to its end; never used again after."""

    def __init__(
        self,
        client: aiomqtt.Client,
        *,
        connection: int,
        inbox: Inbox,
        acks: Acknowledgements,
        numbers: Callable[[], int],
        note: Callable[[str], None],
        first_packet_id: int = 0,
    ) -> None:
        self.client = client
        self.connection = connection
        self.limits = Limits()
        #: CONNACK's reason code, once there is one.
        self.connack: int | None = None
        #: The reason code of the broker's DISCONNECT packet.
        self.goodbye: int | None = None
        self.reason = ""
        self.lost = asyncio.Event()
        self.sender: Sender | None = None
        self._inbox = inbox
        self._acks = acks
        self._numbers = numbers
        self._note = note
        self._probes: deque[int] = deque()
        self._loop = asyncio.get_running_loop()
        self._reading = False
        self._paused = False
        self._writing = False
        self._write_due = False
        self._over = False
        self._refusal = ""
        self._descriptor = -1
        #: When the socket last took or gave something.
        self._heard = self._loop.time()
        self._now: datetime | None = None
        self._began = 0.0
        #: Seconds from CONNACK to the end.
        self.lived = 0.0
        self._paho = paho = adopt(client._client, self)  # aiomqtt has no door to it
        self._mqtt5 = paho.protocol == mqtt.MQTTv5
        # Broker and client may still remember identifiers of the last connection (MQTT 5, 4.4).
        paho._last_mid = first_packet_id
        paho.on_connect = self._on_connect
        paho.on_disconnect = self._on_disconnect
        paho.on_socket_open = self._on_socket_open
        paho.on_socket_close = self._on_socket_close
        paho.on_socket_register_write = self._on_register_write
        paho.on_socket_unregister_write = None
        # aiomqtt's own tracking of publications is not used.
        paho.on_publish = None

    # -- life

    @property
    def last_packet_id(self) -> int:
        return self._paho._last_mid

    async def open(self) -> None:
        """Connect; returns after a positive CONNACK. Raises aiomqtt.MqttError."""
        try:
            await self.client.__aenter__()
        except BaseException:
            self.abort()
            raise

    async def disconnect(self) -> None:
        """Say goodbye, so that the broker drops the will."""
        with contextlib.suppress(aiomqtt.MqttError):
            await self.client.__aexit__(None, None, None)
        self.abort()

    def abort(self, reason: str = "the connection was closed") -> None:
        """Close the socket without a word."""
        self._over = True
        self._paho._sock_close()  # the only way to end without a DISCONNECT packet
        self._end(reason)

    async def tick(self) -> None:
        """Keepalive and probes, for as long as the connection lives."""
        paho = self._paho
        while not self._over:
            await asyncio.sleep(TICK)
            self._read()
            silence = self._loop.time() - self._heard
            patience = paho.keepalive / 2
            if self._paused:
                # The answer to our ping may be in what we do not read.
                paho._ping_t = 0.0  # a paused connection is not a dead one
            elif self._probes and silence > patience:
                self.abort("the connection was lost (the broker has not answered in time)")
                return
            elif not self._probes and (self._acks.unconfirmed or silence >= patience):
                paho._send_pingreq()  # paho has no door for a ping
            paho.loop_misc()

    # -- outward

    def acknowledge(self, burst: Sequence[Delivery]) -> None:
        for delivery in self._acks.acknowledge(burst):
            if delivery.message.qos == 2:
                self._paho._send_pubrec(delivery.packet_id)  # paho's `ack` skips to PUBCOMP
            else:
                self._paho.ack(delivery.packet_id, 1)

    def write(self, publication: Publication) -> int:
        """Queue a PUBLISH packet; its identifier."""
        qos, retain = self._allowed(publication)
        topic = publication.topic
        if not topic or "\0" in topic:
            raise CannotSend("the topic is empty or contains a NUL character")
        try:
            properties = encode_properties(publication.properties) if self._mqtt5 else None
            self._check_size(publication, properties)
            while True:
                info = self._paho.publish(topic, publication.payload, qos, retain, properties)
                if info.rc != MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
                    return info.mid if qos else 0
                # The identifier is in use by a publication unanswered for 65,535 others: take the next.
        except (ValueError, MQTTException) as error:
            raise CannotSend(str(error)) from error

    def _allowed(self, publication: Publication) -> tuple[int, bool]:
        qos, retain = publication.qos, publication.retain
        if qos > self.limits.maximum_qos:
            qos = self.limits.maximum_qos
            self._note(f"the broker takes QoS {qos} at most: publications above are sent at {qos}")
        if retain and not self.limits.retain:
            retain = False
            self._note("the broker does not retain messages: retained publications are sent without the flag")
        return qos, retain

    def _check_size(self, publication: Publication, properties: Any) -> None:
        limit = self.limits.maximum_packet
        if not limit:
            return
        # Fixed header 5, topic length 2, packet identifier 2 (MQTT 5, 3.3), properties at least 1.
        size = 9 + len(publication.topic.encode()) + len(publication.payload)
        size += len(properties.pack()) if properties is not None else 1
        if size > limit:
            raise CannotSend(f"packet too large: {size} bytes, the broker takes {limit}")

    # -- hooks of paho, on the loop

    def on_publish_packet(self, packet: Publish) -> None:
        if self._now is None:
            self._now = datetime.now(UTC)
        message = Message(
            topic=packet.topic,
            payload=packet.payload,
            qos=packet.qos,
            retain=packet.retain,
            properties=packet.properties,
            received_at=self._now,
        )
        delivery = Delivery(
            message=message,
            number=self._numbers(),
            connection=self.connection,
            packet_id=packet.packet_id,
            duplicate=packet.duplicate,
            subscription_ids=packet.subscription_ids,
        )
        self._acks.received(delivery)
        self._inbox.put(delivery)

    def on_answer(self, packet_id: int, code: int) -> None:
        self._refusal = f" after it refused a publication ({reason_name(code)})" if code >= 0x80 else ""
        if self.sender is not None:
            self.sender.answer(packet_id, code)

    def on_ping_sent(self) -> None:
        self._probes.append(self._acks.mark())

    def on_ping_answered(self) -> None:
        if self._probes:
            self._acks.answered(self._probes.popleft())

    def _on_connect(self, client: mqtt.Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        self.connack = reason.value
        if not reason.is_failure:
            self._began = self._loop.time()
            self.limits = Limits.of(flags, properties, mqtt5=self._mqtt5)
            self._acks.begin(self.connection)
            self._inbox.release(session_present=self.limits.session_present)
            self.sender = Sender(
                self.limits.receive_maximum, write=self.write, mark=self._acks.mark, answered=self._acks.answered
            )
        self.client._on_connect(client, userdata, flags, reason, properties)  # the hook we took

    def _on_disconnect(self, client: mqtt.Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if flags.is_disconnect_packet_from_server and reason is not None:
            self.goodbye = reason.value
            self._end(f"the broker closed the connection ({reason_name(reason.value)})")
        else:
            words = "the broker has not answered in time" if "alive" in str(reason) else "closed by the other side"
            # Mosquitto 2.0 sends the refusal and then closes (its issue 2579).
            self._end(f"the connection was lost ({words}{self._refusal})")

    def _end(self, reason: str) -> None:
        if self.lost.is_set():
            return
        self._over = True
        self.reason = reason
        if self._began:
            self.lived = self._loop.time() - self._began
        self.lost.set()
        # aiomqtt would leave errors in these that nobody takes, or wait for what can no longer come.
        connected, disconnected = self.client._connected, self.client._disconnected
        if not connected.done():
            connected.set_exception(aiomqtt.MqttError("the broker closed the connection without an answer"))
            connected.exception()
        if not disconnected.done():
            disconnected.set_result(None)
        if self.sender is not None:
            self.sender.lost()
        self._inbox.hold()

    # -- the socket; `_on_socket_open` and `_on_register_write` may be called by the thread that connects

    def _on_socket_open(self, client: mqtt.Client, userdata: Any, sock: Any) -> None:
        self._loop.call_soon_threadsafe(self._opened, sock)

    def _opened(self, sock: Any) -> None:
        if self._over:
            sock.close()
            return
        self._descriptor = sock.fileno()
        self._resume()

    def _on_socket_close(self, client: mqtt.Client, userdata: Any, sock: Any) -> None:
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            self._loop.remove_writer(self._descriptor)
            self._descriptor = -1

    def _on_register_write(self, client: mqtt.Client, userdata: Any, sock: Any) -> None:
        if not self._write_due:
            self._write_due = True
            self._loop.call_soon_threadsafe(self._write)

    def resume(self) -> None:
        """There is room again for what arrives."""
        if self._paused:
            self._paused = False
            self._loop.call_soon(self._resume)

    def _resume(self) -> None:
        if self._descriptor >= 0 and not self._reading:
            self._reading = True
            self._loop.add_reader(self._descriptor, self._readable)
            self._readable()

    def _readable(self) -> None:
        self._heard = self._loop.time()
        self._read()

    def _read(self) -> None:
        """Read packets until the socket is empty, the inbox full, or it is somebody else's turn."""
        paho = self._paho
        self._now = None
        for _ in range(READ_BURST):
            sock = paho._sock  # `socket()` takes a lock
            if sock is None or self._over:
                return
            if self._inbox.full:
                self._pause()
                return
            try:
                paho.loop_read()
            except Exception as error:  # noqa: BLE001 - a packet that paho stumbles over must not stall the connection
                self.abort(f"the connection was given up over a packet ({error})")
                return
            if sock.blocked:  # type: ignore[attr-defined]  # it is a BufferedSocket
                return
        # What the buffer holds does not make the socket readable.
        self._loop.call_soon(self._read)

    def _pause(self) -> None:
        """Stop reading: TCP tells the broker to wait."""
        self._paused = True
        if self._reading and self._descriptor >= 0:
            self._reading = False
            self._loop.remove_reader(self._descriptor)

    def _write(self) -> None:
        self._write_due = False
        paho = self._paho
        while (sock := paho._sock) is not None and not self._over:
            paho.loop_write()
            if paho._sock is None:
                return
            try:
                flushed = sock.flush()  # type: ignore[attr-defined]  # it is a BufferedSocket
            except OSError:
                paho._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)  # what `loop_write` does
                return
            self._heard = self._loop.time()
            self._watch_writable(not flushed)
            if not flushed:
                return
            if not paho.want_write():
                if self.sender is not None:
                    self.sender.flushed()
                return

    def _watch_writable(self, wanted: bool) -> None:
        if wanted != self._writing and self._descriptor >= 0:
            self._writing = wanted
            if wanted:
                self._loop.add_writer(self._descriptor, self._write)
            else:
                self._loop.remove_writer(self._descriptor)
