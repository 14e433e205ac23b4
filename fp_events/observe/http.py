"""A small HTTP responder: one request, one answer in JSON, and the connection is closed.

h11 reads the requests. They are bounded: their head, their body, the seconds that they take to come in, and the
connections at a time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from inspect import isawaitable
from typing import Any

import h11

from fp_events.domain.errors import ConfigError

#: Bytes of a request's head, seconds that a request may take to come in, and connections at a time.
LARGEST = 8 * 1024
PATIENCE = 5.0
MOST_CLIENTS = 64
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What somebody asks."""

    method: str
    #: Without the query.
    path: str
    #: By name in lower case; of several, the last one.
    headers: Mapping[str, str]
    body: bytes


#: A status and what its body says as JSON.
Reply = tuple[int, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What is answered at a path, or at all that are right below it where it ends with a slash."""

    #: What it raises is a defect, and answered with 500.
    answer: Callable[[Request], Reply | Awaitable[Reply]]
    methods: Sequence[str] = ("GET", "HEAD")
    #: Bytes of a body; more are refused.
    largest_body: int = LARGEST


class HttpResponder:
    """Answers `routes` on one address."""

    def __init__(self, host: str, port: int, routes: Mapping[str, Route], *, where: str = "") -> None:
        """`where`: the setting that names the address, for errors."""
        self._host = host
        self._port = port
        self._routes = routes
        self._where = where
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen. Raises ConfigError where the address cannot be had."""
        try:
            self._server = await asyncio.start_server(self._serve, self._host, self._port, limit=_PIECE)
        except OSError as error:
            raise ConfigError(
                f"{self._host}:{self._port} cannot be listened on ({error.strerror or error})",
                where=self._where,
                mend="name a free port of this machine",
            ) from error

    async def close(self) -> None:
        """Stop listening and hang up."""
        if self._server is not None:
            self._server.close()
            for client in self._clients:
                client.cancel()
            await asyncio.gather(*self._clients, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = asyncio.current_task()
        assert client is not None
        self._clients.add(client)
        client.add_done_callback(self._clients.discard)
        try:
            # Above, the connection is closed without an answer: nobody who means well opens so many.
            if len(self._clients) <= MOST_CLIENTS:
                await self._converse(_Conversation(reader, writer))
            async with asyncio.timeout(PATIENCE):
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError):
            pass  # the client went away, or is too slow
        except asyncio.CancelledError:
            pass  # `close`; asyncio's own streams would log it as an error
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    async def _converse(self, client: _Conversation) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                head = await client.head()
                if head is None:
                    return
                refusal, route = self._route(head)
                request = await client.request(head, 0 if route is None else route.largest_body)
            if request is None:
                return
            answer = refusal if route is None else route.answer(request)
            reply = await answer if isawaitable(answer) else answer
        except _TooLarge:
            reply = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _sentence("the request is too large")
        except h11.RemoteProtocolError as error:
            status = HTTPStatus(error.error_status_hint)
            large = status is HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            reply = status, _sentence("the request is too large" if large else f"this is no HTTP/1.1 request: {error}")
        except (OSError, TimeoutError):
            raise
        except Exception as error:  # noqa: BLE001 - whoever asks must not be able to end the daemon
            reply = HTTPStatus.INTERNAL_SERVER_ERROR, _sentence(f"a defect of fp-events: {type(error).__name__}")
        async with asyncio.timeout(PATIENCE):
            await client.reply(*reply)

    def _route(self, head: h11.Request) -> tuple[Reply, Route | None]:
        path, method = _path(head), head.method.decode("ascii")
        route = self._routes.get(path) or self._routes.get(f"{path.rpartition('/')[0]}/")
        if route is None:
            return (HTTPStatus.NOT_FOUND, _sentence(f"known are {', '.join(self._routes)}")), None
        if method not in route.methods:
            return (HTTPStatus.METHOD_NOT_ALLOWED, _sentence(f"use {' or '.join(route.methods)}")), None
        return (HTTPStatus.OK, {}), route


class _TooLarge(Exception):
    """A body is larger than its route takes."""


class _Conversation:
    """One client's request, and the answer to it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGEST)
        self._bodyless = False

    async def head(self) -> h11.Request | None:
        """The request's head; None where the client hung up before its end."""
        event = await self._next()
        if not isinstance(event, h11.Request):
            return None
        self._bodyless = event.method == b"HEAD"
        return event

    async def request(self, head: h11.Request, largest: int) -> Request | None:
        """The whole request; None where the client hung up before its end. Raises _TooLarge.

        With `largest` 0 nobody wants the body: it is left unread.
        """
        body = bytearray()
        while largest:
            event = await self._next()
            if isinstance(event, h11.EndOfMessage):
                break
            if not isinstance(event, h11.Data):
                return None
            body += event.data
            if len(body) > largest:
                raise _TooLarge
        headers = {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers}
        return Request(method=head.method.decode("ascii"), path=_path(head), headers=headers, body=bytes(body))

    async def _next(self) -> object:
        while (event := self._h11.next_event()) is h11.NEED_DATA:
            if self._h11.they_are_waiting_for_100_continue:
                self._send(h11.InformationalResponse(status_code=HTTPStatus.CONTINUE, headers=[]))
            self._h11.receive_data(await self._reader.read(LARGEST))
        return event

    async def reply(self, status: int, said: Mapping[str, Any]) -> None:
        """Answer."""
        content = json.dumps(said, ensure_ascii=False).encode(errors="replace") + b"\n"
        code = HTTPStatus(status)
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(content))),
            ("Cache-Control", "no-store"),
            ("Connection", "close"),
        ]
        if code is HTTPStatus.UNAUTHORIZED:
            headers.append(("WWW-Authenticate", "Bearer"))
        self._send(h11.Response(status_code=code, reason=code.phrase.encode(), headers=headers))
        if not self._bodyless:
            self._send(h11.Data(data=content))
        await self._writer.drain()

    def _send(self, event: h11.Response | h11.InformationalResponse | h11.Data) -> None:
        self._writer.write(self._h11.send(event) or b"")


def _path(head: h11.Request) -> str:
    return head.target.partition(b"?")[0].decode("ascii", "replace")


def _sentence(text: str) -> Mapping[str, Any]:
    return {"error": text}
