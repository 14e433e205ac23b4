"""Takes results at QoS 1, acknowledges them in bursts, and says when each arrived; a process of its own.

python -m benchmarks.sink --port 1883 --count 20000 [--out FILE]

Prints "ready" when it is subscribed and one JSON object at the end. `--out` gets pairs of doubles: index, time of
arrival on the monotonic clock. `--file` follows a file of such pairs instead, which a system without results writes.
"""

from __future__ import annotations

import argparse
import json
import time
from array import array
from pathlib import Path

from . import wire

#: Bytes taken from the socket at a time.
READ = 1 << 20
#: Bytes of a burst kept before indices are read out of them, which is left for after the run where it can be.
KEPT = 256 * 1024 * 1024


class Arrivals:
    """When packets came; their indices are read when there is time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.pairs = array("d")
        self._kept: list[tuple[float, bytes]] = []
        self._size = 0

    def keep(self, at: float, packets: bytes) -> None:
        """Packets that came together."""
        self._kept.append((at, packets))
        self._size += len(packets)
        if self._size > self._most:
            self.read()

    def read(self) -> None:
        """Find the indices."""
        for at, packets in self._kept:
            for index in wire.INDEX.findall(packets):
                self.pairs.extend((int(index) - wire.BASE, at))
        self._kept, self._size = [], 0


def take(port: int, given: argparse.Namespace, arrivals: Arrivals) -> None:
    """Receive until `count` came, or none for `quiet` seconds."""
    link = wire.connect(port, given.client_id, resume=given.resume)
    if not given.resume:
        wire.subscribe(link, given.topic)
    print("ready", flush=True)
    cutter, seen = wire.Cutter(), 0
    link.settimeout(given.quiet)
    while seen < given.count:
        try:
            data = link.recv(READ)
        except TimeoutError:
            return
        if not data:
            return
        now = time.monotonic()
        packets, found, acks = cutter.feed(data)
        if acks:
            link.sendall(acks)
        arrivals.keep(now, packets)
        seen += found
        if given.nap:
            time.sleep(given.nap)


def follow(file: Path, given: argparse.Namespace, arrivals: Arrivals) -> None:
    """The same from a file of pairs."""
    file.touch()
    skip = file.stat().st_size
    print("ready", flush=True)
    size, changed = skip, time.monotonic()
    while size < skip + given.count * 16 and time.monotonic() - changed < given.quiet:
        time.sleep(0.02)
        if (now := file.stat().st_size) != size:
            size, changed = now, time.monotonic()
    pairs = array("d", file.read_bytes()[skip:])
    for place in range(0, len(pairs), 2):
        pairs[place] -= wire.BASE
    arrivals.pairs = pairs


def distinct(indices: array[float]) -> int:
    """How many different ones; there may be millions."""
    seen = bytearray(int(max(indices, default=0.0)) + 1)
    for index in indices:
        seen[int(index)] = 1
    return sum(seen) if indices else 0


def main() -> None:
    """Receive, then say what came."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sink", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--count", type=int, required=True, help="messages to wait for")
    parser.add_argument("--topic", default="out/#")
    parser.add_argument("--client-id", default="sink")
    parser.add_argument("--resume", action="store_true", help="take up the session of that client id as it is")
    parser.add_argument("--quiet", type=float, default=10.0, help="end after this many seconds without a message")
    parser.add_argument("--nap", type=float, default=0.0, help="seconds between two looks, so that many come at a time")
    parser.add_argument("--file", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    # At a steady pace indices are read at once: a pause for many would come between a result and its time.
    arrivals, cpu = Arrivals(KEPT if given.nap else 0), time.process_time()
    if given.file is None:
        take(given.port, given, arrivals)
    else:
        follow(given.file, given, arrivals)
    cpu = time.process_time() - cpu
    arrivals.read()
    if given.out is not None:
        given.out.write_bytes(arrivals.pairs.tobytes())
    indices, times = arrivals.pairs[::2], arrivals.pairs[1::2]
    print(
        json.dumps(
            {
                "results": len(indices),
                "distinct": distinct(indices),
                "first": times[0] if times else None,
                "last": times[-1] if times else None,
                "cpu_us": cpu / max(len(indices), 1) * 1e6,
            }
        )
    )


if __name__ == "__main__":
    main()
