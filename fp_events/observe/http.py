"""A responder for probes: GET and HEAD of a few paths, an answer, and the connection is closed.

Requests are read up to their empty line, of a few KiB at the most, and within seconds; bodies are not read.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from fp_events.domain.errors import ConfigError

#: Bytes of a request, seconds that it may take with its answer, and connections at a time.
LARGEST = 8 * 1024
PATIENCE = 5.0
MOST_CLIENTS = 64

#: A status and what its body says as JSON.
Reply = tuple[int, Mapping[str, Any]]
Route = Callable[[], Reply]


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
            self._server = await asyncio.start_server(self._serve, self._host, self._port, limit=LARGEST)
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
            async with asyncio.timeout(PATIENCE):
                # Above, the connection is closed without an answer: no probe opens so many.
                if len(self._clients) <= MOST_CLIENTS:
                    writer.write(self._answer(await _head(reader)))
                    await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # the client went away, or is too slow
        except asyncio.CancelledError:
            pass  # `close`; asyncio's own streams would log it as an error
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    def _answer(self, head: bytes | None) -> bytes:
        if head is None:
            return _response(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _sentence("the request is too large"))
        words = head.split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return _response(HTTPStatus.BAD_REQUEST, _sentence("this is no HTTP/1.1 request"))
        method, target = words[0], words[1].partition(b"?")[0].decode("ascii", "replace")
        if method not in (b"GET", b"HEAD"):
            return _response(HTTPStatus.METHOD_NOT_ALLOWED, _sentence("use GET or HEAD"), "Allow: GET, HEAD\r\n")
        route = self._routes.get(target)
        if route is None:
            known = _sentence(f"known are {', '.join(self._routes)}")
            return _response(HTTPStatus.NOT_FOUND, known, body=method == b"GET")
        status, said = route()
        return _response(HTTPStatus(status), said, body=method == b"GET")


async def _head(reader: asyncio.StreamReader) -> bytes | None:
    """A request up to its empty line; None where that is too far."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        return None


def _sentence(text: str) -> Mapping[str, Any]:
    return {"error": text}


def _response(status: HTTPStatus, said: Mapping[str, Any], headers: str = "", *, body: bool = True) -> bytes:
    content = json.dumps(said, ensure_ascii=False).encode(errors="replace") + b"\n"
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        f"Cache-Control: no-store\r\n{headers}Connection: close\r\n\r\n"
    )
    return head.encode() + (content if body else b"")
