"""Any history of messages, failures, retries, timeouts and restarts: every key's runs in order, each exactly once."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections import defaultdict
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fp_events.domain.records import RunQuery
from fp_events.domain.run import Outcome
from fp_events.ledgers.memory import MemoryLedger

from . import gates
from .conftest import House

#: What each attempt of a run does; the last word is for all further ones.
DEEDS = st.sampled_from(
    [("ok",), ("ok",), ("slow",), ("fail",), ("fail", "ok"), ("fail", "fail", "ok"), ("hang", "ok"), ("hang",)]
)
MESSAGE = st.tuples(st.sampled_from("abc"), DEEDS)
#: What happens between two messages.
EVENT = st.sampled_from(["nothing", "nothing", "breathe", "cut", "restart", "crash"])
RETRIES = 2


@given(history=st.lists(st.tuples(MESSAGE, EVENT), min_size=1, max_size=25), sqlite=st.booleans())
@settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow],
)
def test_keys_are_folded_in_order(history: list[tuple[tuple[str, tuple[str, ...]], str]], sqlite: bool) -> None:
    """Per key: one outcome per message, results in the order of the messages, state as a sequential fold."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(live_through(Path(folder), history, sqlite=sqlite))


async def live_through(folder: Path, history: list[tuple[tuple[str, tuple[str, ...]], str]], *, sqlite: bool) -> None:
    house = House(folder)
    house.keyed(
        run={
            "max_retries": RETRIES,
            "retry_delay": 0.002,
            "timeout": 0.06,
            "executor": {"type": "threadpool", "max_workers": 4},
        }
    )
    if sqlite:
        house.use_sqlite()
    lives: list[list[tuple[int, str, tuple[str, ...], str]]] = [[]]
    for number, ((key, deeds), event) in enumerate(history, start=1):
        lives[-1].append((number, key, deeds, event))
        if event in ("restart", "crash"):
            lives.append([])
    for life in lives:
        await live(house, life)
    await settle(house, len(history))

    outcomes, timed_out = await ledger_outcomes(house)
    assert list(range(1, len(history) + 1)) == sorted(outcomes)
    expected: dict[str, list[int]] = defaultdict(list)
    for number, ((key, deeds), _) in enumerate(history, start=1):
        if outcomes[number] == Outcome.SUCCEEDED:
            expected[key].append(number)
        if "hang" not in deeds and number not in timed_out:  # a busy machine is slow
            assert (outcomes[number] == Outcome.SUCCEEDED) == succeeds(deeds)
    results: dict[str, list[int]] = defaultdict(list)
    for item in house.published("out/work"):
        # Confirmed but not yet marked when the process died: published again, with the same id.
        if item["n"] not in results[item["key"]]:
            results[item["key"]].append(item["n"])
            assert item["total"] == fold(results[item["key"]])
    assert expected == results
    assert set() == house.steering.overlaps


async def ledger_outcomes(house: House) -> tuple[dict[int, Outcome | None], set[int]]:
    """How the run of each message ended, of which every message has one; and which had an attempt that timed out."""
    found: dict[int, Outcome | None] = {}
    timed_out: set[int] = set()
    await house.ledger.open()
    for row in await house.ledger.runs(RunQuery(limit=1000)):
        run = await house.ledger.run(row.run_id)
        assert run is not None
        assert run.message is not None
        number = json.loads(run.message.payload)["n"]
        assert number not in found
        found[number] = run.outcome
        if any(attempt.facts.ended == "timed_out" for attempt in run.attempts):
            timed_out.add(number)
    await house.ledger.close()
    return found, timed_out


def succeeds(deeds: tuple[str, ...]) -> bool:
    """Whether one of the attempts that a run has is a good one."""
    made = [deeds[min(number, len(deeds) - 1)] for number in range(RETRIES + 1)]
    return "ok" in made or "slow" in made


def fold(numbers: list[int]) -> int:
    total = 0
    for number in numbers:
        total = (10 * total + number) % 10**12
    return total


async def live(house: House, life: list[tuple[int, str, tuple[str, ...], str]]) -> None:
    async with house.serving() as daemon:
        for number, key, deeds, event in life:
            house.publish(f"in/work/{key}", number, *deeds)
            if event == "breathe":
                await asyncio.sleep(0.004)
            elif event == "cut":
                house.broker.drop_connections()
            elif event == "crash" and isinstance(house.ledger, MemoryLedger):
                await daemon.crash()
            elif event in ("restart", "crash"):
                await daemon.stop()


async def settle(house: House, count: int) -> None:
    """A last life, in which everything ends: nothing is left in memory, and every message has one outcome."""
    async with house.serving() as daemon:
        await daemon.asked(
            lambda status: (
                status["totals"]["pending"] == 0
                and status["broker"]["connected"]
                and status["pipelines"][0]["succeeded"] + dead(status) == count
            )
        )
        assert await daemon.stop()
    assert not daemon.service.parts.publisher._outbox
    gates.renew()


def dead(status: dict[str, list[dict[str, int]]]) -> int:
    row = status["pipelines"][0]
    return row["failed"] + row["timed_out"]
