"""Small messages that would become large, and large ones: refused or handled, within bounds, beside a live pipeline.

LARGE_TESTS=1 takes the sizes of docs/security.md: 256 MB and 100,000 retained messages.
"""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import cbor2
import msgpack
import pytest

from tests.brokers import mosquitto
from tests.endtoend.gauges import cpu_seconds
from tests.endtoend.harness import Daemon, Listener, send, serving, write_project
from tests.support import require_program

LARGE = os.environ.get("LARGE_TESTS") == "1"
MIB = 1 << 20
#: Bytes of the payload that is too large for anybody, and number of the retained messages.
HUGE = 256_000_000 if LARGE else 80_000_000
RETAINED = 100_000 if LARGE else 3_000
#: What the daemon may grow by, bytes: what it holds of messages at the most (64 + 256 MiB), and room for one in hand.
GROWTH = 400 * MIB

FILES = {
    "conf/pipelines/take.yml": "triggers: [{topic: 'in/{format}'}]\n",
    "pipelines/take.py": '"""Takes anything."""\n\n\ndef kind(payload: object) -> str:\n    """Of it."""\n    return type(payload).__name__\n',
    "conf/pipelines/live.yml": "triggers: [{topic: live}]\noutputs: [{node: echo, topic: out}]\n",
    "pipelines/live.py": '"""Lives on."""\n\n\ndef echo(payload: int) -> int:\n    """The same."""\n    return payload\n',
    "conf/pipelines/kept.yml": "triggers: [{topic: 'kept/#', retained: process}]\n",
    "pipelines/kept.py": '"""Counts what was kept."""\n\n\ndef size(payload: bytes) -> int:\n    """Of it."""\n    return len(str(payload))\n',
}
JSON, MSGPACK, CBOR, LINES = "application/json", "application/msgpack", "application/cbor", "application/x-ndjson"
#: Name: content type, payload, outcome.
BOMBS: dict[str, tuple[str, bytes, str]] = {
    "a million brackets": (JSON, b"[" * 1_000_000, "rejected"),
    "a million objects, closed": (JSON, b'{"a":' * 1_000_000 + b"1" + b"}" * 1_000_000, "rejected"),
    "65 lists": (JSON, b"[" * 65 + b"]" * 65, "rejected"),
    "40 MB": ("application/octet-stream", bytes(40_000_000), "rejected"),
    "64 lists": (JSON, b"[" * 64 + b"]" * 64, "succeeded"),
    "5,000 digits": (JSON, b"9" * 5000, "rejected"),
    "16 million digits": (JSON, b"[" + b"9" * 15_900_000 + b"]", "rejected"),
    "16 MB of long digits": (JSON, b"[" + b",".join([b"1" * 19] * 790_000) + b"]", "succeeded"),
    "NaN": (JSON, b'{"a": NaN}', "rejected"),
    "1e999": (JSON, b"[1e999]", "rejected"),
    "a lone surrogate": (JSON, b'"\\ud800"', "rejected"),
    "the same key a million times": (JSON, b"{" + b",".join([b'"a":1'] * 900_000) + b"}", "succeeded"),
    "8 million empty lists": (JSON, b"[" + b"[]," * 5_300_000 + b"[]]", "rejected"),
    "a million lines": (LINES, b"1\n" * 1_000_000, "succeeded"),
    "two million lines": (LINES, b"1\n" * 2_000_000, "rejected"),
    "a list that declares 4 billion": (MSGPACK, b"\xdd\xff\xff\xff\xff", "rejected"),
    "a map that declares 4 billion": (MSGPACK, b"\xdf\xff\xff\xff\xff\xa1a\x01", "rejected"),
    "a text that declares 4 GB": (MSGPACK, b"\xdb\xff\xff\xff\xffabc", "rejected"),
    "a million lists, packed": (MSGPACK, b"\x91" * 1_000_000, "rejected"),
    "lists that each declare a million": (MSGPACK, b"\xdd\x00\x0f\x42\x40" * 60, "rejected"),
    "900,000 numbers, packed": (MSGPACK, msgpack.packb([1] * 900_000), "succeeded"),
    "a list that declares 2**64": (CBOR, b"\x9b" + b"\xff" * 8, "rejected"),
    "a byte string that declares 2**63": (CBOR, b"\x5b\x7f" + b"\xff" * 7, "rejected"),
    "a million tags": (CBOR, b"\xc6" * 1_000_000, "rejected"),
    "a million open lists": (CBOR, b"\x9f" * 1_000_000, "rejected"),
    "shared references": (CBOR, bytes.fromhex("d81c82d81d00d81d00"), "rejected"),
    "a bignum of 1 MB": (CBOR, b"\xc2\x5a\x00\x0f\x42\x40" + b"\xff" * 1_000_000, "rejected"),
    "a decimal with a huge exponent": (CBOR, b"\xc4\x82\x1b\x7f\xff\xff\xff\xff\xff\xff\xff\x01", "rejected"),
    "200,000 chunks": (CBOR, b"\x5f" + b"\x41a" * 200_000 + b"\xff", "rejected"),
    "900,000 numbers, in CBOR": (CBOR, cbor2.dumps([1] * 900_000), "succeeded"),
}  # fmt: skip


