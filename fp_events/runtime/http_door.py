"""The command table by HTTP: whoever has the token may ask what the socket may ask.

POST /commands/<command>     Authorization: Bearer <token>     {"pipeline": "boiler"}
200 {"ok": true, "result": {...}}
4xx {"ok": false, "error": {"kind": "...", "what": "...", "where": "...", "mend": "...", "exit_code": 64}}
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fp_events.domain.errors import CommandRefused, FpEventsError, PipelineNotFound, RunNotFound, ScheduleNotFound

from .audit import Audit
from .commands import Broken, CommandTable
from .listening import HttpRequest
from .socket_door import error_body

#: Bytes of a request.
LARGEST = 16 * 1024 * 1024
#: Where commands are.
PATH = "/commands/"

_STATUS: tuple[tuple[type[FpEventsError], HTTPStatus], ...] = (
    (Broken, HTTPStatus.INTERNAL_SERVER_ERROR),
    (PipelineNotFound, HTTPStatus.NOT_FOUND),
    (RunNotFound, HTTPStatus.NOT_FOUND),
    (ScheduleNotFound, HTTPStatus.NOT_FOUND),
    (CommandRefused, HTTPStatus.BAD_REQUEST),
)


class HttpDoor:
    """Answers requests that have the token."""

    def __init__(self, token: str, table: CommandTable, audit: Audit) -> None:
        self._expected = f"bearer {token}".encode()
        self._table = table
        self._audit = audit

    async def answer(self, request: HttpRequest) -> tuple[int, Mapping[str, Any]]:
        """Carry out one command."""
        name = request.path.removeprefix(PATH)
        given: dict[str, Any] = {}
        if not self._may(request.headers.get("authorization", "")):
            refusal = CommandRefused("the token is missing or wrong", where=name, mend="send Authorization: Bearer …")
            self._audit.refused("http", "", name, given, str(refusal))
            return HTTPStatus.UNAUTHORIZED, _no(refusal)
        try:
            given = _parsed(name, request.body)
            result = await self._table.call(name, given)
        except FpEventsError as error:
            self._audit.refused("http", "", name, given, str(error))
            status = next((status for kind, status in _STATUS if isinstance(error, kind)), None)
            return status or HTTPStatus.SERVICE_UNAVAILABLE, _no(error)
        self._audit.done("http", "", name, given)
        return HTTPStatus.OK, {"ok": True, "result": result}

    def _may(self, header: str) -> bool:
        scheme, _, token = header.partition(" ")
        return hmac.compare_digest(f"{scheme.lower()} {token.strip()}".encode(), self._expected)


def _no(error: FpEventsError) -> Mapping[str, Any]:
    return {"ok": False, "error": error_body(error)}


def _parsed(name: str, body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise CommandRefused("the request is not a JSON object", where=name)
    return found
