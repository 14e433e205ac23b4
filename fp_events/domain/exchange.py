"""What a run's nodes say to the broker, and ask of it, while they run."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Protocol

from .message import Message


class Exchange(Protocol):
    """The broker, as one attempt of a run sees it."""

    def save(self, topic: str, value: Any, *, qos: int, retain: bool, expires_after: float | None) -> Mapping[str, Any]:
        """Publish `value` once the attempt has succeeded; facts about it. `topic` may have placeholders for captures.

        Raises TemplateError, EncodeError.
        """

    def retained(self, topic: str, timeout: float) -> Message | None:
        """The retained message of a topic; None where none comes within `timeout` seconds. Raises BrokerError."""

    def decode(self, message: Message) -> Any:
        """A message's payload by its content type; raises Undecodable."""


#: That of the attempt whose nodes run in this context.
EXCHANGE: ContextVar[Exchange | None] = ContextVar("fp_events_exchange", default=None)
