"""A log line for every command that changes something, and for every one that is refused by MQTT."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from typing import Any, Protocol

from .commands import COMMANDS

#: Arguments that say what was asked for; values of inputs are nobody's business.
_TOLD = (
    "pipeline", "trigger", "key", "run_id", "run_at", "run_in", "id", "schedule_id", "event_ids",
    "all", "state", "outcome", "since", "until",
)  # fmt: skip
#: Run ids in a line.
_IDS = 10


class Log(Protocol):
    """What takes the lines."""

    def info(self, event: str, **facts: Any) -> Any:
        """Something that happened."""

    def warning(self, event: str, **facts: Any) -> Any:
        """Something to look at."""


class Audit:
    """Writes the lines."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def done(self, door: str, who: str, command: str, arguments: Mapping[str, Any]) -> None:
        """A command was answered."""
        row = COMMANDS.get(command)
        if row is not None and row.changes:
            self._log.info("command", door=door, who=who, command=command, **_facts(arguments))

    def refused(self, door: str, who: str, command: str, arguments: Mapping[str, Any], error: str) -> None:
        """A command was refused."""
        row = COMMANDS.get(command)
        if door != "socket" or (row is not None and row.changes):
            facts = _facts(arguments)
            self._log.warning("command_refused", door=door, who=who, command=command[:100], **facts, error=error)


def _facts(arguments: Mapping[str, Any]) -> dict[str, Any]:
    facts = {name: arguments[name] for name in _TOLD if isinstance(arguments.get(name), str | int | float)}
    ids = arguments.get("run_ids")
    if isinstance(ids, list):
        facts["run_ids"] = [each for each in ids if isinstance(each, str)][:_IDS]
        facts["count"] = len(ids)
    return facts


def peer(connection: object) -> str:
    """Who is at the other end of a Unix socket, as far as the system tells."""
    if isinstance(connection, socket.socket) or hasattr(connection, "getsockopt"):
        option = getattr(socket, "SO_PEERCRED", None)
        if option is not None:
            raw = connection.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i"))
            pid, uid, _ = struct.unpack("3i", raw)
            return f"process {pid} of user {uid}"
    return "a local process"
