"""Commands to a daemon by HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from fp_events.domain.errors import CommandRefused, ConfigError, DaemonUnavailable, UsageError

if TYPE_CHECKING:
    from fp_events.config import Config

#: Seconds without a word of the daemon, beside those that a command is asked to wait.
PATIENCE = 10.0


def request(config: Config, url: str, command: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Send a command to `url`, or to the project's own address where that is ``http``, and return its result.

    Raises DaemonUnavailable where nobody answers, CommandRefused where the daemon said no.
    """
    from fp_events.config import http_token

    place = f"{base_of(config, url)}/commands/{command}"
    token = http_token(config)
    if token is None:
        raise ConfigError("commands by HTTP need a token", where="http.token", mend="give FP_EVENTS_HTTP__TOKEN")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    # The scheme is http or https: `base_of` sees to it.
    asked = Request(place, json.dumps(dict(arguments)).encode(), headers)  # noqa: S310
    try:
        with urlopen(asked, timeout=_patience(arguments)) as response:  # noqa: S310
            status, body = response.status, response.read()
    except HTTPError as error:
        with error:
            status, body = error.code, error.read()
    except (URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise DaemonUnavailable(f"no daemon answers ({reason})", where=place, mend=_MEND) from None
    return _result(status, body, place)


def base_of(config: Config, url: str) -> str:
    """Where commands are taken; raises UsageError for what is no such address, ConfigError where none is set."""
    if url == "http":
        address = config.http.address
        if address is None:
            raise ConfigError("the project takes no commands by HTTP", where="http.listen", mend=_MEND)
        host, port = address
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise UsageError(f"--by {url}: expected socket, mqtt, http, or a URL such as http://plant:8090")
    return url.rstrip("/")


_MEND = "give the daemon `http.listen` and a token, and name its address with --by"


def _patience(arguments: Mapping[str, Any]) -> float | None:
    limit = arguments.get("timeout_s")
    if limit is None:
        return None if arguments.get("wait") else PATIENCE
    return float(limit) + PATIENCE


def _result(status: int, body: bytes, place: str) -> dict[str, Any]:
    try:
        reply: dict[str, Any] = json.loads(body)
        if reply.get("ok") is True:
            result: dict[str, Any] = reply["result"]
            return result
        error = reply["error"]
        what, where, mend = error["what"], error["where"], error["mend"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DaemonUnavailable(f"this is no daemon: it answers {status}", where=place, mend=_MEND) from None
    if status == HTTPStatus.UNAUTHORIZED:
        mend = "is http.token the daemon's?"
    raise CommandRefused(what, where=where, mend=mend)
