"""Any history of messages, cancellations, pauses, reloads and restarts: every run ends once, and as it was told."""

from __future__ import annotations

import asyncio
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fp_events.domain.run import Outcome

from . import gates
from .conftest import Daemon, House
from .test_histories import fold, ledger_outcomes

DEEDS = st.sampled_from([("ok",), ("ok",), ("slow",), ("fail", "ok"), ("fail",), ("hang",)])
MESSAGE = st.tuples(st.sampled_from("ab"), DEEDS)
EVENT = st.sampled_from(
    [
        "nothing",
        "breathe",
        "cancel last",
        "cancel key",
        "cancel all",
        "pause",
        "pause trigger",
        "resume",
        "reload",
        "restart",
    ]
)


@given(history=st.lists(st.tuples(MESSAGE, EVENT), min_size=1, max_size=20), sqlite=st.booleans())
@settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow],
)
def test_what_was_cancelled_stays_so(history: list[tuple[tuple[str, tuple[str, ...]], str]], sqlite: bool) -> None:
    """No result and no state of it; all others are folded in order, each exactly once; nothing stays behind."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(live_through(Path(folder), history, sqlite=sqlite))


def configure(house: House, delay: float) -> None:
    run = {"max_retries": 1, "retry_delay": delay, "timeout": 5, "executor": {"type": "threadpool", "max_workers": 3}}
    house.keyed(run=run)


async def live_through(folder: Path, history: list[tuple[tuple[str, tuple[str, ...]], str]], *, sqlite: bool) -> None:
    house = House(folder)
    configure(house, 0.003)
    if sqlite:
        house.use_sqlite()
    told: set[str] = set()
    numbered = list(enumerate(history, start=1))
    while numbered:
        numbered = await live(house, numbered, told)
    async with house.serving() as daemon:
        await resume(daemon)
        await daemon.asked(
            lambda status: (
                status["totals"]["pending"] == 0
                and sum(status["pipelines"][0][name] for name in ("succeeded", "failed", "timed_out", "cancelled"))
                == len(history)
            )
        )
        runs = (await daemon.ask("runs.list", limit=1000))["runs"]
        assert await daemon.stop()
    gates.renew()

    assert told == {run["run_id"] for run in runs if run["outcome"] == "cancelled"}
    outcomes, _ = await ledger_outcomes(house)
    assert sorted(outcomes) == [number for number, _ in enumerate(history, start=1)]
    results: dict[str, list[int]] = defaultdict(list)
    for item in house.published("out/work"):
        if item["n"] not in results[item["key"]]:
            results[item["key"]].append(item["n"])
            assert item["total"] == fold(results[item["key"]])
    expected: dict[str, list[int]] = defaultdict(list)
    for number, ((key, _), _) in enumerate(history, start=1):
        if outcomes[number] is Outcome.SUCCEEDED:
            expected[key].append(number)
    assert expected == results
    assert set() == house.steering.overlaps


async def live(house: House, numbered: list[Any], told: set[str]) -> list[Any]:
    """One life; what is left of the history."""
    async with house.serving() as daemon:
        for index, (number, ((key, deeds), event)) in enumerate(numbered):
            house.publish(f"in/work/{key}", number, *deeds)
            if event == "restart":
                await daemon.stop()
                return numbered[index + 1 :]
            await happen(house, daemon, event, key, told)
        await daemon.stop()
    return []


async def happen(house: House, daemon: Daemon, event: str, key: str, told: set[str]) -> None:
    if event == "breathe":
        await asyncio.sleep(0.004)
    elif event.startswith("cancel"):
        chosen: dict[str, Any] = {"all": True}
        if event == "cancel key":
            chosen = {"key": key}
        elif event == "cancel last":
            runs = (await daemon.ask("runs.list", limit=1))["runs"]
            chosen = {"run_ids": [run["run_id"] for run in runs]}
        answer = await daemon.ask("runs.cancel", **chosen)
        told |= {row["run_id"] for row in answer["cancelled"]}
        assert all("ended already" in row["reason"] for row in answer["refused"])
    elif event == "pause":
        await daemon.ask("pause", pipeline="work")
    elif event == "pause trigger":
        await daemon.ask("pause", pipeline="work", trigger="in/work/{source}")
    elif event == "resume":
        await resume(daemon)
    elif event == "reload":
        configure(house, 0.002)
        await daemon.ask("reload")


async def resume(daemon: Daemon) -> None:
    await daemon.ask("resume", pipeline="work")
    await daemon.ask("resume", pipeline="work", trigger="in/work/{source}")
