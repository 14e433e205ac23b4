"""Commands through the control socket."""

from __future__ import annotations

import asyncio
import json

import pytest

from fp_events.domain.errors import CommandRefused, PipelineNotFound
from fp_events.runtime.socket_door import socket_path

from .conftest import Daemon, House


async def run(daemon: Daemon, number: int, **arguments: object) -> dict[str, object]:
    return await daemon.ask("run", pipeline="work", inputs={"n": number, "do": None}, **arguments)


async def test_a_run_by_command_is_answered_with_its_values(house: House) -> None:
    """With `wait`, when it is durable."""
    house.pipeline()
    async with house.serving() as daemon:
        answer = await run(daemon, 7, wait=True)
        assert ("succeeded", {"result": {"n": 7}}) == (answer["outcome"], answer["values"])
        assert "succeeded" == (await daemon.ask("runs.show", run_id=answer["run_id"]))["outcome"]


async def test_an_id_runs_once(house: House) -> None:
    """However often, and however many at a time, ask for it; who waits is told how it ends."""
    house.use_sqlite()
    house.pipeline()
    async with house.serving() as daemon:
        await run(daemon, 1, run_id="order-17-b", wait=True)
        answers = await asyncio.gather(*(run(daemon, 2, run_id="order-17", wait=True) for _ in range(5)))
        assert ["succeeded"] * 5 == [answer["outcome"] for answer in answers]
        again = await run(daemon, 3, run_id="order-17")
        assert ("finished", True) == (again["state"], again["known"])
        assert [1, 2] == house.steering.calls


@pytest.mark.parametrize(
    "arguments",
    [
        {"run_id": "a:b"},
        {"run_id": ""},
        {"run_id": "x" * 101},
        {"key": "\ud800"},
        {"timeout_s": float("nan")},
        {"inputs": 5},
        {"inputs": {"m": 1}},
        {"pipeline": "wrok"},
        {"final_vars": ["\udfff"]},
        {"wiat": True},
    ],
)
async def test_wrong_arguments_are_refused_and_harm_nothing(house: House, arguments: dict[str, object]) -> None:
    """The daemon answers, and goes on."""
    house.pipeline()
    async with house.serving() as daemon:
        with pytest.raises((CommandRefused, PipelineNotFound)):
            await daemon.ask("run", **{"pipeline": "work", "inputs": {"n": 1}, **arguments})
        assert "succeeded" == (await run(daemon, 1, wait=True))["outcome"]


@pytest.mark.parametrize("arguments", [{"before": float("inf")}, {"before": 1e300}, {"limit": 0}, {"key": "\ud800"}])
async def test_wrong_listings_are_refused(house: House, arguments: dict[str, object]) -> None:
    """Whatever JSON can carry."""
    house.use_sqlite()
    house.pipeline()
    async with house.serving() as daemon:
        with pytest.raises(CommandRefused):
            await daemon.ask("runs.list", **arguments)
        with pytest.raises(CommandRefused):
            await daemon.ask("state.reset", pipeline="work", key="\ud800")
        assert [] == (await daemon.ask("runs.list"))["runs"]


async def test_lines_that_are_no_requests_are_answered(house: House) -> None:
    """And the connection serves on."""
    house.pipeline()
    async with house.serving() as daemon:
        reader, writer = await asyncio.open_unix_connection(socket_path(house.folder / ".fp-events"))
        for line in (b"nonsense", b"[]", b'{"command": 1}', b'{"command": "none"}', b"[" * 100_000):
            writer.write(line + b"\n")
            assert json.loads(await reader.readline())["ok"] is False
        writer.write(b'{"command": "status"}\n')
        assert json.loads(await reader.readline())["ok"] is True
        waiting = asyncio.create_task(reader.readline())
        assert await daemon.stop()
        assert b"" == await waiting
        writer.close()


async def test_a_pause_outlives_the_daemon(house: House) -> None:
    """Messages are accepted and wait."""
    house.use_sqlite()
    house.pipeline()
    async with house.serving() as daemon:
        await daemon.ask("pause", pipeline="work")
        assert await daemon.stop()
    async with house.serving() as daemon:
        house.publish("in/work", 1)
        status = await daemon.asked(lambda status: status["totals"]["pending"] == 1)
        assert (True, 1) == (status["pipelines"][0]["paused"], status["pipelines"][0]["queued"])
        await daemon.ask("resume", pipeline="work")
        assert ["succeeded"] == await daemon.outcomes(1)


