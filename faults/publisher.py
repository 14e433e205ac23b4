"""A publisher as a process of its own: numbered messages, and a log of what the broker took.

    python -m faults.publisher --port 1883 --log FILE --rate 300

A line of the log is ``<number> <reason code>``, written when PUBACK or PUBCOMP arrives. SIGTERM ends the stream: the
process waits for the acknowledgements that are missing, and goes.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

#: Messages are spread over so many keys.
KEYS = 4
#: Seconds that the last acknowledgements may take.
PATIENCE = 30


def identified(number: int) -> bool:
    """Every other message of a key carries a `message_id`: both kinds of identity are put to the test."""
    return number // KEYS % 2 == 0


class Publisher:
    """Publishes until it is told to stop; what has no answer is sent again on the next connection."""

    def __init__(self, port: int, log: Path, *, qos: int) -> None:
        self._log = log.open("a", buffering=1)
        self._qos = qos
        self._open: dict[int, int] = {}
        #: (mid, reason code), from the thread of the client, which may know of an answer before the publishing
        #: thread knows the mid.
        self._answers: deque[tuple[int, int]] = deque()
        #: What was open when the connection was lost may not yet have been sent again.
        self._broken = False
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"publisher-{port}", protocol=MQTTProtocolVersion.MQTTv5
        )
        self._client.max_inflight_messages_set(1000)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_publish = self._published
        self._client.on_disconnect = self._lost
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho has no annotation there
        session.SessionExpiryInterval = 3600
        self._client.connect("127.0.0.1", port, keepalive=10, clean_start=False, properties=session)
        self._client.loop_start()

    def stream(self, *, first: int, rate: float, count: int, stop: threading.Event) -> None:
        """`count` messages at `rate` a second, fewer where `stop` is set before."""
        started = time.monotonic()
        parent = os.getppid()
        for number in range(first, first + count):
            if os.getppid() != parent:
                return  # nobody is left who would end this
            if stop.wait(max(0.0, started + (number - first) / rate - time.monotonic())):
                return
            self._in_order(stop)
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # as above
            if identified(number):
                properties.UserProperty = ("message_id", str(number))
            topic, body = f"load/k{number % KEYS}", json.dumps({"i": number, "of": "faults"})
            sent = self._client.publish(topic, body, qos=self._qos, properties=properties)
            self._open[sent.mid] = number
            self._write()

    def _in_order(self, stop: threading.Event) -> None:
        """Wait for what is open from before the connection was lost: paho lets a new message overtake it."""
        while self._broken and not stop.wait(0.005):
            self._write()
            self._broken = bool(self._open) or not self._client.is_connected()

    def close(self) -> None:
        """Wait for acknowledgements, then go."""
        until = time.monotonic() + PATIENCE
        while self._open and time.monotonic() < until:
            time.sleep(0.01)
            self._write()
        self._client.disconnect()
        self._client.loop_stop()

    def _lost(self, *_: Any) -> None:
        self._broken = True

    def _published(self, _client: Any, _data: Any, mid: int, code: Any, _properties: Any) -> None:
        self._answers.append((mid, code.value))

    def _write(self) -> None:
        while self._answers:
            mid, code = self._answers.popleft()
            self._log.write(f"{self._open.pop(mid)} {code}\n")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--rate", type=float, default=300.0, help="messages a second")
    parser.add_argument("--count", type=int, default=10_000_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first message")
    parser.add_argument("--qos", type=int, default=1)
    given = parser.parse_args()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    publisher = Publisher(given.port, given.log, qos=given.qos)
    publisher.stream(first=given.first, rate=given.rate, count=given.count, stop=stop)
    publisher.close()


if __name__ == "__main__":
    main()
