"""Pipelines are swapped while the daemon runs: changed code and settings, all or none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from fp_events.app.watching import fingerprint
from fp_events.domain.errors import CommandRefused
from fp_events.runtime.options import ServiceOptions

from .conftest import CODE, Daemon, House


def code(version: int) -> str:
    return CODE.replace('{"n": n}', f'{{"n": n, "v": {version}}}')


def versions(house: House) -> list[tuple[int, int]]:
    """Number of the run and version of the code, for every result."""
    return [(value["n"], value["v"]) for value in house.published("out/work")]


async def results(daemon: Daemon, house: House, count: int) -> list[tuple[int, int]]:
    await daemon.until(lambda: len(versions(house)) >= count)
    return versions(house)


@pytest.mark.parametrize("executor", ["threadpool", "local", "processpool"])
async def test_new_code_runs_and_says_so(house: House, executor: str) -> None:
    """Each result carries the version that made it; the connection stays."""
    run = {"executor": {"type": executor}}
    house.pipeline(code=code(1), run=run)
    async with house.serving() as daemon:
        house.publish("in/work", 1)
        await results(daemon, house, 1)
        assert {} == (await daemon.ask("reload"))["reloaded"]
        house.pipeline(code=code(2), run=run)
        new = (await daemon.ask("reload"))["reloaded"]["work"]
        house.publish("in/work", 2)
        assert [(1, 1), (2, 2)] == await results(daemon, house, 2)
        old, latest = (dict(one.properties.user)["version"] for one in house.publications("out/work"))
        assert (True, new) == (old != latest, latest)
        status = await daemon.ask("status")
        assert (1, new, {"done": 2, "refused": 0}) == (
            status["broker"]["connections"],
            status["pipelines"][0]["version"],
            status["reload"],
        )


async def test_a_run_under_way_ends_with_the_version_it_began_with(house: House) -> None:
    """One that waits takes the newest."""
    house.pipeline(code=code(1), run={"executor": {"type": "threadpool", "max_workers": 2}})
    async with house.serving() as daemon:
        house.publish("in/work", 1, "gate")
        await house.steering.gates[1].entered()
        await daemon.ask("pause", pipeline="work")
        house.publish("in/work", 2)
        await daemon.asked(lambda status: status["totals"]["pending"] == 2)
        house.pipeline(code=code(2), run={"executor": {"type": "threadpool", "max_workers": 2}})
        await daemon.ask("reload")
        house.steering.open_all()
        assert [(1, 1)] == await results(daemon, house, 1)
        await daemon.ask("resume", pipeline="work")
        assert [(1, 1), (2, 2)] == await results(daemon, house, 2)


Change = Callable[[House], None]


def broken_code(house: House) -> None:
    house.pipeline(code="def result(n: int) -> int:\n    return n +\n")


def broken_yaml(house: House) -> None:
    house.pipeline(code=code(2), outputs=[{"nodes": "result"}])


def missing_input(house: House) -> None:
    house.pipeline(code=code(2).replace("n: int", "n: int, other: int"))


def other_topic(house: House) -> None:
    house.pipeline(
        code=code(2), triggers=[{"topic": "in/other", "map": {"n": "payload.n", "do": "payload.do ?? null"}}]
    )


def gone(house: House) -> None:
    house.pipeline(code=code(2))
    (house.folder / "conf/pipelines/second.yml").unlink()
    (house.folder / "pipelines/second.py").unlink()


def other_state(house: House) -> None:
    house.pipeline(code=code(2).replace("n: int", "n: int, before: dict | None"), state={"result": "before"})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (broken_code, "pipelines/work.py:2: module 'pipelines.work' cannot be imported"),
        (broken_yaml, "conf/pipelines/work.yml"),
        (missing_input, "other"),
        (other_topic, "has other triggers"),
        (gone, "pipeline 'second' is gone"),
        (other_state, "keeps other state than before"),
    ],
)
async def test_what_cannot_be_taken_over_is_refused(house: House, change: Change, sentence: str) -> None:
    """With a sentence that says where; the old version runs on, and the next good one is taken."""
    house.pipeline(code=code(1))
    house.pipeline("second")
    async with house.serving() as daemon:
        change(house)
        with pytest.raises(CommandRefused) as refusal:
            await daemon.ask("reload")
        assert sentence in str(refusal.value)
        house.publish("in/work", 1)
        assert [(1, 1)] == await results(daemon, house, 1)
        house.pipeline("second")
        house.pipeline(code=code(3))
        await daemon.ask("reload")
        house.publish("in/work", 2)
        assert [(1, 1), (2, 3)] == await results(daemon, house, 2)


async def test_settings_are_taken_over(house: House) -> None:
    """Outputs, maps, retries; a change that needs a start is named."""
    house.pipeline(code=code(1))
    async with house.serving() as daemon:
        house.pipeline(
            code=code(1),
            triggers=[{"topic": "in/work", "map": {"n": "payload.m", "do": "payload.do ?? null"}}],
            outputs=[{"node": "result", "topic": "out/elsewhere"}],
            run={"max_retries": 1, "retry_delay": 0},
        )
        house.project(events={"status": "none"})
        assert ["events"] == (await daemon.ask("reload"))["needs_restart"]
        house.broker.publish("in/work", '{"m": 5, "do": ["fail", "ok"]}')
        await daemon.until(lambda: house.published("out/elsewhere"))
        assert ([5, 5], [{"n": 5, "v": 1}]) == (house.steering.calls, house.published("out/elsewhere"))


async def test_another_executor_takes_over(house: House) -> None:
    """A run on the old one can still be cancelled, and the old one is closed when nothing runs there."""
    slow = "import time\n\n\ndef result(n: int) -> dict:\n    time.sleep(600)\n    return {}\n"
    triggers = [{"topic": "in/work", "map": {"n": "payload.n"}}]
    house.pipeline(code=slow, triggers=triggers, run={"executor": {"type": "processpool", "max_workers": 1}})
    async with house.serving() as daemon:
        house.publish("in/work", 1)
        await daemon.asked(lambda status: status["executors"]["processpool(1)"]["busy"])
        house.pipeline(code=slow.replace("600", "0"), triggers=triggers, run={"executor": {"type": "threadpool"}})
        await daemon.ask("reload")
        house.publish("in/work", 2)
        assert ["succeeded"] == await daemon.outcomes(1)
        (cancelled,) = (await daemon.ask("runs.cancel", state="running"))["cancelled"]
        assert ("running", False) == (cancelled["was"], cancelled["abandoned"])
        await daemon.until(lambda: not daemon.service.parts.reloader.retiring)


async def test_schedules_are_taken_over(house: House) -> None:
    """As `schedules sync` does."""
    house.pipeline(code=code(1))
    async with house.serving() as daemon:
        house.pipeline(code=code(1), schedule={"interval": "1h"}, run={"inputs": {"n": 1, "do": None}})
        await daemon.ask("reload")
        assert 1 == len((await daemon.ask("schedules.list"))["schedules"])


async def test_a_signal_and_a_change_of_files_reload(house: House) -> None:
    """What comes of it is logged."""

    def watching(options: ServiceOptions) -> ServiceOptions:
        return replace(options, watch=lambda: fingerprint(house.folder))

    def logged(daemon: Daemon, event: str) -> list[dict[str, Any]]:
        return [facts for name, facts in daemon.log if name == event]

    house.pipeline(code=code(1))
    async with house.serving(watching) as daemon:
        daemon.service.reload()
        await daemon.until(lambda: logged(daemon, "reloaded"))
        broken_code(house)
        await daemon.until(lambda: logged(daemon, "reload_refused"))
        assert "pipelines/work.py:2" in logged(daemon, "reload_refused")[0]["error"]
        house.pipeline(code=code(2))
        await daemon.until(lambda: len(logged(daemon, "reloaded")) == 2)
        house.publish("in/work", 1)
        assert [(1, 2)] == await results(daemon, house, 1)


async def test_reloads_amid_messages_lose_and_repeat_nothing(house: House) -> None:
    """Ten versions, one of them broken, under a stream of messages."""
    house.pipeline(code=code(0))
    async with house.serving() as daemon:
        sent = 0

        async def stream() -> None:
            nonlocal sent
            while True:
                for _ in range(10):
                    house.publish("in/work", sent)
                    sent += 1
                await asyncio.sleep(0.01)

        sending = asyncio.create_task(stream())
        for version in range(1, 11):
            if version == 5:
                broken_code(house)
                with pytest.raises(CommandRefused):
                    await daemon.ask("reload")
            else:
                house.pipeline(code=code(version))
                await daemon.ask("reload")
                await daemon.until(lambda: versions(house)[-1][1] == version)  # noqa: B023 (awaited here)
        sending.cancel()
        found = await results(daemon, house, sent)
        assert list(range(sent)) == sorted(number for number, _ in found)
        made = {dict(one.properties.user)["version"] for one in house.publications("out/work")}
        assert len({version for _, version in found}) == len(made) == 10
        assert 1 == (await daemon.ask("status"))["broker"]["connections"]


async def test_a_new_pipeline_is_subscribed_while_the_daemon_runs(house: House) -> None:
    """Its messages come from then on, and those of the others go on; a restart subscribes to the same."""
    house.pipeline()
    async with house.serving() as daemon:
        house.pipeline("new")
        assert {"new"} == set((await daemon.ask("reload"))["reloaded"])
        house.publish("in/new", 1)
        house.publish("in/work", 2)
        await daemon.until(lambda: house.published("out/new") and house.published("out/work"))
        assert ([{"n": 1}], [{"n": 2}]) == (house.published("out/new"), house.published("out/work"))
        status = await daemon.ask("status")
        assert (1, {"in/new", "in/work"}) == (status["broker"]["connections"], set(status["broker"]["granted"]))
        await daemon.stop()
    house.publish("in/new", 3)
    async with house.serving() as daemon:
        await daemon.until(lambda: len(house.published("out/new")) == 2)


async def test_a_wider_trigger_beside_a_narrow_one_brings_each_message_once(house: House) -> None:
    """The old trigger keeps its subscription: copies that are under way are still its."""
    house.pipeline(triggers=[trigger("in/work")])
    async with house.serving() as daemon:
        house.pipeline(triggers=[trigger("in/work"), trigger("in/#")])
        await daemon.ask("reload")
        house.publish("in/work", 1)
        house.publish("in/else", 2)
        await daemon.outcomes(3)
        house.pipeline(triggers=[trigger("in/work"), trigger("in/#"), trigger("in/+")])
        await daemon.ask("reload")
        house.publish("in/work", 3)
        await daemon.outcomes(6)
        await daemon.stop()
        found = sorted(
            (record.trigger, result) for record, result in zip(daemon.ended, house.steering.calls, strict=True)
        )
        assert [("in/#", 1), ("in/#", 2), ("in/#", 3), ("in/+", 3), ("in/work", 1), ("in/work", 3)] == found


def trigger(topic: str) -> dict[str, Any]:
    return {"topic": topic, "map": {"n": "payload.n", "do": "payload.do ?? null"}}


async def test_a_disabled_pipeline_is_unsubscribed(house: House) -> None:
    """The broker keeps nothing for it; enabled, it gets what comes from then on."""
    house.pipeline()
    house.pipeline("other")
    async with house.serving() as daemon:
        house.pipeline(enabled=False)
        await daemon.ask("reload")
        house.publish("in/work", 1)
        house.publish("in/other", 2)
        await daemon.outcomes(1)
        house.pipeline()
        await daemon.ask("reload")
        house.publish("in/work", 3)
        await daemon.outcomes(2)
        assert [2, 3] == house.steering.calls


async def test_executors_of_old_versions_leave_nothing(house: House) -> None:
    """However often a daemon reloads, it has as many tasks and executors as before."""
    house.pipeline(run={"executor": {"type": "threadpool", "max_workers": 1}})
    async with house.serving() as daemon:
        reloader = daemon.service.parts.reloader
        await daemon.ask("status")
        before = len(asyncio.all_tasks())
        for count in (3, 2, 3, 2):
            house.pipeline(run={"executor": {"type": "threadpool", "max_workers": count}})
            await daemon.ask("reload")
            house.publish("in/work", count)
        await daemon.until(lambda: len(house.steering.calls) == 4)
        await daemon.until(lambda: not reloader.retiring)
        # The last one that a reload brought is collected from.
        await daemon.until(lambda: len(asyncio.all_tasks()) <= before + 1)
        assert () == daemon.service.parts.runner.lanes["work"].former


async def test_a_trigger_stays_with_the_subscription_that_brought_it_its_messages(house: House) -> None:
    """Two that overlap cover it; after a start with both, what the broker kept under the first one is its."""
    house.use_sqlite()
    narrow = [trigger("in/+/c"), trigger("in/b/c")]
    house.pipeline(triggers=narrow)
    async with house.serving() as daemon:
        await daemon.stop()
    house.publish("in/b/c", 1)
    house.pipeline("above", triggers=[trigger("in/b/+")])
    async with house.serving() as daemon:
        await daemon.outcomes(2)
        assert {"in/+/c", "in/b/c"} <= {record.trigger for record in daemon.ended}
