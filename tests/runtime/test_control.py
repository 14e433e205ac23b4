"""Commands by MQTT: off unless configured, and nothing that a stranger sends ends the daemon."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from fp_events.domain.message import Properties
from fp_events.runtime import mqtt_door

from .conftest import Daemon, House

RUN = "fp/house/control/run"
ALLOW = {"control": {"mqtt": True, "allow": {"work": {"inputs": ["n", "do"]}}}}


def request(number: int, **more: Any) -> str:
    body = {"pipeline": "work", "inputs": {"n": number, "do": None}, "sent_at": time.time(), **more}
    return json.dumps({name: value for name, value in body.items() if value is not None})


async def replies(daemon: Daemon, house: House, count: int, topic: str = "fp/house/reply/run") -> list[Any]:
    await daemon.until(lambda: len(house.published(topic)) >= count)
    return house.published(topic)


async def test_a_request_is_answered_where_it_asks_for(house: House) -> None:
    """On its response topic, with its correlation data and its id; else on the reply topic."""
    house.pipeline()
    house.project(**ALLOW)
    async with house.serving() as daemon:
        asking = Properties(response_topic="fp/house/reply/me", correlation_data=b"\x00\xff")
        house.broker.publish(RUN, request(1, wait=True, id=17), properties=asking)
        house.broker.publish(RUN, request(2, wait=True))

        (answer,) = await replies(daemon, house, 1, "fp/house/reply/me")
        assert (17, True, "succeeded") == (answer["id"], answer["ok"], answer["result"]["outcome"])
        assert b"\x00\xff" == house.publications("fp/house/reply/me")[0].properties.correlation_data
        (other,) = await replies(daemon, house, 1)
        assert {"result": {"n": 2}} == other["result"]["values"]


@pytest.mark.parametrize(
    "payload",
    [
        lambda: request(1, sent_at=time.time() - 61),
        lambda: request(1, sent_at=time.time() + 600),
        lambda: request(1, sent_at=""),
        lambda: request(1, sent_at=float("nan")),
        lambda: request(1, sent_at=10**400),
        lambda: request(1, sent_at="2020-01-01T00:00:00Z"),
        lambda: request(1, pipeline="other"),
        lambda: request(1, pipeline=["work"]),
        lambda: request(1, inputs={"secret": 1}),
        lambda: request(1, inputs=5),
        lambda: request(1, inputs=["n"]),
        lambda: request(1, config={"mode": "x"}),
        lambda: request(1, final_vars=["result"]),
        lambda: request(1, key="\ud800"),
        lambda: request(1, run_id="a/b"),
        lambda: request(1, module="os"),
        lambda: '{"pipeline": "work", "inputs": {"n": 1}}',
        lambda: "nonsense",
        lambda: "[]",
        lambda: "\xff",
        lambda: "[" * 5000,
        lambda: "",
    ],
)
async def test_what_is_old_unlisted_or_wrong_is_refused(house: House, payload: Callable[[], str]) -> None:
    """Nothing is executed, the reason is answered, and the next request is served."""
    house.pipeline()
    house.pipeline("other")
    house.project(**ALLOW)
    async with house.serving() as daemon:
        house.broker.publish(RUN, payload())
        (refusal,) = await replies(daemon, house, 1)
        assert (False, True) == (refusal["ok"], bool(refusal["error"]["what"]))

        house.broker.publish(RUN, request(2, wait=True))
        assert (await replies(daemon, house, 2))[1]["ok"]
        assert [2] == house.steering.calls


async def test_retained_requests_are_ignored(house: House) -> None:
    """Those that waited at the broker before the daemon came."""
    house.pipeline()
    house.project(**ALLOW)
    house.broker.publish(RUN, request(1), retain=True)
    async with house.serving() as daemon:
        house.broker.publish(RUN, request(2, wait=True))
        await replies(daemon, house, 1)
        assert [2] == house.steering.calls


async def test_a_trigger_on_everything_repeats_no_command(house: House) -> None:
    """Both subscriptions bring a copy of the request; it is executed once, and is nobody's message."""
    house.pipeline(triggers=[{"topic": "#", "map": {"n": "payload.n ?? 0", "do": "payload.do ?? null"}}], outputs=[])
    house.project(**ALLOW, events={"status": "none"})
    async with house.serving() as daemon:
        house.broker.publish(RUN, request(1))
        house.broker.publish(RUN, request(2, wait=True))
        await daemon.until(lambda: 2 in house.steering.calls)
        await replies(daemon, house, 2)
        assert (1, 1) == (house.steering.calls.count(1), house.steering.calls.count(2))


async def test_without_leave_nothing_is_listened_to(house: House) -> None:
    """Control by MQTT is off by default."""
    house.pipeline()
    async with house.serving() as daemon:
        house.broker.publish(RUN, request(1))
        house.publish("in/work", 2)
        await daemon.outcomes(1)
        assert [2] == house.steering.calls
        totals = (await daemon.ask("status"))["totals"]
        assert (1, 0) == (totals["received"], totals["unmatched"])


async def test_a_run_that_is_waited_for_holds_no_other_request_up(house: House) -> None:
    """And so many are waited for at the most."""
    house.pipeline()
    house.project(**ALLOW)
    async with house.serving() as daemon:
        house.broker.publish(RUN, request(1, inputs={"n": 1, "do": ["gate"]}, wait=True))
        await house.steering.gates[1].entered()
        house.broker.publish("fp/house/control/status", "{}")
        (status,) = await replies(daemon, house, 1, "fp/house/reply/status")
        assert 1 == status["result"]["totals"]["pending"]
        house.steering.open_all()
        assert (await replies(daemon, house, 1))[0]["ok"]


async def test_too_many_requests_are_refused(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The door's memory is bounded."""
    monkeypatch.setattr(mqtt_door, "QUEUE", 3)
    house.pipeline()
    house.project(**ALLOW)
    async with house.serving() as daemon:
        for number in range(5):
            house.broker.publish(RUN, request(number, inputs={"n": number, "do": ["gate"]}, wait=True))
        refusals = await replies(daemon, house, 2)
        assert [False, False] == [refusal["ok"] for refusal in refusals]
        for number in range(3):
            await house.steering.gates[number].entered()
        house.steering.open_all()
        assert [False, False, True, True, True] == sorted(one["ok"] for one in await replies(daemon, house, 5))


@pytest.mark.parametrize("command", ["runs.replay", "runs.retry", "dlq.retry"])
async def test_runs_of_other_pipelines_are_not_started_again(house: House, command: str) -> None:
    """What `run` may not start by MQTT, no other command does; the socket does."""
    house.pipeline()
    house.pipeline("other")
    house.project(**ALLOW)
    async with house.serving() as daemon:
        house.publish("in/other", 1, "fail", "ok")
        house.publish("in/work", 2, "fail", "ok")
        await daemon.outcomes(2)
        ids = {record.pipeline: record.run_id for record in daemon.ended}
        asked = json.dumps({"run_ids": [ids["other"], ids["work"]], "sent_at": time.time()})
        house.broker.publish(f"fp/house/control/{command}", asked)
        (answer,) = await replies(daemon, house, 1, f"fp/house/reply/{command}")
        (refused,) = answer["result"]["refused"]
        assert (ids["other"], True) == (refused["run_id"], "control.allow" in refused["reason"])
        await daemon.outcomes(3)
        assert "work" == daemon.ended[2].pipeline
        await daemon.ask(command, run_ids=[ids["other"]])
        await daemon.outcomes(4)
        assert "other" == daemon.ended[3].pipeline
