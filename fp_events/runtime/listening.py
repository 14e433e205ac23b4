"""What a door needs of the server that brings it requests by HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol


class HttpRequest(Protocol):
    """What is needed of a request."""

    @property
    def path(self) -> str:
        """Without the query."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By name in lower case."""

    @property
    def body(self) -> bytes:
        """As it came."""


class Listener(Protocol):
    """A server that asks a door."""

    async def open(self) -> None:
        """Listen. Raises ConfigError where the address cannot be had."""

    async def close(self) -> None:
        """Stop listening and hang up."""


HttpAnswer = Callable[[HttpRequest], Awaitable[tuple[int, Mapping[str, Any]]]]
