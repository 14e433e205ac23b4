"""More runs wait than memory holds: they stay in the ledger, and come in their order."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest

from fp_events.ledgers.sqlite import SqliteLedger
from fp_events.runtime import overflow
from fp_events.runtime.limits import Limits
from fp_events.runtime.options import ServiceOptions

from .conftest import Daemon, House

CODE = '''
def seen(key: str, n: int) -> dict:
    """What came."""
    return {"key": key, "n": n}
'''


def small(options: ServiceOptions) -> ServiceOptions:
    """Memory for few runs beside a ledger on the disk."""
    assert isinstance(options.ledger, SqliteLedger)
    return replace(options, limits=Limits(pending_runs=20), ledger_path=options.ledger.path)


@pytest.fixture
def plant(house: House, monkeypatch: pytest.MonkeyPatch) -> House:
    """A pipeline with a key, and a ledger that is read in small pages."""
    monkeypatch.setattr(overflow, "PAGE", 30)
    house.use_sqlite()
    trigger = {"topic": "in/{source}", "key": "{source}", "map": {"key": "topic.source", "n": "payload.n"}}
    house.pipeline(code=CODE, triggers=[trigger], outputs=[{"node": "seen", "topic": "out/work"}])
    return house


def by_key(house: House) -> dict[str, list[int]]:
    """Numbers of the results, by key, as they were published."""
    found = defaultdict(list)
    for value in house.published("out/work"):
        found[value["key"]].append(value["n"])
    return dict(found)


async def over(daemon: Daemon) -> dict[str, Any]:
    """Wait until everything waits in memory again."""
    return await daemon.asked(lambda status: not status["overflow"]["active"])


async def test_what_memory_has_no_room_for_is_accepted_all_the_same(plant: House) -> None:
    """The broker is rid of it, nothing runs while the pipeline is paused, and then all of it runs once, in order."""
    async with plant.serving(small) as daemon:
        await daemon.ask("pause", pipeline="work")
        for number in range(300):
            plant.publish(f"in/{number % 3}", number)
            if number % 100 == 50:
                await daemon.until(lambda: plant.unacknowledged("daemon") == 0)
        await daemon.until(lambda: plant.unacknowledged("daemon") == 0)
        status = await daemon.ask("status")
        assert status["overflow"]["active"]
        assert 300 == status["overflow"]["runs"] + status["totals"]["pending"]
        await daemon.ask("resume", pipeline="work")
        await daemon.until(lambda: len(plant.published("out/work")) == 300)
        assert {str(key): list(range(key, 300, 3)) for key in range(3)} == by_key(plant)
        assert {"active": False, "runs": 0} == (await over(daemon))["overflow"]


@pytest.mark.parametrize("seed", range(8))
async def test_messages_that_come_meanwhile_keep_their_order(plant: House, seed: int) -> None:
    """Bursts of any size, at any time: while runs are left, while they are read, while both join."""
    rng = random.Random(seed)
    sent: dict[str, list[int]] = defaultdict(list)
    async with plant.serving(small) as daemon:
        for number in range(600):
            key = rng.choice("abcd")
            sent[key].append(number)
            plant.publish(f"in/{key}", number)
            if rng.random() < 0.05:
                await asyncio.sleep(rng.choice((0.0, 0.001, 0.01, 0.05)))
        await daemon.until(lambda: len(plant.published("out/work")) >= 600)
        assert sent == by_key(plant)
        await over(daemon)
        plant.publish("in/a", 600)
        await daemon.until(lambda: len(plant.published("out/work")) == 601)


async def test_what_is_left_is_found_by_the_next_daemon(plant: House) -> None:
    """And it takes only as much into memory as that has room for."""
    async with plant.serving(small) as daemon:
        await daemon.ask("pause", pipeline="work")
        for number in range(200):
            plant.publish("in/a", number)
            if number == 50:
                await daemon.until(lambda: plant.unacknowledged("daemon") == 0)
        await daemon.until(lambda: plant.unacknowledged("daemon") == 0)
        await daemon.stop()
    async with plant.serving(small) as daemon:
        status = await daemon.ask("status")
        assert (True, True) == (status["overflow"]["active"], status["totals"]["pending"] < 60)
        plant.publish("in/a", 200)
        await daemon.ask("resume", pipeline="work")
        await daemon.until(lambda: len(plant.published("out/work")) == 201)
        assert {"a": list(range(201))} == by_key(plant)


async def test_a_run_that_is_left_can_be_cancelled_and_shown(plant: House) -> None:
    """Commands find it where it is; one that a command starts does not wait behind all others."""
    async with plant.serving(small) as daemon:
        await daemon.ask("pause", pipeline="work")
        for number in range(200):
            plant.publish("in/a", number)
            if number == 50:
                await daemon.until(lambda: plant.unacknowledged("daemon") == 0)
        await daemon.until(lambda: plant.unacknowledged("daemon") == 0)
        newest = (await daemon.ask("runs.list", limit=1))["runs"][0]["run_id"]
        assert [newest] == [row["run_id"] for row in (await daemon.ask("runs.cancel", run_ids=[newest]))["cancelled"]]
        await daemon.ask("resume", pipeline="work")
        await daemon.until(lambda: len(plant.published("out/work")) == 199)
        await over(daemon)
        assert {"a": list(range(199))} == by_key(plant)
