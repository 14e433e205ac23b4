"""What the campaign measures with: an instrument that cannot show a fault shows nothing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from faults.frames import PUBACK, PUBLISH, Splitter
from faults.oracle import Ledger, account
from faults.proxy import proxy
from faults.row import ROWS, Campaign, Found, Row, Run, Skipped, order
from faults.syscalls import check
from tests.brokers import mosquitto
from tests.endtoend.harness import Sink, publish

PORT = 1883
DOWN = f"TCP:[127.0.0.1:5000->127.0.0.1:{PORT}]"


def hexed(data: bytes) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in data) + '"'


def delivery(number: int, packet_id: int) -> bytes:
    body = b"\x00\x01t" + packet_id.to_bytes(2, "big") + b"\x00" + json.dumps({"i": number, "of": "faults"}).encode()
    return bytes((0x32, len(body))) + body


def received(number: int, packet_id: int) -> str:
    packet = delivery(number, packet_id)
    return f"7 recvfrom(5<{DOWN}>, {hexed(packet)}, 65536, 0, NULL, NULL) = {len(packet)}"


def written(number: int) -> str:
    data = b"page" + json.dumps({"i": number, "of": "faults"}).encode()
    return f"8 pwrite64(9</tmp/ledger.db-wal>, {hexed(data)}, {len(data)}, 0) = {len(data)}"


SYNCED = "8 fdatasync(9</tmp/ledger.db-wal>) = 0"


def sent(packet_id: int) -> str:
    packet = b"\x40\x02" + packet_id.to_bytes(2, "big")
    return f"7 sendto(5<{DOWN}>, {hexed(packet)}, {len(packet)}, 0, NULL, 0) = {len(packet)}"


@pytest.mark.parametrize(
    ("lines", "violations"),
    [
        ([received(1, 10), written(1), SYNCED, sent(10)], []),
        ([received(1, 10), written(1), sent(10), SYNCED], [1]),
        ([received(1, 10), SYNCED, written(1), sent(10)], [1]),
        ([received(1, 10), received(2, 11), written(1), SYNCED, written(2), sent(10), sent(11)], [2]),
        ([received(1, 10), written(1), SYNCED.replace("= 0", "= -1 EIO (Input/output error)"), sent(10)], [1]),
        (
            [
                received(1, 10),
                "8 fdatasync(9</tmp/ledger.db-wal> <unfinished ...>",
                written(1).replace("8 ", "9 ", 1),
                "8 <... fdatasync resumed>) = 0",
                sent(10),
            ],
            [1],
        ),
    ],
)
def test_an_acknowledgement_before_its_sync_is_found(lines: list[str], violations: list[int]) -> None:
    """Also where the sync had begun before the message was written, failed, or covered another one."""
    assert violations == check(lines, PORT).violations


def test_packets_are_found_wherever_the_stream_is_cut() -> None:
    """Byte by byte, with lengths of one and of two bytes."""
    stream = delivery(1, 10) + bytes((0x30, 0x80, 0x01)) + bytes(128) + b"\x40\x02\x00\x0b"
    splitter = Splitter()

    frames = [frame for byte in stream for frame in splitter.feed(bytes((byte,)))]

    assert stream == b"".join(frame.data for frame in frames)
    assert [(PUBLISH, 10), (PUBLISH, 0), (PUBACK, 11)] == [(frame.kind, frame.packet_id) for frame in frames]


def test_the_oracle_misses_what_is_missing(tmp_path: Path) -> None:
    """A message that is neither result, dead letter nor pending; a refusal of the broker is no acknowledgement."""
    log = tmp_path / "log"
    log.write_text("0 0\n1 0\n2 0\n3 0\n4 135\n5")
    results = [
        ("done/k0", b'{"i": 0}', {"event_id": "a"}),
        ("done/k0", b'{"i": 0}', {"event_id": "a"}),
    ]
    ledger = Ledger(
        runs={0: ["a"], 1: ["b"], 2: ["c", "d"]},
        succeeded=frozenset({0}),
        dead=frozenset({1}),
        pending=frozenset({2}),
        states={"k0": 2},
        successes={"k0": 1},
    )

    found = account(log, results, ledger, [0, 0, 1])

    assert (4, (3,), 1) == (found.acknowledged, found.lost, found.published_again)
    assert (1, 0, 1, 1) == (found.ran_twice_identified, found.ran_twice, found.effects_again, found.wrong_states)
    assert not found.sound


def test_results_out_of_order_are_found(tmp_path: Path) -> None:
    """Of one key; a result that comes again is none of them."""
    results = [("t", json.dumps({"i": i}).encode(), {"event_id": f"{i}"}) for i in (0, 8, 4, 1, 0)]
    nothing: frozenset[int] = frozenset()
    ledger = Ledger(runs={}, succeeded=nothing, dead=nothing, pending=nothing, states={}, successes={})

    assert 1 == account(tmp_path / "none", results, ledger, []).disordered


async def test_the_proxy_passes_everything_and_cuts() -> None:
    """Acknowledgements are counted by what they are for; after a cut nothing more passes on that connection."""
    async with mosquitto() as broker:
        with proxy(broker.port) as between:
            async with Sink(between.port, "t/#") as sink:
                await publish(broker.port, "t/a", [f'{{"i": {number}}}' for number in range(50)])
                await sink.until(lambda messages: len(messages) == 50, 10)
                connections = between.connections
                between.cut()
                while between.connections == connections:
                    await asyncio.sleep(0.05)
                await publish(broker.port, "t/a", ['{"i": 50}'])
                await sink.until(lambda messages: len(messages) >= 51, 10)
            assert 51 <= len(between.delivered)
            assert 0 == between.stale


async def test_a_row_that_fails_in_any_way_does_not_hold() -> None:
    """An exception is a finding; a part that the machine lacks is none."""

    async def raises(run: Run) -> Found:
        raise ValueError(run.folder.name)

    async def skips(run: Run) -> Found:
        raise Skipped("no such part")

    async def falls_short(run: Run) -> Found:
        return Found(figure="lost 1", held=False)

    bodies = {"BROKEN": raises, "skipped": skips}
    campaign = Campaign(1, short=True)
    for verdict, body in (*bodies.items(), ("BROKEN", falls_short)):
        result = await campaign.run(Row(number="x", fault="f", asked="a", body=body))
        assert verdict == result.verdict


def test_the_matrix_is_whole() -> None:
    """Every row of docs/delivery.md is there, in order."""
    import faults.rows  # enters them

    assert faults.rows.__all__
    numbers = [number for number in sorted(ROWS, key=order) if number.isdigit()]
    assert [str(number) for number in range(1, 48)] == numbers
