"""Load: publishes readings at QoS 1 as fast as the broker takes them, or at a steady pace; a process of its own.

python -m benchmarks.generator --port 1883 --count 20000 [--rate 1000] [--out FILE]

Packets are encoded before the first is sent. Prints one JSON object; `--out` gets the time at which each was sent,
in seconds of the monotonic clock, as doubles.
"""

from __future__ import annotations

import argparse
import itertools
import json
import select
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from socket import socket

from . import wire

#: Beyond this many bytes packets are encoded as they go, which costs about 1 us each.
AHEAD = 256 * 1024 * 1024
#: Bytes of PUBACKs read at a time.
READ = 65_536
#: Seconds between two looks at the acknowledgements in a burst: many at a time, and the processor is left to others.
NAP = 0.0005


class Publisher:
    """Sends packets and counts the acknowledgements; at most `window` are unanswered."""

    def __init__(self, link: socket, packets: Iterator[bytes], *, count: int, window: int) -> None:
        self._link = link
        self._packets = packets
        self._count = count
        self._window = window
        self._bytes = 0
        self.sent = array("d")

    @property
    def acknowledged(self) -> int:
        """PUBACKs, of four bytes each in MQTT 3.1.1."""
        return self._bytes // 4

    def send(self, due: int) -> None:
        """Send those of the first `due` that are left and have room in the window."""
        done = len(self.sent)
        room = min(due, self._count, self.acknowledged + self._window) - done
        if room > 0:
            burst = b"".join(itertools.islice(self._packets, room))
            self.sent.extend([time.monotonic()] * room)
            self._link.sendall(burst)

    def hear(self, wait: float) -> None:
        """Read acknowledgements, waiting for the first up to `wait` seconds."""
        if select.select((self._link,), (), (), wait)[0]:
            data = self._link.recv(READ)
            if not data:
                raise SystemExit("the broker closed the connection of the load generator")
            self._bytes += len(data)

    def burst(self, until: float) -> None:
        """As fast as the broker answers, up to the time `until`."""
        while self.acknowledged < self._count and time.monotonic() < until:
            self.send(self._count)
            self.hear(1.0)
            time.sleep(NAP)

    def paced(self, rate: float, until: float) -> None:
        """On an absolute schedule: what is late is sent at once, and nothing moves what comes after."""
        started = time.monotonic()
        while self.acknowledged < self._count and (now := time.monotonic()) < until:
            self.send(int((now - started) * rate) + 1)
            next_due = started + len(self.sent) / rate
            self.hear(max(0.0, next_due - time.monotonic()) if len(self.sent) < self._count else 1.0)


def main() -> None:
    """Publish."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generator", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--topic", default="in/a", help="with {} for a number, from 0 to --topics")
    parser.add_argument("--topics", type=int, default=1)
    parser.add_argument("--pad", type=int, default=0, help="bytes added to each payload")
    parser.add_argument("--window", type=int, default=1000, help="unacknowledged messages")
    parser.add_argument("--rate", type=float, help="messages per second; else a burst")
    parser.add_argument("--seconds", type=float, default=120.0, help="give up, or stop, after this")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    topics = [wire.text(given.topic.format(number)) for number in range(given.topics)]
    packets = wire.publications(topics, given.count, given.pad)
    if given.count * (given.pad + 100) < AHEAD:
        packets = iter(list(packets))
    publisher = Publisher(
        wire.connect(given.port, "generator", version=4), packets, count=given.count, window=given.window
    )
    started, cpu = time.monotonic(), time.process_time()
    if given.rate is None:
        publisher.burst(started + given.seconds)
    else:
        publisher.paced(given.rate, started + given.seconds)
    ended, cpu = time.monotonic(), time.process_time() - cpu
    if given.out is not None:
        given.out.write_bytes(publisher.sent.tobytes())
    sent = len(publisher.sent)
    print(
        json.dumps(
            {
                "started": started,
                "ended": ended,
                "sent": sent,
                "acknowledged": publisher.acknowledged,
                "cpu_us": cpu / max(sent, 1) * 1e6,
            }
        )
    )


if __name__ == "__main__":
    main()
