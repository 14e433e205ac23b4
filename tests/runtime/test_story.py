"""`runs.show` tells where a run's results went, and whether the broker has confirmed them."""

from __future__ import annotations

from typing import Any

from fp_events import codecs
from fp_events.domain.message import Publication
from fp_events.runtime.commands import CommandTable

from .conftest import Daemon, House

LISTS = """
from tests.runtime import gates


def result(n: int, do: list | None) -> list:
    gates.act(n, do)
    return [{"line": "a", "n": n}, None, {"line": "b", "n": n}]


def nothing(n: int) -> int | None:
    return None


def other(n: int) -> int:
    return n
"""
OUTPUTS: list[dict[str, Any]] = [
    {"node": "nothing", "topic": "out/none"},
    {"node": "result", "topic": "out/{value.line}/{payload.n}", "each": True},
    {"node": "other"},
]


async def published(daemon: Daemon, run_id: str) -> list[tuple[str, str, str]]:
    rows = (await daemon.ask("runs.show", run_id=run_id))["publications"]
    return [(row["event_id"].removeprefix(run_id), row["topic"], row["state"]) for row in rows]


async def test_results_are_told_with_their_topics(house: House) -> None:
    """Confirmed ones too, though they have left the outbox; as many as were published, under the same ids."""
    house.pipeline(code=LISTS, outputs=OUTPUTS)
    async with house.serving() as daemon:
        house.publish("in/work", 7)
        await daemon.until(lambda: house.published("fp/house/results/work/other"))
        run_id = daemon.ended[0].run_id
        await daemon.asked(lambda status: status["totals"]["pending"] == 0)
        expected = [
            (":0", "out/a/7", "confirmed"),
            (":1", "out/b/7", "confirmed"),
            (":2", "fp/house/results/work/other", "confirmed"),
        ]
        await daemon.service.parts.publisher.emptied()
        await daemon.service.parts.committer.flushed()
        assert expected == await published(daemon, run_id)
        sent = [
            (dict(one.properties.user)["event_id"].removeprefix(run_id), one.topic, "confirmed")
            for one in house.broker.published
            if isinstance(one, Publication) and dict(one.properties.user).get("event_id")
        ]
        assert expected == sent


async def test_what_waits_is_unsent_and_a_dead_letter_has_its_topic(house: House) -> None:
    """Without a daemon as well."""
    house.use_sqlite()
    house.pipeline()
    async with house.serving() as daemon:
        house.publish("in/work", 1, "fail")
        await daemon.outcomes(1)
        await daemon.until(lambda: house.published("fp/house/dlq/work"))
        failed = daemon.ended[0].run_id
        await daemon.service.parts.publisher.emptied()
        await daemon.service.parts.committer.flushed()
        assert [(":dlq:1", "fp/house/dlq/work", "confirmed")] == await published(daemon, failed)
        house.publish("in/work", 2, "gate")
        await house.steering.gates[2].entered()
        house.broker.stop()
        house.steering.open_all()
        await daemon.outcomes(2)
        unsent = daemon.ended[1].run_id
        assert [(":0", "out/work", "unsent")] == await published(daemon, unsent)
        house.broker.refuse("out/work")
        house.broker.start()
        await daemon.asked(lambda status: status["ledger"]["refused"] == 1)
        assert [(":0", "out/work", "refused")] == await published(daemon, unsent)
        await daemon.stop()
    await house.ledger.open()
    table = CommandTable(house.ledger, None, codecs.state_to_json)
    (row,) = (await table.call("runs.show", {"run_id": unsent}))["publications"]
    assert ("out/work", "refused", True) == (row["topic"], row["state"], bool(row["reason"]))
    await house.ledger.close()


async def test_attempts_are_told_with_what_they_waited(house: House) -> None:
    """The pause before the next one, also while that is still to come."""
    house.pipeline(run={"max_retries": 3, "retry_delay": 0.1})
    async with house.serving() as daemon:
        house.publish("in/work", 1, "fail", "fail", "ok")
        await daemon.outcomes(1)
        attempts = (await daemon.ask("runs.show", run_id=daemon.ended[0].run_id))["attempts"]
        assert [1, 2] == [attempt["number"] for attempt in attempts]
        assert all(0.1 <= attempt["delay_s"] < 5 for attempt in attempts)
        house.pipeline(run={"max_retries": 3, "retry_delay": 60})
        await daemon.ask("reload")
        house.publish("in/work", 2, "fail")
        status = await daemon.asked(lambda status: status["pipelines"][0]["waiting"] == 1)
        assert status["pipelines"][0]["running"] == 0
        (run,) = (await daemon.ask("runs.list", state="waiting"))["runs"]
        (attempt,) = (await daemon.ask("runs.show", run_id=run["run_id"]))["attempts"]
        assert 50 < attempt["delay_s"] <= 61
