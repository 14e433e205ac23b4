"""What a message costs each transport: received, acknowledged and echoed at QoS 1; a process of its own for each.

python -m benchmarks.transports [--messages N] [--rounds N] [--systems NAME ...]

Microseconds of CPU per message, median of the rounds, which take turns: wall time is the broker's and the machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from socket import socket
from typing import Any

from . import wire
from .broker import broker
from .processes import ROOT, cpu, end_on_signals, running

#: Messages before the measuring begins: imports, caches, first allocations.
WARM = 2_000


async def ours(port: int, *, library: str, echo: bool) -> None:
    """A transport of ours as the daemon uses it: bursts in, a burst out and acknowledged."""
    from fp_events.domain.connection import ConnectOptions
    from fp_events.domain.message import Publication, Subscription
    from fp_events.transports.aiomqtt import AiomqttTransport
    from fp_events.transports.mqtt5 import Mqtt5Transport

    options = ConnectOptions(
        host="127.0.0.1", port=port, client_id="subject", subscriptions=[Subscription(filter="in/#")]
    )
    transport = Mqtt5Transport(options) if library == "mqtt5" else AiomqttTransport(options)
    running = asyncio.create_task(transport.run())
    received = itertools.count(1)
    while not running.done():
        burst = await transport.receive()
        transport.acknowledge(burst)
        payloads = [delivery.message.payload for delivery in burst]
        if not echo:  # the last of each round, so that the end is seen
            payloads = [payload for payload in payloads if next(received) % WARM == 0]
        if payloads:
            out = [Publication(event_id="e", topic="out/echo", payload=payload, qos=1) for payload in payloads]
            await transport.publish(out)


async def aiomqtt_script(port: int) -> None:
    """What a user writes with aiomqtt."""
    import aiomqtt

    async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe("in/#", qos=1)
        async for message in client.messages:
            await client.publish("out/echo", message.payload, qos=1)


SUBJECTS: dict[str, Callable[[int], Coroutine[Any, Any, None]]] = {
    "mqtt5 transport": lambda port: ours(port, library="mqtt5", echo=True),
    "mqtt5 transport, no echo": lambda port: ours(port, library="mqtt5", echo=False),
    "aiomqtt transport": lambda port: ours(port, library="aiomqtt", echo=True),
    "aiomqtt script": aiomqtt_script,
}
SYSTEMS = ("codec echo", *SUBJECTS)


def command(system: str, port: int) -> list[str | Path]:
    if system == "codec echo":
        return [sys.executable, ROOT / "benchmarks" / "peers" / "codec_echo.py", str(port)]
    return [sys.executable, "-m", "benchmarks.transports", "--subject", system, "--port", str(port)]


def measure(system: str, messages: int) -> float:
    """Microseconds of CPU per message."""
    wanted = 1 if "no echo" in system else WARM
    with (
        tempfile.TemporaryDirectory() as folder,
        broker(Path(folder)) as place,
        running(command(system, place.port)) as process,
    ):
        place.wait_subscribed("in/", process)
        with wire.connect(place.port, "sink") as sink:
            wire.subscribe(sink, "out/#")
            try:
                load(sink, place.port, WARM, wanted)
                before = cpu(process.pid)
                load(sink, place.port, messages, messages // WARM * wanted)
            except TimeoutError:
                raise SystemExit(f"{system}: nothing comes out any more") from None
            return (cpu(process.pid) - before) / messages * 1e6


def load(sink: socket, port: int, messages: int, wanted: int) -> None:
    """Publish so many, and see so many come out."""
    generator = [sys.executable, "-m", "benchmarks.generator", "--port", str(port), "--count", str(messages)]
    process = subprocess.Popen(generator, cwd=ROOT, stdout=subprocess.DEVNULL)
    cutter, seen = wire.Cutter(), 0
    while seen < wanted:
        _, found, answers = cutter.feed(sink.recv(65_536))
        seen += found
        sink.sendall(answers)
    process.wait()


def main() -> None:
    """Measure and print."""
    end_on_signals()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transports", description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000, help=f"a multiple of {WARM}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--systems", nargs="*", default=SYSTEMS, choices=SYSTEMS)
    parser.add_argument("--subject", choices=SUBJECTS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.subject:
        asyncio.run(SUBJECTS[given.subject](given.port))
        return
    found: dict[str, list[float]] = {system: [] for system in given.systems}
    for _ in range(given.rounds):
        for system, figures in found.items():
            figures.append(measure(system, given.messages))
    first = statistics.median(found[given.systems[0]])
    print(f"{'':28}us of CPU per message   {given.systems[0]} ÷ it")
    for system, figures in found.items():
        middle = statistics.median(figures)
        print(f"{system:28}{middle:8.1f} ({min(figures):.1f} to {max(figures):.1f})   {first / middle:10.2f}")


if __name__ == "__main__":
    main()
