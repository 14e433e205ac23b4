"""What a request by MQTT has to pass: reply topics, a list of commands, a rate, a signature; and what is logged of it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from fp_events.domain.envelope import mac_of, sealed
from fp_events.domain.message import Properties

from .conftest import Daemon, House
from .test_control import ALLOW, RUN, replies, request

KEY = "a key that nobody knows"
CONTROL = ALLOW["control"]


def control(**settings: Any) -> dict[str, Any]:
    return {"control": {**CONTROL, **settings}}


def logged(daemon: Daemon, event: str) -> list[dict[str, Any]]:
    return [facts for name, facts in daemon.log if name == event]


async def test_replies_go_where_they_may(house: House) -> None:
    """Elsewhere nothing is sent and nothing is done; the refusal goes to the reply topic."""
    house.pipeline()
    house.project(**control(reply_topics=["answers"]))
    async with house.serving() as daemon:
        for topic in ("plant/valve/set", "answersX/me"):
            house.broker.publish(RUN, request(1), properties=Properties(response_topic=topic))
        refusals = await replies(daemon, house, 2)
        assert [False, False] == [each["ok"] for each in refusals]
        assert "control.reply_topics" in refusals[0]["error"]["mend"]
        for topic in ("answers", "answers/me", "fp/house/reply/me"):
            house.broker.publish(RUN, request(2, wait=True), properties=Properties(response_topic=topic))
            assert (await replies(daemon, house, 1, topic))[0]["ok"]
        assert ([2, 2, 2], []) == (house.steering.calls, house.published("plant/valve/set"))


async def test_only_listed_commands_are_taken(house: House) -> None:
    """All of them where there is no list."""
    house.pipeline()
    house.project(**control(commands=["status"]))
    async with house.serving() as daemon:
        house.broker.publish(RUN, request(1))
        house.broker.publish("fp/house/control/status", "{}")
        assert "control.commands" in (await replies(daemon, house, 1))[0]["error"]["mend"]
        assert (await replies(daemon, house, 1, "fp/house/reply/status"))[0]["ok"]


async def test_too_many_a_second_are_refused(house: House) -> None:
    """And a moment later they are taken again."""
    house.pipeline()
    house.project(**control(rate=10))
    async with house.serving() as daemon:
        for _ in range(60):
            house.broker.publish("fp/house/control/status", "{}")
        found = await replies(daemon, house, 60, "fp/house/reply/status")
        taken = sum(each["ok"] for each in found)
        assert 20 <= taken < 40
        assert "more than 10 requests a second" == found[-1]["error"]["what"]
        limit = time.monotonic() + 10
        while not house.published("fp/house/reply/status")[-1]["ok"]:
            assert time.monotonic() < limit
            count = len(house.published("fp/house/reply/status"))
            house.broker.publish("fp/house/control/status", "{}")
            await replies(daemon, house, count + 1, "fp/house/reply/status")


async def test_a_signed_request_is_carried_out_once(house: House) -> None:
    """The same envelope again is refused, also by the daemon after a restart."""
    house.pipeline()
    house.project(**control(hmac_key=KEY))
    envelope = sealed(KEY.encode(), "run", {"pipeline": "work", "inputs": {"n": 1, "do": None}, "wait": True})
    async with house.serving() as daemon:
        house.broker.publish(RUN, envelope.decode())
        assert (await replies(daemon, house, 1))[0]["result"]["values"] == {"result": {"n": 1}}
        house.broker.publish(RUN, envelope.decode())
        assert "the request was answered before" == (await replies(daemon, house, 2))[1]["error"]["what"]
        assert [1] == house.steering.calls
    async with house.serving() as daemon:
        house.broker.publish(RUN, envelope.decode())
        assert "not newer than what an earlier daemon took" in (await replies(daemon, house, 3))[2]["error"]["what"]
        assert [1] == house.steering.calls


def envelope(**changes: Any) -> str:
    now = int(time.time())
    found = {"body": '{"pipeline": "work", "inputs": {"n": 1, "do": null}}', "nonce": "n" * 16,
             "sent_at": now, "expires_at": now + 30, **changes}  # fmt: skip
    parts = found["nonce"], found["sent_at"], found["expires_at"], found["body"]
    if "mac" not in found:
        found["mac"] = mac_of(found.pop("key", KEY).encode(), found.pop("command", "run"), *parts)
    return json.dumps(found)


def now(seconds: int) -> int:
    """So many seconds from now."""
    return int(time.time()) + seconds


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (lambda: request(1), "not signed"),
        (lambda: "{}", "not signed"),
        (lambda: envelope(mac="0" * 64), "signature is wrong"),
        (lambda: envelope(mac="\ud800é"), "signature is wrong"),
        (lambda: envelope(key="another key, just as long"), "signature is wrong"),
        (lambda: envelope(command="pause"), "signature is wrong"),
        (lambda: envelope(mac=5), "not signed"),
        (lambda: envelope(sent_at=True), "not signed"),
        (lambda: envelope(sent_at=1.5), "not signed"),
        (lambda: envelope(nonce="short"), "nonce"),
        (lambda: envelope(body="[]"), "not a JSON object"),
        (lambda: envelope(body="{"), "not a JSON object"),
        (lambda: envelope(sent_at=now(-100), expires_at=now(-60)), "no longer valid"),
        (lambda: envelope(sent_at=now(3600), expires_at=now(3630)), "not valid"),
        (lambda: envelope(expires_at=now(3600)), "not valid"),
        (lambda: envelope(expires_at=10**400), "not valid"),
    ],
)
async def test_what_is_not_signed_as_it_must_be_is_refused(house: House, payload: Any, reason: str) -> None:
    """Whatever it holds, it is not carried out, and the next good one is."""
    house.pipeline()
    house.project(**control(hmac_key=KEY))
    async with house.serving() as daemon:
        house.broker.publish(RUN, payload())
        (refusal,) = await replies(daemon, house, 1)
        assert reason in refusal["error"]["what"]
        house.broker.publish(RUN, envelope(nonce="m" * 16))
        assert (await replies(daemon, house, 2))[1]["ok"]


async def test_commands_are_logged_with_who_asked(house: House) -> None:
    """What changes something, by either door, and what is refused by MQTT; the values of inputs are not."""
    house.pipeline()
    house.project(**ALLOW)
    async with house.serving() as daemon:
        asking = Properties(response_topic="fp/house/reply/me", correlation_data=b"\x01\xff")
        house.broker.publish(RUN, request(1, wait=True), properties=asking)
        await replies(daemon, house, 1, "fp/house/reply/me")
        house.broker.publish("fp/house/control/status", "{}")
        house.broker.publish(RUN, request(1, pipeline="other"))
        await replies(daemon, house, 1)
        await daemon.ask("pause", pipeline="work")
        await daemon.ask("runs.cancel", run_ids=["none"])
        await daemon.ask("status")
        first, second, third = logged(daemon, "command")
        assert {"door": "mqtt", "who": "fp/house/reply/me 01ff", "command": "run", "pipeline": "work"} == first
        assert ("socket", "pause", True) == (second["door"], second["command"], "of user" in second["who"])
        assert (["none"], 1) == (third["run_ids"], third["count"])
        (refused,) = logged(daemon, "command_refused")
        assert ("mqtt", "run", True) == (refused["door"], refused["command"], "may not be started" in refused["error"])
