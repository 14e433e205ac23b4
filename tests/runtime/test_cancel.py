"""Runs are ended by command, wherever they are."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fp_events import codecs
from fp_events.runtime.commands import CommandTable

from . import gates
from .conftest import Daemon, House

ASLEEP = """
import time


def result(n: int) -> int:
    time.sleep(600)
    return n
"""
AWAITING = """
import asyncio


async def result(n: int) -> int:
    await asyncio.sleep(600)
    return n
"""
PLAIN: dict[str, Any] = {"triggers": [{"topic": "in/work", "map": {"n": "payload.n"}}]}


async def cancel(daemon: Daemon, *run_ids: str) -> tuple[dict[str, Any], ...]:
    """What was cancelled, and what was not."""
    answer = await daemon.ask("runs.cancel", run_ids=list(run_ids))
    return (
        {row["run_id"]: row["was"] for row in answer["cancelled"]},
        {row["run_id"]: row["reason"] for row in answer["refused"]},
    )


async def one_run(daemon: Daemon, **filters: object) -> str:
    """The id of the one run that fits, once there is one."""
    async with asyncio.timeout(gates.PATIENCE):
        while True:
            runs = (await daemon.ask("runs.list", **filters))["runs"]
            if len(runs) == 1:
                return str(runs[0]["run_id"])
            await asyncio.sleep(0.005)


async def told(daemon: Daemon, house: House, topic: str) -> list[Any]:
    """What was published to a topic, once something was."""
    await daemon.until(lambda: house.published(topic))
    return house.published(topic)


async def outcome(daemon: Daemon, run_id: str) -> str:
    return str((await daemon.ask("runs.show", run_id=run_id))["outcome"])


async def test_a_queued_run_is_cancelled_and_the_next_of_its_key_goes_on(house: House) -> None:
    """Also when it was the first of its key; a status event tells of it, a dead letter does not."""
    house.keyed()
    async with house.serving() as daemon:
        await daemon.ask("pause", pipeline="work")
        house.publish("in/work/a", 1)
        first = await one_run(daemon)
        house.publish("in/work/a", 2)
        await daemon.asked(lambda status: status["totals"]["pending"] == 2)
        assert ({first: "queued"}, {}) == await cancel(daemon, first)
        await daemon.ask("resume", pipeline="work")
        assert ["cancelled", "succeeded"] == await daemon.outcomes(2)
        assert [2] == house.steering.calls
        await daemon.until(lambda: house.published("fp/house/events/work/cancelled"))
        assert [] == (await daemon.ask("dlq.list"))["dead_letters"]


async def test_a_run_that_waits_for_its_retry_is_cancelled(house: House) -> None:
    """It is not tried again."""
    house.pipeline(run={"max_retries": 5, "retry_delay": 60})
    async with house.serving() as daemon:
        house.publish("in/work", 1, "fail")
        run_id = await one_run(daemon, state="waiting")
        assert ({run_id: "waiting"}, {}) == await cancel(daemon, run_id)
        assert ["cancelled"] == await daemon.outcomes(1)
        shown = await daemon.ask("runs.show", run_id=run_id)
        assert ("cancelled", 1, "ValueError: run 1 fails") == (
            shown["outcome"],
            shown["attempt"],
            shown["attempts"][0]["error"],
        )


async def test_a_thread_is_abandoned_and_said_so(house: House) -> None:
    """What it returns is thrown away, and its key waits for it."""
    house.keyed()
    async with house.serving() as daemon:
        house.publish("in/work/a", 1, "gate")
        await house.steering.gates[1].entered()
        first = await one_run(daemon)
        house.publish("in/work/a", 2)
        await daemon.asked(lambda status: status["totals"]["pending"] == 2)
        answer = await daemon.ask("runs.cancel", run_ids=[first])
        assert [("running", True)] == [(row["was"], row["abandoned"]) for row in answer["cancelled"]]
        assert ("cancelled", [1]) == (await outcome(daemon, first), house.steering.calls)
        house.steering.open_all()
        assert ["cancelled", "succeeded"] == await daemon.outcomes(2)
        assert set() == house.steering.overlaps
        assert [{"n": 2, "key": "a", "total": 2}] == await told(daemon, house, "out/work")


@pytest.mark.parametrize(
    ("code", "executor"), [(AWAITING, "local"), (ASLEEP, "processpool"), (AWAITING, "processpool")]
)
async def test_a_task_and_a_process_are_stopped(house: House, code: str, executor: str) -> None:
    """At once, and not by abandoning them."""
    house.pipeline(code=code, run={"executor": {"type": executor, "max_workers": 1}, "max_retries": 3}, **PLAIN)
    async with house.serving() as daemon:
        house.publish("in/work", 1)
        run_id = await one_run(daemon)
        await daemon.asked(lambda status: any(each["busy"] for each in status["executors"].values()))
        answer = await daemon.ask("runs.cancel", run_ids=[run_id])
        assert [(run_id, "running", False)] == [
            (row["run_id"], row["was"], row["abandoned"]) for row in answer["cancelled"]
        ]
        assert ["cancelled"] == await daemon.outcomes(1)


async def test_it_is_the_same_the_second_time_and_too_late_is_told(house: House) -> None:
    """Cancelled is cancelled; what has ended otherwise, and what is not there, is named with a reason."""
    house.pipeline()
    async with house.serving() as daemon:
        await daemon.ask("run", pipeline="work", inputs={"n": 1, "do": None}, run_id="done", wait=True)
        await daemon.ask("run", pipeline="work", inputs={"n": 2, "do": None}, run_id="later", run_in="1h")
        assert "waiting" == (await cancel(daemon, "later"))[0]["later"]
        assert {"later": "cancelled"} == (await cancel(daemon, "later"))[0]
        _, refused = await cancel(daemon, "done", "none")
        assert {"done": "it has ended already: succeeded", "none": "there is no such run"} == refused


async def test_who_waits_for_a_delayed_run_is_told_that_it_was_cancelled(house: House) -> None:
    """Though nobody held it yet."""
    house.pipeline()
    async with house.serving() as daemon:
        asked = {"pipeline": "work", "inputs": {"n": 1, "do": None}, "run_id": "later", "run_in": 3600}
        waiting = asyncio.create_task(daemon.ask("run", **asked, wait=True))
        await one_run(daemon, state="waiting")
        await cancel(daemon, "later")
        assert "cancelled" == (await waiting)["outcome"]


async def test_filters_choose(house: House) -> None:
    """By pipeline and by state; finished ones are passed over."""
    house.pipeline()
    house.pipeline("other")
    async with house.serving() as daemon:
        for name in ("work", "other"):
            await daemon.ask("run", pipeline=name, inputs={"n": 1, "do": None}, wait=True)
            for number in (1, 2):
                await daemon.ask("run", pipeline=name, inputs={"n": number, "do": None}, run_in="1d")
        assert [] == (await daemon.ask("runs.cancel", pipeline="work", state="queued"))["cancelled"]
        assert [] == (await daemon.ask("runs.cancel", pipeline="work", state="finished"))["cancelled"]
        assert ["work"] * 2 == [
            row["pipeline"] for row in (await daemon.ask("runs.cancel", pipeline="work"))["cancelled"]
        ]
        assert ["other"] * 2 == [row["pipeline"] for row in (await daemon.ask("runs.cancel", all=True))["cancelled"]]


async def test_what_no_daemon_holds_is_cancelled_in_the_ledger(house: House) -> None:
    """Without a daemon, and with one that no longer has the pipeline; a later daemon runs none of it."""
    house.use_sqlite()
    house.pipeline()
    house.pipeline("gone")
    async with house.serving() as daemon:
        for name in ("work", "gone"):
            await daemon.ask("run", pipeline=name, inputs={"n": 1, "do": None}, run_id=name, run_in="1h")
        await daemon.stop()
    await house.ledger.open()
    table = CommandTable(house.ledger, None, codecs.state_to_json)
    answer = await table.call("runs.cancel", {"run_ids": ["work"]})
    assert ["waiting"] == [row["was"] for row in answer["cancelled"]]
    await house.ledger.close()
    (house.folder / "conf/pipelines/gone.yml").unlink()
    house.pipeline("new")
    async with house.serving() as daemon:
        assert ({"gone": "waiting", "work": "cancelled"}, {}) == await cancel(daemon, "work", "gone")
        assert ["cancelled"] * 2 == [await outcome(daemon, name) for name in ("work", "gone")]


async def test_what_a_killed_daemon_left_running_is_cancelled_in_the_ledger(house: House) -> None:
    """It is claimed first: only an owner ends a run."""
    house.pipeline()
    async with house.serving() as daemon:
        house.publish("in/work", 1, "gate")
        await house.steering.gates[1].entered()
        run_id = await one_run(daemon, state="running")
        await daemon.crash()
    await house.ledger.open()
    table = CommandTable(house.ledger, None, codecs.state_to_json)
    answer = await table.call("runs.cancel", {"run_ids": [run_id]})
    assert ["running"] == [row["was"] for row in answer["cancelled"]]
    await house.ledger.close()
    async with house.serving() as daemon:
        assert "cancelled" == await outcome(daemon, run_id)
        assert 0 == (await daemon.ask("status"))["totals"]["pending"]


@pytest.mark.parametrize("acknowledge", ["when_received", "when_executed"])
async def test_a_run_that_the_ledger_does_not_know_is_cancelled(house: House, acknowledge: str) -> None:
    """Of a trigger that does not save its messages; the next message is served."""
    mapping = {"n": "payload.n", "do": "payload.do ?? null"}
    house.pipeline(triggers=[{"topic": "in/work", "map": mapping, "acknowledge": acknowledge}])
    house.project(events={"status": "all"})
    async with house.serving() as daemon:
        house.publish("in/work", 1, "gate")
        await house.steering.gates[1].entered()
        await daemon.until(lambda: house.published("fp/house/events/work/started"))
        run_id = house.published("fp/house/events/work/started")[0]["run_id"]
        assert ({run_id: "running"}, {}) == await cancel(daemon, run_id)
        house.publish("in/work", 2)
        assert ["cancelled", "succeeded"] == await daemon.outcomes(2)