def memory(daemon: Daemon) -> tuple[int, int]:
    """Bytes: resident now, and at the most."""
    lines = Path(f"/proc/{daemon.pid}/status").read_text().splitlines()
    found = {line.partition(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith("Vm")}
    return found["VmRSS"], found["VmHWM"]


def project(folder: Path, port: int, *, session: str = "") -> Path:
    config = f'name: lab\nmqtt: {{url: "mqtt://127.0.0.1:{port}"{session}}}\n'
    return write_project(folder / "lab", {"conf/project.yml": config, **FILES})


@pytest.mark.timeout(600 if LARGE else 120)
async def test_bombs_are_refused_or_handled_within_bounds(tmp_path: Path) -> None:
    """Each ends as the page says, each costs bounded time and memory, and another pipeline goes on meanwhile."""
    took: dict[str, float] = {}
    outcomes: dict[str, str] = {}
    async with (
        mosquitto() as broker,
        Listener(broker.port, "out") as sink,
        serving(project(tmp_path, broker.port)) as daemon,
    ):
        resident, before = memory(daemon)
        for number, (name, (content_type, payload, _)) in enumerate(BOMBS.items(), 1):
            cpu = cpu_seconds(daemon.pid)
            await send(broker.port, "in/x", payload, properties=[("content-type", content_type)])
            await send(broker.port, "live", number)
            await sink.next("out", number)
            await daemon.until(partial(settled, number))
            took[name] = cpu_seconds(daemon.pid) - cpu
        rows = (await daemon.ask("runs.list", pipeline="take", limit=100))["runs"]
        outcomes = dict(zip(BOMBS, (row["outcome"] for row in reversed(rows)), strict=True))
        after, peak = memory(daemon)
        assert await daemon.stop() == 0

    worst = sorted(took.items(), key=lambda each: -each[1])[:4]
    print(f"resident {resident // MIB} to {after // MIB} MiB, peak {peak // MIB} MiB (before {before // MIB}); {worst}")
    assert outcomes == {name: outcome for name, (_, _, outcome) in BOMBS.items()}
    assert peak - before < GROWTH
    assert max(took.values()) < 20


def settled(count: int, status: dict[str, Any]) -> bool:
    (take,) = (each for each in status["pipelines"] if each["name"] == "take")
    return sum(int(take[name]) for name in ("succeeded", "rejected", "failed")) == count


@pytest.mark.timeout(600 if LARGE else 120)
async def test_a_huge_payload_is_never_held(tmp_path: Path) -> None:
    """Larger than the largest packet that we announce: the broker drops it for us, and what follows comes through."""
    async with (
        mosquitto() as broker,
        Listener(broker.port, "out") as sink,
        serving(project(tmp_path, broker.port)) as daemon,
    ):
        _, before = memory(daemon)
        source = tmp_path / "huge"
        with source.open("wb") as file:
            file.truncate(HUGE)
        await published(broker.port, "in/x", source)
        await send(broker.port, "live", 1)
        await sink.next("out", 1)
        status = await daemon.ask("status")
        _, peak = memory(daemon)
        assert await daemon.stop() == 0

    print(f"{HUGE} bytes: peak {peak // MIB} MiB, before {before // MIB} MiB; {status['totals']}")
    assert peak - before < 100 * MIB
    assert (status["broker"]["connections"], status["totals"]["received"]) == (1, 1)


async def published(port: int, topic: str, file: Path) -> None:
    """A file as a message."""
    import asyncio

    process = await asyncio.create_subprocess_exec(
        require_program("mosquitto_pub"), "-p", str(port), "-V", "5", "-q", "1", "-t", topic, "-f", str(file)
    )
    async with asyncio.timeout(300):
        assert await process.wait() == 0


@pytest.mark.timeout(900 if LARGE else 120)
async def test_many_retained_messages_at_the_start(tmp_path: Path) -> None:
    """All of them become runs, with bounded memory, and the next start makes none again."""
    async with mosquitto() as broker:
        await retain(broker.port, RETAINED)
        folder = project(tmp_path, broker.port)
        daemon = Daemon(folder)
        started = time.monotonic()
        try:
            await daemon.start()
            _, before = memory(daemon)
            while True:
                status = await daemon.ask("status")
                (kept,) = (each for each in status["pipelines"] if each["name"] == "kept")
                if kept["succeeded"] == RETAINED:
                    break
            seconds = time.monotonic() - started
            cpu, (_, peak) = cpu_seconds(daemon.pid), memory(daemon)
            assert await daemon.stop() == 0
        finally:
            if daemon.running:
                await daemon.kill()

    print(
        f"{RETAINED} retained: {seconds:.1f} s, {cpu:.1f} s of CPU, peak {peak // MIB} MiB (started with {before // MIB})"
    )
    assert peak - before < GROWTH
    assert kept["failed"] == kept["rejected"] == 0


async def retain(port: int, count: int) -> None:
    """As many retained messages, each on a topic of its own."""
    import aiomqtt

    async with aiomqtt.Client("127.0.0.1", port, max_inflight_messages=1000) as client:
        for number in range(count):
            await client.publish(f"kept/{number}", b'{"value": 21.5}', qos=0, retain=True)
        await client.publish("kept/last", b"", qos=1, retain=True)
