"""Every reading of a real series, through a real broker, equal to what pandas computes offline."""

from __future__ import annotations

import asyncio
import json
import math
import sys
from pathlib import Path

import pytest

from tests.brokers import Mosquitto, mosquitto

from . import machine
from .harness import Daemon, Sink, publish, serving, unfinished, write_project

pytestmark = pytest.mark.timeout(240)
TOPIC = "plant/press/temperature"
#: The broker saves its database when it ends, not at every change: with thousands of messages queued
#: each save takes longer than the messages it saves.
CALM = ("autosave_on_changes false", "autosave_interval 1800")
#: Seconds for the whole series.
LONG = 180


def project(folder: Path, broker: Mosquitto, protocol: str = "5") -> Path:
    files = dict(machine.PROJECT)
    files["conf/project.yml"] = files["conf/project.yml"].format(port=broker.port, protocol=protocol)
    return write_project(folder, files)


def positions(sink: Sink, topic: str) -> dict[int, dict[str, float]]:
    """Payloads by position; a second one of the same position must be equal."""
    found: dict[int, dict[str, float]] = {}
    for name, payload, _ in sink.messages:
        if name == topic:
            value = json.loads(payload)
            assert found.setdefault(value["i"], value) == value
    return found


async def all_results(sink: Sink, count: int) -> None:
    seen: set[int] = set()
    looked = 0

    def complete(messages: list[tuple[str, bytes, dict[str, str]]]) -> bool:
        nonlocal looked
        for topic, payload, _ in messages[looked:]:
            if topic.startswith("results/"):
                seen.add(json.loads(payload)["i"])
        looked = len(messages)
        return len(seen) == count

    await sink.until(complete, LONG)


def assert_equal_to_pandas(sink: Sink, rows: list[tuple[str, float]]) -> None:
    want = machine.expected(rows)
    results = positions(sink, "results/press")
    assert sorted(results) == list(range(len(rows)))
    for index, result in results.items():
        assert result["value"] == want.values[index]
        assert math.isclose(result["mean"], want.means[index], rel_tol=1e-9)
        expected_z, z = want.zscores[index], result["zscore"]
        assert (z is None) == (expected_z is None), index
        if z is not None and expected_z is not None:
            assert math.isclose(z, expected_z, rel_tol=1e-6, abs_tol=1e-9), index
    assert sorted(positions(sink, "alerts/press")) == want.alerts


def report(text: str) -> None:
    """Figures for whoever runs this by hand with -s."""
    print(text, file=sys.stderr)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_every_result_equals_pandas(tmp_path: Path, protocol: str) -> None:
    """All readings at QoS 1, by a foreign publisher: as many results, each equal; the alerts equal."""
    rows = machine.readings()
    async with mosquitto(CALM) as broker, Sink(broker.port, "results/#", "alerts/#", protocol=protocol) as sink:
        async with serving(project(tmp_path, broker, protocol)) as daemon:
            started = asyncio.get_running_loop().time()
            await publish(broker.port, TOPIC, machine.lines(rows), protocol=protocol)
            await all_results(sink, len(rows))
            seconds = asyncio.get_running_loop().time() - started
            status = await daemon.ask("status")
            assert await daemon.stop() == 0

        assert_equal_to_pandas(sink, rows)
        results = [message for message in sink.messages if message[0] == "results/press"]
        assert len(results) == len(rows)
        assert status["pipelines"][0]["succeeded"] == len(rows)
        alerts = machine.expected(rows).alerts
        inside = sum(any(a <= rows[i][0] <= b for a, b in machine.windows()) for i in alerts)
        report(
            f"MQTT {protocol}: {len(rows)} readings in {seconds:.1f} s ({len(rows) / seconds:.0f}/s); "
            f"{len(alerts)} alerts, {inside} inside the labelled windows, {len(alerts) - inside} outside"
        )


async def kill_with_backlog(daemon: Daemon) -> int:
    """SIGKILL while at least 500 accepted runs are unsettled; how many were."""
    await daemon.until(lambda status: status["totals"]["pending"] >= 700, every=0.0)
    await daemon.kill()
    left = unfinished(daemon.project)
    assert left >= 500
    return left


async def test_no_reading_is_lost_by_kills(tmp_path: Path) -> None:
    """Five times kill -9 with 500 and more accepted and unsettled: state neither lost nor applied twice."""
    rows = machine.readings()
    texts = machine.lines(rows)
    async with mosquitto(CALM) as broker, Sink(broker.port, "results/#", "alerts/#") as sink:
        async with serving(project(tmp_path, broker)) as daemon:
            left = []
            for part in range(5):
                await publish(broker.port, TOPIC, texts[part * 4000 : (part + 1) * 4000])
                left.append(await kill_with_backlog(daemon))
                await daemon.start()
            await publish(broker.port, TOPIC, texts[20000:])
            await all_results(sink, len(rows))
            status = await daemon.ask("status")
            again = sum(run["attempt"] > 1 for run in await every_run(daemon))
            assert await daemon.stop() == 0

        assert_equal_to_pandas(sink, rows)
        assert status["pipelines"][0]["succeeded"] == len(rows)
        results = [message for message in sink.messages if message[0] == "results/press"]
        report(
            f"unsettled at the kills: {left}; runs executed again: {again}; "
            f"results published again: {len(results) - len(rows)}"
        )


async def every_run(daemon: Daemon) -> list[dict[str, int]]:
    found: list[dict[str, int]] = []
    before = None
    while True:
        page = await daemon.ask("runs.list", limit=1000, before=before)
        found += page["runs"]
        before = page["next"]
        if before is None:
            return found


async def test_a_broker_restart_loses_nothing(tmp_path: Path) -> None:
    """The broker ends by SIGTERM in the middle and comes back: every reading has its result."""
    rows = machine.readings()
    texts = machine.lines(rows)
    async with mosquitto(CALM) as broker, Sink(broker.port, "results/#", "alerts/#") as sink:
        async with serving(project(tmp_path, broker)) as daemon:
            await publish(broker.port, TOPIC, texts[:4000])
            await daemon.until(lambda status: status["totals"]["received"] >= 500)
            seen = len(daemon.log)
            await broker.stop()
            await daemon.logged("disconnected", after=seen)
            await broker.start()
            await daemon.logged("connected", after=seen)
            await publish(broker.port, TOPIC, texts[4000:])
            await all_results(sink, len(rows))
            status = await daemon.ask("status")
            assert await daemon.stop() == 0

        assert_equal_to_pandas(sink, rows)
        assert status["pipelines"][0]["succeeded"] == len(rows)
        results = [message for message in sink.messages if message[0] == "results/press"]
        report(f"broker restarted: {len(rows)} runs, {len(results) - len(rows)} results published again")
