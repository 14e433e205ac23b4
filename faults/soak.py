"""An hour of load, with a broker that is restarted and a daemon that is killed now and then: is anything lost?

    python -m faults.soak --rate 4000 --minutes 60 --restart 5 --kill 7

The load goes out at QoS 1 and counts as acknowledged when the broker has said so; the sink is subscribed in a session
of its own that outlives the broker. A number is lost when it was acknowledged and is neither a result, nor a dead
letter, nor waiting in the ledger. Prints a line every ten seconds, the growth of resident memory by life of the
daemon, and a line of JSON; ends with 1 where something is lost. Linux only: figures come from ``/proc``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fp_events.domain.connection import ConnectOptions
from fp_events.domain.errors import DaemonUnavailable
from fp_events.domain.message import Confirmed, Publication, Subscription
from fp_events.transports.mqtt5 import Mqtt5Transport
from tests.brokers import Mosquitto, mosquitto
from tests.endtoend.harness import Daemon, write_project

from .oracle import number_of

#: Publications in a burst, keys, and seconds between two samples.
BURST, KEYS, EVERY = 100, 50, 10.0
#: Seconds without a result after which the rest is given up.
SETTLING = 90.0
#: Seconds of a life of the daemon before its memory is looked at.
WARM = 60.0

CODE = '''\
"""A mean over all readings of a sensor."""


def count(previous_count: int | None) -> int:
    """Readings so far."""
    return (previous_count or 0) + 1


def result(i: int, count: int) -> dict:
    """What the sink counts."""
    return {"i": i, "count": count}
'''
FILES = {
    "conf/project.yml": 'name: soak\nmqtt: {{url: "mqtt://127.0.0.1:{port}"}}\n'
    "ledger: {{retention: {{max_bytes: 256MiB}}}}\nlog: {{format: json, level: WARNING}}\n",
    "conf/pipelines/mean.yml": "triggers: [{topic: 'load/{sensor}', map: {i: payload.i}, key: '{sensor}'}]\n"
    "state: {count: previous_count}\noutputs: [{node: result, topic: 'done/{sensor}'}]\n",
    "pipelines/mean.py": CODE,
}


class Numbers:
    """A set of numbers from 0, a bit each."""

    def __init__(self) -> None:
        self._bits = bytearray()
        #: Different ones, and those that came more than once.
        self.count = self.again = 0

    def add(self, number: int) -> None:
        """Put one in."""
        place, bit = number >> 3, 1 << (number & 7)
        if place >= len(self._bits):
            self._bits.extend(bytes(place + 1 - len(self._bits) + 65_536))
        if self._bits[place] & bit:
            self.again += 1
        else:
            self._bits[place] |= bit
            self.count += 1

    def __contains__(self, number: int) -> bool:
        place = number >> 3
        return place < len(self._bits) and bool(self._bits[place] & 1 << (number & 7))


@dataclass
class Soak:
    """What is known so far."""

    #: Numbers below this are acknowledged by the broker.
    sent: int = 0
    seen: Numbers = field(default_factory=Numbers)
    last_result: float = field(default_factory=time.monotonic)
    restarts: int = 0
    kills: int = 0
    #: MiB by life of the daemon: (seconds of the load, resident).
    memory: list[list[tuple[float, float]]] = field(default_factory=lambda: [[]])


@asynccontextmanager
async def client(port: int, name: str, *filters: str) -> AsyncIterator[Mqtt5Transport]:
    """A connected client with a session that is kept."""
    subscriptions = tuple(Subscription(filter=text, qos=1) for text in filters)
    transport = Mqtt5Transport(
        ConnectOptions(host="127.0.0.1", port=port, client_id=name, subscriptions=subscriptions, session_expiry=86_400)
    )
    running = asyncio.create_task(transport.run())
    await transport.connected()
    try:
        yield transport
    finally:
        await transport.close()
        await running


async def publish(transport: Mqtt5Transport, soak: Soak, rate: float, stop: float) -> None:
    """Publish in order; what has no answer goes again, with all behind it."""
    began, done = time.monotonic(), 0
    while time.monotonic() < stop:
        ahead = done / rate - (time.monotonic() - began)
        if ahead > 0:
            await asyncio.sleep(ahead)
        burst = [
            Publication(
                event_id=str(number),
                topic=f"load/{number % KEYS}",
                payload=b'{"i": %d, "pad": "0123456789012345678901234567890123456789"}' % number,
                qos=1,
            )
            for number in range(soak.sent, soak.sent + BURST)
        ]
        answers = await transport.publish(burst)
        taken = next((i for i, one in enumerate(answers) if one.result is not Confirmed.SENT), BURST)
        soak.sent += taken
        done += taken
        if taken < BURST:
            # The rest of this second is not made up for: the broker is away.
            began, done = time.monotonic(), 0
            await transport.connected()


async def count(transport: Mqtt5Transport, soak: Soak) -> None:
    """Note every result."""
    while True:
        burst = await transport.receive()
        for delivery in burst:
            soak.seen.add(number_of(delivery.message.payload))
        transport.acknowledge(burst)
        soak.last_result = time.monotonic()


async def watch(daemon: Daemon, soak: Soak, began: float) -> None:
    """Sample the daemon's memory."""
    while True:
        await asyncio.sleep(EVERY)
        at = time.monotonic() - began
        with suppress(OSError, AssertionError):
            resident = int((Path("/proc") / str(daemon.pid) / "statm").read_text().split()[1]) * 4096 / 1024**2
            soak.memory[-1].append((at, resident))
            behind = soak.sent - soak.seen.count
            print(f"{at:7.0f} s  sent {soak.sent:>10,}  behind {behind:>9,}  {resident:6.0f} MiB", flush=True)


