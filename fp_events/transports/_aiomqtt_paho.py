"""paho's client with the places opened that aiomqtt and paho keep shut.

aiomqtt makes its paho client itself and takes no class for it, so `adopt` changes the class of the one it made.
"""

from __future__ import annotations

import socket
import ssl
import struct
from typing import Any, Literal, Protocol

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode

from ._aiomqtt_socket import BufferedSocket
from ._link import CONNECT_TIMEOUT
from ._publish_packet import Malformed, Publish, decode_publish
from ._reasons import UNSUPPORTED_PROTOCOL


class Hooks(Protocol):
    """Who is told."""

    #: Reason code of a CONNACK.
    connack: int | None

    def on_publish_packet(self, packet: Publish) -> None: ...
    def on_answer(self, packet_id: int, code: int) -> None: ...
    def on_ping_sent(self) -> None: ...
    def on_ping_answered(self) -> None: ...


class HookedPaho(mqtt.Client):
    """Never made, only adopted."""

    hooks: Hooks
    made: socket.socket | ssl.SSLSocket | None

    def _create_socket(self) -> Any:
        self.made = None
        try:
            return BufferedSocket(super()._create_socket())
        except BaseException:
            # paho leaves the socket of a failed handshake to the garbage collector.
            self._close_made()
            raise

    def _close_made(self) -> None:
        if self.made is not None:
            self.made.close()

    def _create_socket_connection(self) -> socket.socket:
        self.made = sock = super()._create_socket_connection()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
        assert self._ssl_context is not None
        # The context checks certificate and host name; paho's own second check needs a function gone since 3.12.
        self.made = sock = self._ssl_context.wrap_socket(
            tcp_sock, server_hostname=self._host, do_handshake_on_connect=False
        )
        sock.settimeout(CONNECT_TIMEOUT)
        sock.do_handshake()
        return sock

    def _send_pingreq(self) -> MQTTErrorCode:
        self.hooks.on_ping_sent()
        return super()._send_pingreq()

    def _handle_pingresp(self) -> MQTTErrorCode:
        self.hooks.on_ping_answered()
        return super()._handle_pingresp()

    def _handle_connack(self) -> MQTTErrorCode:
        body = self._in_packet["packet"]
        if self._protocol == mqtt.MQTTv311 and body[1:2] == b"\x01":
            # Unacceptable protocol version (MQTT 3.1.1, 3.2.2.3): paho calls nobody for this one.
            self.hooks.connack = UNSUPPORTED_PROTOCOL
        return super()._handle_connack()

    def _handle_publish(self) -> MQTTErrorCode:
        try:
            packet = decode_publish(
                self._in_packet["command"], self._in_packet["packet"], mqtt5=self._protocol == mqtt.MQTTv5
            )
        except Malformed:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        self.hooks.on_publish_packet(packet)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _handle_pubackcomp(self, cmd: Literal["PUBACK", "PUBCOMP"]) -> MQTTErrorCode:
        packet_id, code = self._answer()
        self._answered(packet_id, code)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _handle_pubrec(self) -> MQTTErrorCode:
        packet_id, code = self._answer()
        # A refusal ends the exchange (MQTT 5, 4.3.3); paho would go on and call it published.
        if code >= 0x80:
            self._answered(packet_id, code)
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        return self._send_pubrel(packet_id)

    def _handle_pubrel(self) -> MQTTErrorCode:
        # The message was handed out when it came; its PUBREC was our acknowledgement.
        packet_id, _ = self._answer()
        return self._send_pubcomp(packet_id)

    def _answer(self) -> tuple[int, int]:
        """Packet identifier and reason code (MQTT 5, 3.4.2; no reason code means success)."""
        body = self._in_packet["packet"]
        if len(body) < 2:
            return 0, 0
        (packet_id,) = struct.unpack_from("!H", body)
        return packet_id, body[2] if len(body) > 2 else 0

    def _answered(self, packet_id: int, code: int) -> None:
        self._out_messages.pop(packet_id, None)
        self.hooks.on_answer(packet_id, code)


def adopt(client: mqtt.Client, hooks: Hooks) -> HookedPaho:
    """Open `client`."""
    client.__class__ = HookedPaho
    assert isinstance(client, HookedPaho)
    client.hooks = hooks
    client.connect_timeout = CONNECT_TIMEOUT
    # 0: no limit. `Sender` bounds what is under way; paho's limit costs a scan of everything for each answer.
    client.max_inflight_messages = 0
    client.manual_ack_set(True)
    # What it would say of a lost connection is in our status.
    client.disable_logger()
    return client
