"""`make bench`: readings in, results out, side by side; a table, and the same as JSON.

python -m benchmarks [--messages N] [--rounds N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import broker, systems

#: Messages per second of the latency measurement, and its seconds.
PACE = 200
PACED_SECONDS = 5


def burst(make: Callable[[], systems.System], count: int) -> dict[str, float]:
    """Publish as fast as the broker takes it; results per second, and CPU of the process per message."""
    with broker.broker() as port:
        system, sink = make(), broker.Sink(port, "out/#")
        try:
            system.start(port)
            payloads = [json.dumps({"i": i, "reading": 60.0 + i % 40}) for i in range(count)]
            broker.publish(port, "in/a", payloads[:200])
            sink.take(200)
            before, started = system.cpu(), time.monotonic()
            publisher = threading.Thread(target=broker.publish, args=(port, "in/a", payloads))
            publisher.start()
            results = sink.take(count)
            publisher.join()
            seconds = results[-1][0] - started
            return {"per_second": count / seconds, "cpu_us": (system.cpu() - before) / count * 1e6}
        finally:
            sink.close()
            system.stop()


def latency(make: Callable[[], systems.System]) -> dict[str, float]:
    """Publisher's clock to sink at a steady pace, in milliseconds."""
    import paho.mqtt.client as paho

    count = PACE * PACED_SECONDS
    with broker.broker() as port:
        system, sink = make(), broker.Sink(port, "out/#")
        client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        try:
            system.start(port)
            client.connect("127.0.0.1", port)
            client.loop_start()
            sent: list[float] = []
            arrived: list[tuple[float, bytes]] = []
            reader = threading.Thread(target=lambda: arrived.extend(sink.take(count)))
            reader.start()
            started = time.monotonic()
            for i in range(count):
                time.sleep(max(0.0, started + i / PACE - time.monotonic()))
                sent.append(time.monotonic())
                client.publish("in/a", json.dumps({"i": i, "reading": 80.0}), qos=1)
            reader.join()
            delays = sorted(at - sent[json.loads(payload)["i"]] for at, payload in arrived)
            return {"p50_ms": delays[count // 2] * 1000, "p99_ms": delays[count * 99 // 100] * 1000}
        finally:
            client.loop_stop()
            sink.close()
            system.stop()


def measure(messages: int, rounds: int) -> list[dict[str, Any]]:
    """Every system in every round, so that a slow minute of the machine hits all of them."""
    makers: list[Callable[[], systems.System]] = [
        lambda: systems.Ours("local"),
        lambda: systems.Ours("threadpool"),
        lambda: systems.Ours("local", ledger="memory:"),
        systems.Peer,
    ]
    found: list[list[dict[str, float]]] = [[] for _ in makers]
    for _ in range(rounds):
        for place, make in enumerate(makers):
            found[place].append(burst(make, messages) | latency(make))
    rows = []
    for make, runs in zip(makers, found, strict=True):
        system = make()
        medians = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        rows.append({"system": system.name, "durable": system.keeps, **medians, "rounds": runs})
    return rows


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000, help="of a burst")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"))
    given = parser.parse_args()
    rows = measure(given.messages, given.rounds)
    peer = rows[-1]
    print(f"{given.messages:,} messages a burst, medians of {given.rounds} rounds; x: times {peer['system']}")
    print(f"{'system':<38}{'keeps':>6}{'results/s':>11}{'x':>6}{'CPU us':>8}{'x':>6}{'p50 ms':>8}{'p99 ms':>8}")
    for row in rows:
        print(
            f"{row['system']:<38}{'yes' if row['durable'] else 'no':>6}{row['per_second']:>11,.0f}"
            f"{row['per_second'] / peer['per_second']:>6.1f}{row['cpu_us']:>8.0f}{row['cpu_us'] / peer['cpu_us']:>6.2f}"
            f"{row['p50_ms']:>8.2f}{row['p99_ms']:>8.2f}"
        )
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps({"messages": given.messages, "rows": rows}, indent=2) + "\n")
    print(f"written to {given.json}")


if __name__ == "__main__":
    main()
