"""Runs are run again, or forgotten, by id and by filter."""

from __future__ import annotations

from fp_events import codecs
from fp_events.runtime.commands import CommandTable

from .conftest import Daemon, House


async def one_of_each(house: House, daemon: Daemon) -> tuple[str, str]:
    """The ids of a run that succeeded and of one that failed, both caused by messages."""
    house.publish("in/work", 1)
    await daemon.outcomes(1)
    house.publish("in/work", 2, "fail", "ok")
    await daemon.outcomes(2)
    return daemon.ended[0].run_id, daemon.ended[1].run_id


async def test_a_replay_is_a_new_run_that_names_its_origin(house: House) -> None:
    """On the same message, published under ids of its own; the origin stays as it was."""
    house.pipeline()
    async with house.serving() as daemon:
        good, bad = await one_of_each(house, daemon)
        answer = await daemon.ask("runs.replay", run_ids=[good, bad, "none"])
        assert [good, bad] == [row["replay_of"] for row in answer["replayed"]]
        assert [{"run_id": "none", "reason": "there is no such run"}] == answer["refused"]
        await daemon.outcomes(4)
        new = await daemon.ask("runs.show", run_id=answer["replayed"][0]["run_id"])
        assert ("succeeded", "command", good, "in/work") == (
            new["outcome"],
            new["cause"],
            new["replay_of"],
            new["message"]["topic"],
        )
        assert "failed" == (await daemon.ask("runs.show", run_id=bad))["outcome"]
        await daemon.until(lambda: len(house.published("out/work")) == 3)
        ids = [dict(one.properties.user)["event_id"] for one in house.publications("out/work")]
        assert 3 == len(set(ids))


async def test_a_replay_of_a_replay_and_of_a_command(house: House) -> None:
    """Inputs and overrides come along."""
    house.pipeline()
    async with house.serving() as daemon:
        asked = {"pipeline": "work", "inputs": {"n": 7, "do": ["fail"]}, "max_retries": 1, "retry_delay": 0}
        await daemon.ask("run", **asked, run_id="first", wait=True)
        (second,) = (await daemon.ask("runs.replay", run_ids=["first"]))["replayed"]
        await daemon.outcomes(2)
        (third,) = (await daemon.ask("runs.replay", run_ids=[second["run_id"]]))["replayed"]
        assert second["run_id"] == third["replay_of"]
        await daemon.outcomes(3)
        assert [7] * 6 == house.steering.calls


async def test_only_dead_letters_are_retried(house: House) -> None:
    """With filters those that fit; what is none is told how to be run again."""
    house.pipeline()
    async with house.serving() as daemon:
        good, bad = await one_of_each(house, daemon)
        (refusal,) = (await daemon.ask("runs.retry", run_ids=[good]))["refused"]
        assert "`fp-events runs replay`" in refusal["reason"]
        assert [] == (await daemon.ask("runs.retry", pipeline="work", outcome="timed_out"))["retried"]
        assert [] == (await daemon.ask("runs.retry", until="2020-01-01T00:00:00Z"))["retried"]
        assert [bad] == (await daemon.ask("runs.retry", pipeline="work", outcome="failed,timed_out"))["retried"]
        assert "succeeded" == (await daemon.outcomes(3))[2]


async def test_finished_runs_are_purged(house: House) -> None:
    """By filter; one that has not ended is refused."""
    house.pipeline()
    async with house.serving() as daemon:
        good, bad = await one_of_each(house, daemon)
        await daemon.ask("run", pipeline="work", inputs={"n": 3, "do": None}, run_id="later", run_in=60)
        answer = await daemon.ask("runs.purge", run_ids=["later"])
        assert (0, "it is waiting; cancel it first") == (answer["purged"], answer["refused"][0]["reason"])
        assert 1 == (await daemon.ask("runs.purge", outcome="succeeded"))["purged"]
        assert {bad, "later"} == {run["run_id"] for run in (await daemon.ask("runs.list"))["runs"]}
        assert 1 == (await daemon.ask("runs.purge", all=True))["purged"]
        assert good not in [run["run_id"] for run in (await daemon.ask("runs.list"))["runs"]]


async def test_without_a_daemon_they_wait_for_the_next_one(house: House) -> None:
    """Replayed in the ledger, run at the next start."""
    house.use_sqlite()
    house.pipeline()
    async with house.serving() as daemon:
        good, bad = await one_of_each(house, daemon)
        assert await daemon.stop()
    await house.ledger.open()
    table = CommandTable(house.ledger, None, codecs.state_to_json)
    assert [good] == [row["replay_of"] for row in (await table.call("runs.replay", {"run_ids": [good]}))["replayed"]]
    assert [bad] == (await table.call("runs.retry", {"all": True}))["retried"]
    await house.ledger.close()
    async with house.serving() as daemon:
        assert ["succeeded"] * 2 == await daemon.outcomes(2)
