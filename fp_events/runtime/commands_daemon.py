"""Commands to the daemon itself: what it does, and which pipelines may start runs."""

from __future__ import annotations

from typing import Any

from .arguments import Arguments
from .command import Command, Desk


async def _status(desk: Desk, _: Arguments) -> dict[str, Any]:
    """What the daemon knows of itself."""
    return await desk.live.status()


async def _pause(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    """Start no more runs of a pipeline or a trigger; its messages are accepted and wait in the ledger."""
    return await _set(desk, arguments, paused=True)


async def _resume(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    """Undo `pause`."""
    return await _set(desk, arguments, paused=False)


async def _set(desk: Desk, arguments: Arguments, *, paused: bool) -> dict[str, Any]:
    name = desk.pipeline(arguments.needed("pipeline"))
    trigger = arguments.text("trigger")
    await desk.live.pause(name, paused, trigger)
    return {"pipeline": name, "paused": paused, **({} if trigger is None else {"trigger": trigger})}


async def _reload(desk: Desk, _: Arguments) -> dict[str, Any]:
    """Swap the pipelines that have changed, all or none; runs under way end with the version they began with."""
    return await desk.live.reload()


DAEMON_COMMANDS = (
    Command("status", _status, (), live=True, changes=False),
    Command("pause", _pause, ("pipeline", "trigger"), live=True, changes=True),
    Command("resume", _resume, ("pipeline", "trigger"), live=True, changes=True),
    Command("reload", _reload, (), live=True, changes=True),
)
