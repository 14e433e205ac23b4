"""Commands to the daemon itself: what it does, and which pipelines may start runs."""

from __future__ import annotations

from typing import Any

from .arguments import Arguments
from .command import Command, Desk


async def _status(desk: Desk, _: Arguments) -> dict[str, Any]:
    """What the daemon knows of itself."""
    return await desk.live.status()


async def _pause(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    """Start no more runs of a pipeline; its messages are accepted and wait in the ledger."""
    name = desk.pipeline(arguments.needed("pipeline"))
    await desk.live.pause(name, True)
    return {"pipeline": name, "paused": True}


async def _resume(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    """Undo `pause`."""
    name = desk.pipeline(arguments.needed("pipeline"))
    await desk.live.pause(name, False)
    return {"pipeline": name, "paused": False}


DAEMON_COMMANDS = (
    Command("status", _status, (), live=True, changes=False),
    Command("pause", _pause, ("pipeline",), live=True, changes=True),
    Command("resume", _resume, ("pipeline",), live=True, changes=True),
)
