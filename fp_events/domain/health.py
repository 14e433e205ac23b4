"""How a daemon tells the outside that it is alive and ready."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `problem` is empty where it is well."""

    name: str
    problem: str


class Health(Protocol):
    """What is asked."""

    def live(self) -> Sequence[Check]:
        """What only a restart can mend."""

    def ready(self) -> Sequence[Check]:
        """What keeps messages from being processed now."""


class Watcher(Protocol):
    """Tells the outside how the daemon is."""

    async def open(self, health: Health) -> None:
        """Begin, before the daemon connects. Raises ConfigError."""

    def started(self) -> None:
        """Commands are taken and the connection is being made."""

    def beat(self) -> None:
        """The loop runs; called about once a second."""

    def draining(self) -> None:
        """The daemon will end."""

    async def close(self) -> None:
        """End."""
