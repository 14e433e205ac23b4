"""The responder for probes, asked by raw sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from fp_events.domain.errors import ConfigError
from fp_events.observe import http
from fp_events.observe.http import LARGEST, HttpResponder, Reply, Request, Route
from tests.support import free_port


async def echo(request: Request) -> Reply:
    if request.body == b"fail":
        raise RuntimeError("the secret of the route")
    return 200, {"path": request.path, "body": request.body.decode()}


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Where `/well` answers 200 and `/ill` 503."""
    number = free_port()
    responder = HttpResponder(
        "127.0.0.1",
        number,
        {
            "/well": Route(answer=lambda _: (200, {"ok": True})),
            "/ill": Route(answer=lambda _: (503, {"ok": False})),
            "/echo/": Route(answer=echo, methods=("POST",), largest_body=1000),
        },
    )
    await responder.open()
    yield number
    await responder.close()


async def ask(port: int, request: bytes) -> bytes:
    """Everything that is answered to `request` until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await reader.read()
    except ConnectionResetError:  # hung up on with the request unread
        return b""
    finally:
        writer.close()
        with suppress(ConnectionResetError):
            await writer.wait_closed()


async def test_get_answers_with_json(port: int) -> None:
    """Status, type, length and body; the connection is closed."""
    head, _, body = (await ask(port, b"GET /well HTTP/1.1\r\nHost: x\r\n\r\n")).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert b"HTTP/1.1 200 OK" == lines[0]
    assert {b"Content-Type: application/json", b"Content-Length: 13", b"Connection: close"} <= set(lines)
    assert b'{"ok": true}\n' == body


async def test_head_answers_without_a_body(port: int) -> None:
    """The length is told all the same."""
    head, _, body = (await ask(port, b"HEAD /ill HTTP/1.1\r\nHost: x\r\n\r\n")).partition(b"\r\n\r\n")
    assert b"HTTP/1.1 503 Service Unavailable" == head.split(b"\r\n")[0]
    assert b"Content-Length: 14" in head
    assert b"" == body


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /well?verbose=1 HTTP/1.0\r\n\r\n", b"200"),
        (b"POST /well HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx", b"405"),
        (b"GET /elsewhere HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"GET /../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"GET /well HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"POST /echo/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001, b"413"),
        (b"POST /echo/a HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST /echo/a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nfail", b"500"),
        (b"GET\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00 hello\r\n\r\n", b"400"),
        (b"GET /well HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 2 * LARGEST + b"\r\n\r\n", b"431"),
    ],
)
async def test_what_is_no_such_request_is_told_so(port: int, request_: bytes, status: bytes) -> None:
    """Each has the status that HTTP has for it."""
    assert status == (await ask(port, request_)).split(b" ")[1]


async def test_a_client_that_says_nothing_is_hung_up_on(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may take seconds, not for ever, and nobody waits for it meanwhile."""
    monkeypatch.setattr(http, "PATIENCE", 0.2)
    silent = asyncio.create_task(ask(port, b"GET /well HTT"))
    await asyncio.sleep(0)
    assert (await ask(port, b"GET /well HTTP/1.1\r\nHost: x\r\n\r\n")).startswith(b"HTTP/1.1 200")
    assert b"" == await silent


async def test_connections_are_limited(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than there may be is closed without an answer; once another has gone, one is taken again."""
    monkeypatch.setattr(http, "MOST_CLIENTS", 1)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while await ask(port, b"GET /well HTTP/1.1\r\nHost: x\r\n\r\n"):
        await asyncio.sleep(0)
    writer.write(b"GET /well HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()
    await writer.wait_closed()
    async with asyncio.timeout(10):
        while not await ask(port, b"GET /well HTTP/1.1\r\nHost: x\r\n\r\n"):
            await asyncio.sleep(0.01)


async def test_closing_hangs_up(port: int) -> None:
    """An open connection does not keep the process."""
    number = free_port()
    responder = HttpResponder("127.0.0.1", number, {})
    await responder.open()
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    await ask(number, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await responder.close()
    assert b"" == await reader.read()
    writer.close()
    await writer.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", number)


async def test_a_port_that_is_taken_is_an_error_with_its_setting(port: int) -> None:
    """The daemon does not start without the probes that it was told to answer."""
    with pytest.raises(ConfigError) as raised:
        await HttpResponder("127.0.0.1", port, {}, where="conf/project.yml:3").open()
    assert f"127.0.0.1:{port} cannot be listened on (" in str(raised.value)
    assert "conf/project.yml:3" in str(raised.value)


async def test_a_body_reaches_its_route_in_chunks_too(port: int) -> None:
    """Length and chunks are the same to a route, and a client that asks first is told to go on."""
    head = b"POST /echo/here?x=1 HTTP/1.1\r\nHost: x\r\n"
    expected = b'{"path": "/echo/here", "body": "hello"}\n'
    assert (await ask(port, head + b"Content-Length: 5\r\n\r\nhello")).endswith(expected)
    chunked = b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
    assert (await ask(port, head + chunked)).endswith(expected)
    asking = head + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(asking)
    assert b"HTTP/1.1 100" == (await reader.readuntil(b"\r\n\r\n"))[:12]
    writer.write(b"hello")
    assert (await reader.read()).endswith(expected)
    writer.close()
    await writer.wait_closed()


async def test_a_defect_of_a_route_is_named_without_its_text(port: int) -> None:
    """What a route raises is answered, and may hold what is nobody's business."""
    answer = await ask(port, b"POST /echo/a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nfail")
    assert b"RuntimeError" in answer
    assert b"secret" not in answer
