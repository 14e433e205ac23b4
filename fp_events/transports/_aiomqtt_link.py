"""One connection: aiomqtt's client and what is under way on it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import aiomqtt
import paho.mqtt.client as mqtt

from fp_events.domain.message import Delivery, Message, Subscription

from ._acks import Acknowledgements
from ._aiomqtt_outgoing import Outgoing, limits_of
from ._aiomqtt_paho import adopt
from ._aiomqtt_pump import Pump
from ._aiomqtt_subscribe import subscribe, unsubscribe
from ._errors import NoWebSocket
from ._hang_ups import HangUps
from ._inbox import Inbox
from ._limits import Limits
from ._link import NoAnswer, NoConnection
from ._publish_packet import Publish
from ._reasons import reason_name
from ._sender import Sender

#: Seconds between looks at the keepalive and at unconfirmed acknowledgements.
TICK = 1.0


class AiomqttLink:
    """See `Link`."""

    def __init__(
        self,
        client: aiomqtt.Client,
        *,
        connection: int,
        inbox: Inbox,
        acks: Acknowledgements,
        numbers: Callable[[], int],
        note: Callable[[str], None],
        hang_ups: HangUps,
        first_packet_id: int = 0,
    ) -> None:
        self.client = client
        self.connection = connection
        self.limits = Limits()
        self.connack: int | None = None
        self.goodbye: int | None = None
        self.reason = ""
        self.lost = asyncio.Event()
        self.sender: Sender | None = None
        self._inbox = inbox
        self._acks = acks
        self._numbers = numbers
        self._note = note
        self._hang_ups = hang_ups
        self._probes: deque[int] = deque()
        self._loop = asyncio.get_running_loop()
        self.refusal = ""
        #: Time of arrival, one for a burst of reading, and which burst.
        self._now = datetime.now(UTC)
        self._turn = -1
        self._began = 0.0
        self.lived = 0.0
        self.assigned_client_id = ""
        self._paho = paho = adopt(client._client, self)  # aiomqtt has no door to it
        self._mqtt5 = paho.protocol == mqtt.MQTTv5
        # Broker and client may still remember identifiers of the last connection (MQTT 5, 4.4).
        paho._last_mid = first_packet_id
        paho.on_connect = self._on_connect
        paho.on_disconnect = self._on_disconnect
        # aiomqtt's own tracking of publications is not used.
        paho.on_publish = None
        self._pump = Pump(paho, inbox, flushed=self._flushed, failed=self.abort)

    # -- life

    @property
    def last_packet_id(self) -> int:
        """See `Link.last_packet_id`."""
        return self._paho._last_mid

    async def open(self) -> None:
        """See `Link.open`."""
        try:
            await self.client.__aenter__()
        except aiomqtt.MqttError as error:
            self.abort()
            raise NoConnection from _cause(error)
        except BaseException:
            self.abort()
            raise

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """See `Link.unsubscribe`."""
        try:
            await unsubscribe(self.client, filters)
        except aiomqtt.MqttError as error:
            raise NoAnswer(str(error)) from error

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> Mapping[str, int]:
        """See `Link.subscribe`."""
        try:
            identifiers = self.limits.subscription_ids
            return await subscribe(self.client, subscriptions, mqtt5=self._mqtt5, identifiers=identifiers)
        except aiomqtt.MqttError as error:
            raise NoAnswer(str(error)) from error

    async def disconnect(self) -> None:
        """See `Link.disconnect`."""
        with contextlib.suppress(aiomqtt.MqttError):
            await self.client.__aexit__(None, None, None)
        self.abort()

    def abort(self, reason: str = "the connection was closed") -> None:
        """See `Link.abort`."""
        self._pump.over = True
        self._paho._sock_close()  # the only way to end without a DISCONNECT packet
        self._end(reason)

    async def live(self) -> None:
        """Keepalive and probes."""
        paho, pump = self._paho, self._pump
        while not pump.over:
            await asyncio.sleep(TICK)
            pump.read()
            silence, patience = pump.silence, paho.keepalive / 2
            if pump.paused:
                # The answer to our ping may be in what we do not read.
                paho._ping_t = 0.0  # a paused connection is not a dead one
            elif self._probes and silence > patience:
                self.abort("the connection was lost (the broker has not answered in time)")
                return
            elif not self._probes and (self._acks.unconfirmed or silence >= patience):
                paho._send_pingreq()  # paho has no door for a ping
            paho.loop_misc()

    # -- outward

    def has_room(self) -> None:
        """See `Link.has_room`."""
        self._pump.resume()

    def acknowledge(self, burst: Sequence[Delivery]) -> None:
        """See `Link.acknowledge`."""
        for delivery in self._acks.acknowledge(burst):
            if delivery.message.qos == 2:
                self._paho._send_pubrec(delivery.packet_id)  # paho's `ack` skips to PUBCOMP
            else:
                self._paho.ack(delivery.packet_id, 1)

    # -- hooks of paho, on the loop

    def on_publish_packet(self, packet: Publish) -> None:
        if self._turn != self._pump.turn:
            self._turn, self._now = self._pump.turn, datetime.now(UTC)
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
        self.refusal = f" after it refused a publication ({reason_name(code)})" if code >= 0x80 else ""
        if self.sender is not None:
            self.sender.answer(packet_id, code)
            self.sender.pump()

    def _flushed(self) -> None:
        if self.sender is not None:
            self.sender.flushed()

    def on_ping_sent(self) -> None:
        self._probes.append(self._acks.mark())

    def on_ping_answered(self) -> None:
        if self._probes:
            self._acks.answered(self._probes.popleft())

    def _on_connect(self, client: mqtt.Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        self.connack = reason.value
        if not reason.is_failure:
            self._began = self._loop.time()
            self.limits = limits_of(flags, properties, mqtt5=self._mqtt5)
            self._acks.begin(self.connection)
            self._inbox.release(session_present=self.limits.session_present)
            hang_ups = None if self._mqtt5 else self._hang_ups
            outgoing = Outgoing(self._paho, self.limits, mqtt5=self._mqtt5, note=self._note, hang_ups=hang_ups)
            self.sender = Sender(self.limits.receive_maximum, outgoing, self._acks, {})
        self.client._on_connect(client, userdata, flags, reason, properties)  # the hook we took

    def _on_disconnect(self, client: mqtt.Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if flags.is_disconnect_packet_from_server and reason is not None:
            self.goodbye = reason.value
            self._end(f"the broker closed the connection ({reason_name(reason.value)})")
        else:
            silent = "alive" in str(reason)
            words = "the broker has not answered in time" if silent else "closed by the other side"
            if self.sender is not None and not silent and not self.lost.is_set():
                self._hang_ups.hung_up(self.sender.unanswered())
            # Mosquitto 2.0 sends the refusal and then closes (its issue 2579).
            self._end(f"the connection was lost ({words}{self.refusal})")

    def _end(self, reason: str) -> None:
        if self.lost.is_set():
            return
        self._pump.over = True
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


def _cause(error: aiomqtt.MqttError) -> Exception:
    """aiomqtt hides the cause in the context of its own error."""
    match error.__context__:
        case OSError() as cause:
            return cause
        case mqtt.WebsocketConnectionError() as cause:
            return NoWebSocket(str(cause))
    return error