async def test_dead_letters_run_again_with_their_history(house: House) -> None:
    """By id or all of them; unknown ones are named; once is enough."""
    house.pipeline()
    async with house.serving() as daemon:
        for number in (1, 2):
            house.publish("in/work", number, "fail", "ok")
        await daemon.outcomes(2)
        first, second = (record.run_id for record in daemon.ended)
        answer = await daemon.ask("dlq.retry", run_ids=[first, "none"])
        assert ([first], ["none"]) == (answer["retried"], [each["run_id"] for each in answer["refused"]])
        await daemon.outcomes(3)
        assert [second] == (await daemon.ask("dlq.retry", all=True))["retried"]
        assert ["failed", "failed", "succeeded", "succeeded"] == await daemon.outcomes(4)
        shown = await daemon.ask("runs.show", run_id=first)
        assert (2, 1, "succeeded") == (shown["attempt"], len(shown["attempts"]), shown["outcome"])


async def test_a_dead_letter_of_a_trigger_that_is_gone_stays_one(house: House) -> None:
    """It is refused, not lost in the queue."""
    house.pipeline()
    house.use_sqlite()
    async with house.serving() as daemon:
        house.publish("in/work", 1, "fail")
        await daemon.outcomes(1)
        run_id = daemon.ended[0].run_id
        assert await daemon.stop()
    house.pipeline(triggers=[{"topic": "elsewhere", "map": {"n": "payload.n", "do": "payload.do"}}])
    async with house.serving() as daemon:
        answer = await daemon.ask("dlq.retry", run_ids=[run_id])
        assert "in/work" in answer["refused"][0]["reason"]
        assert [run_id] == [row["run_id"] for row in (await daemon.ask("dlq.list"))["dead_letters"]]


@pytest.mark.parametrize("how", ["named", "all"])
async def test_refused_results_are_sent_again(house: House, how: str) -> None:
    """Once the broker's access list is mended."""
    house.pipeline()
    house.broker.refuse("out/#")
    async with house.serving() as daemon:
        for number in (1, 2):
            house.publish("in/work", number)
        await daemon.asked(lambda status: status["ledger"]["refused"] == 2)
        await daemon.until(lambda: not daemon.service.parts.committer._waiting)
        rows = (await daemon.ask("dlq.list"))["refused"]
        event_ids = [row["event_id"] for row in rows]
        house.broker._refused.clear()
        arguments = {"all": True} if how == "all" else {"run_ids": [*event_ids, "none:0"]}
        answer = await daemon.ask("dlq.retry", **arguments)
        assert sorted(event_ids) == sorted(answer["resent"])
        assert (["none:0"] if how == "named" else []) == [each["run_id"] for each in answer["refused"]]
        await daemon.until(lambda: len(house.published("out/work")) == 2)
        assert [1, 2] == sorted(item["n"] for item in house.published("out/work"))
        assert [] == (await daemon.ask("dlq.list"))["refused"]


async def test_a_single_trigger_is_paused(house: House) -> None:
    """The other triggers, and commands, go on; it stays so over a restart."""
    house.use_sqlite()
    mapping = {"n": "payload.n", "do": "payload.do ?? null"}
    house.pipeline(triggers=[{"topic": "in/a", "map": mapping}, {"topic": "in/b", "map": mapping}])
    async with house.serving() as daemon:
        await daemon.ask("pause", pipeline="work", trigger="in/a")
        with pytest.raises(CommandRefused, match="its triggers are in/a, in/b"):
            await daemon.ask("pause", pipeline="work", trigger="in/c")
        house.publish("in/a", 1)
        house.publish("in/b", 2)
        await daemon.outcomes(1)
        assert await daemon.stop()
    async with house.serving() as daemon:
        house.publish("in/a", 3)
        await run(daemon, 4, wait=True)
        status = await daemon.asked(lambda status: status["totals"]["pending"] == 2)
        first, second = status["pipelines"][0]["triggers"]
        assert (True, False, None) == (first["paused"], second["paused"], second["oldest_ready_s"])
        assert (2, True) == (status["pipelines"][0]["queued"], first["oldest_ready_s"] > 0)
        await daemon.ask("resume", pipeline="work", trigger="in/a")
        await daemon.outcomes(3)
        # Without a key they go beside each other.
        assert ([2, 4], [1, 3]) == (house.steering.calls[:2], sorted(house.steering.calls[2:]))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"inputs": {}}, "pipeline 'work' needs inputs 'n', 'do'"),
        ({"inputs": {"n": 1}}, "pipeline 'work' needs input 'do'"),
        ({"final_vars": ["reslut"]}, "pipeline 'work' has no node 'reslut'; did you mean 'result'?"),
    ],
)
async def test_a_run_that_could_not_succeed_is_not_accepted(
    house: House, arguments: dict[str, object], sentence: str
) -> None:
    """Nor is a schedule of such runs."""
    house.pipeline()
    async with house.serving() as daemon:
        for command, more in (("run", {}), ("schedules.add", {"interval": 60})):
            with pytest.raises(CommandRefused) as refusal:
                await daemon.ask(command, pipeline="work", **arguments, **more)
            assert sentence in str(refusal.value)
        assert [] == (await daemon.ask("runs.list"))["runs"]