async def every(seconds: float, stop: float, do: Callable[[], Awaitable[None]]) -> None:
    """Do something again and again, not in the last seconds."""
    while time.monotonic() + seconds < stop:
        await asyncio.sleep(seconds)
        await do()


async def run(*, rate: float, minutes: float, restart: float, kill: float, seed: int) -> dict[str, Any]:
    """The whole of it."""
    rng = random.Random(seed)
    soak = Soak()
    lines = ("max_queued_messages 0", "autosave_interval 30", "set_tcp_nodelay true")
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        async with mosquitto(lines) as broker:
            folder = write_project(Path(name), {n: t.format(port=broker.port) if n.startswith("conf/project") else t
                                                for n, t in FILES.items()})  # fmt: skip
            daemon = Daemon(folder)
            await daemon.start(until="")
            await _subscribed(daemon)
            try:
                await _load(soak, broker, daemon, rng, rate, minutes, restart, kill)
                await daemon.stop()
            finally:
                if daemon.running:
                    await daemon.kill()
            return _account(soak, folder)


async def _subscribed(daemon: Daemon) -> None:
    """From now on nothing is published to nobody."""
    async with asyncio.timeout(60):
        while True:
            with suppress(DaemonUnavailable):
                if (await daemon.ask("status"))["broker"]["granted"]:
                    return
            await asyncio.sleep(0.1)


async def _load(
    soak: Soak,
    broker: Mosquitto,
    daemon: Daemon,
    rng: random.Random,
    rate: float,
    minutes: float,
    restart: float,
    kill: float,
) -> None:
    began = time.monotonic()
    stop = began + minutes * 60

    async def restart_broker() -> None:
        await broker.stop()
        await asyncio.sleep(rng.uniform(0.0, 3.0))
        await broker.start()
        soak.restarts += 1

    async def kill_daemon() -> None:
        await daemon.kill()
        await asyncio.sleep(rng.uniform(0.0, 3.0))
        await daemon.start(until="")
        soak.kills += 1
        soak.memory.append([])

    async with (
        client(broker.port, "soak-sink", "done/#") as sink,
        client(broker.port, "soak-load") as load,
        asyncio.TaskGroup() as tasks,
    ):
        counting = tasks.create_task(count(sink, soak))
        watching = tasks.create_task(watch(daemon, soak, began))
        trouble = [
            tasks.create_task(every(restart * 60, stop, restart_broker)),
            tasks.create_task(every(kill * 60, stop, kill_daemon)),
        ]
        await publish(load, soak, rate, stop)
        for task in trouble:
            task.cancel()
        soak.last_result = time.monotonic()
        while soak.seen.count < soak.sent and time.monotonic() < soak.last_result + SETTLING:
            await asyncio.sleep(0.5)
        watching.cancel()
        counting.cancel()


def _account(soak: Soak, folder: Path) -> dict[str, Any]:
    missing = [number for number in range(soak.sent) if number not in soak.seen]
    with closing(sqlite3.connect(f"file:{folder / '.fp-events/ledger.db'}?mode=ro", uri=True)) as db:
        rows = db.execute(
            "SELECT m.payload FROM runs r JOIN messages m ON m.id = r.message_id"
            " WHERE r.state <> 'finished' OR r.dead_letter = 1 OR r.seq IN (SELECT run_seq FROM outbox)"
        )
        waiting = {number_of(payload) for (payload,) in rows}
        (pages,) = db.execute("PRAGMA page_count").fetchone()
    lost = [number for number in missing if number not in waiting]
    slopes = []
    for life in soak.memory:
        steady = [(at, mib) for at, mib in life if at >= (life[0][0] + WARM if life else 0.0)]
        if len(steady) > 6:
            slope = statistics.linear_regression([at for at, _ in steady], [mib for _, mib in steady]).slope
            slopes.append(round(slope * 60, 3))
    return {
        "acknowledged": soak.sent,
        "results": soak.seen.count,
        "published_again": soak.seen.again,
        "waiting": len(missing) - len(lost),
        "lost": len(lost),
        "first_lost": lost[:10],
        "restarts": soak.restarts,
        "kills": soak.kills,
        "mib_max": max((mib for life in soak.memory for _, mib in life), default=0.0),
        "mib_per_minute_by_life": slopes,
        "ledger_mib": pages * 4096 // 1024**2,
    }


def main() -> None:
    """Run, print, tell."""
    parser = argparse.ArgumentParser(prog="python -m faults.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=4000.0, help="messages a second")
    parser.add_argument("--minutes", type=float, default=60.0, help="of load")
    parser.add_argument("--restart", type=float, default=5.0, help="minutes between restarts of the broker")
    parser.add_argument("--kill", type=float, default=7.0, help="minutes between kills of the daemon")
    parser.add_argument("--seed", type=int, default=20261120)
    given = parser.parse_args()
    found = asyncio.run(
        run(rate=given.rate, minutes=given.minutes, restart=given.restart, kill=given.kill, seed=given.seed)
    )
    print(json.dumps({**vars(given), **found}))
    sys.exit(1 if found["lost"] else 0)


if __name__ == "__main__":
    main()
