"""Commands by HTTP: with the token everything that the socket takes, without it nothing."""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
from dataclasses import replace
from typing import Any

import pytest

from fp_events.cli.control_http import base_of
from fp_events.domain.errors import ConfigError
from tests.support import free_port, require_program

from .conftest import House
from .test_guard import logged

TOKEN = "a token that nobody knows"


def serve(house: House, **http_settings: Any) -> int:
    """Have the project take commands by HTTP; the port."""
    port = free_port()
    house.project(http={"listen": port, "token": TOKEN, **http_settings})
    return port


def post(port: int, command: str, body: Any, token: str | None = TOKEN, method: str = "POST") -> tuple[int, Any]:
    """One request; status and answer."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    client.request(method, f"/commands/{command}", body if isinstance(body, bytes) else json.dumps(body), headers)
    response = client.getresponse()
    answer = json.loads(response.read())
    client.close()
    return response.status, answer


async def test_a_command_with_the_token_is_carried_out(house: House) -> None:
    """The answer is the socket's; what changes something is logged."""
    house.pipeline()
    port = serve(house)
    async with house.serving() as daemon:
        asked = {"pipeline": "work", "inputs": {"n": 3, "do": None}, "wait": True}
        status, answer = await asyncio.to_thread(post, port, "run", asked)
        assert (200, True, {"result": {"n": 3}}) == (status, answer["ok"], answer["result"]["values"])
        run_id = answer["result"]["run_id"]
        _, shown = await asyncio.to_thread(post, port, "runs.show", {"run_id": run_id})
        assert (await daemon.ask("runs.show", run_id=run_id)) == shown["result"]
        (line,) = logged(daemon, "command")
        assert ("http", "run", "work") == (line["door"], line["command"], line["pipeline"])


@pytest.mark.parametrize(
    ("request_", "status", "word"),
    [
        ({"token": None}, 401, "token"),
        ({"token": ""}, 401, "token"),
        ({"token": TOKEN[:-1]}, 401, "token"),
        ({"token": "é" * 20}, 401, "token"),
        ({"body": {"pipeline": "wrok"}}, 404, "did you mean 'work'"),
        ({"body": {"wiat": 1}}, 400, "unknown argument"),
        ({"body": b"["}, 400, "not a JSON object"),
        ({"body": b"[" * 10_000}, 400, "not a JSON object"),
        ({"command": "nothing"}, 400, "unknown command"),
        ({"command": "../status"}, 404, "known are"),
        ({"method": "GET"}, 405, "use POST"),
        ({"body": b" " * (16 * 1024 * 1024 + 1)}, 413, "too large"),
    ],
)
async def test_what_is_no_such_command_is_refused(
    house: House, request_: dict[str, Any], status: int, word: str
) -> None:
    """With a status and a sentence, and the daemon goes on."""
    house.pipeline()
    port = serve(house)
    given = {"command": "pause", "body": {"pipeline": "work"}, **request_}
    async with house.serving() as daemon:
        found, answer = await asyncio.to_thread(
            post, port, given["command"], given["body"], given.get("token", TOKEN), given.get("method", "POST")
        )
        assert (status, True) == (found, word in json.dumps(answer))
        assert TOKEN not in json.dumps(answer) + json.dumps(daemon.log, default=str)
        assert not (await daemon.ask("status"))["pipelines"][0]["paused"]
        assert 200 == (await asyncio.to_thread(post, port, "status", {}))[0]


async def test_clients_that_are_not_ours(house: House) -> None:
    """curl, as the documentation shows it."""
    curl = require_program("curl")
    house.pipeline()
    port = serve(house)
    async with house.serving():
        made = await asyncio.to_thread(
            subprocess.run,
            [curl, "-s", "-H", f"Authorization: Bearer {TOKEN}", "-d", '{"pipeline": "work"}',
             f"http://127.0.0.1:{port}/commands/pause"],
            capture_output=True, check=True, timeout=20,
        )  # fmt: skip
        assert {"ok": True, "result": {"pipeline": "work", "paused": True}} == json.loads(made.stdout)


async def test_a_port_that_is_taken_ends_the_start(house: House) -> None:
    """Naming the setting."""
    house.pipeline()
    serve(house)
    async with house.serving():
        options = house.options()
        assert options.http is not None
        with pytest.raises(ConfigError, match=r"conf/project\.yml"):
            await replace(options).http(None).open()  # type: ignore[misc, arg-type]


def test_addresses_for_clients(house: House) -> None:
    """`http` is the project's own."""
    port = serve(house)
    from fp_events import config

    loaded = config.load(house.folder)
    assert f"http://127.0.0.1:{port}" == base_of(loaded, "http")
    assert "https://plant/fp" == base_of(loaded, "https://plant/fp/")
