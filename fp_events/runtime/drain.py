"""The end of a daemon: take nothing more in, let attempts end, publish what is durable, say goodbye."""

from __future__ import annotations

import asyncio

import anyio

from .announcements import availability
from .parts import Parts

#: Seconds for what is durable to be published at a drain, and for the goodbye.
FAREWELL = 5.0


async def drain(parts: Parts, at_once: asyncio.Event) -> bool:
    """Drain, or end where `at_once` is set meanwhile; True if everything that ran could end."""
    o = parts.options
    parts.board.draining = True
    parts.intake.stop()
    if parts.direct is not None:
        parts.direct.stop()
    parts.scheduler.stop()
    o.log.info("draining", running=parts.runner.executing)
    parts.publisher.tell(availability(o.names, "draining"))
    drained = False

    async def finish_work() -> None:
        nonlocal drained
        drained = await parts.runner.drain(o.grace)
        with anyio.move_on_after(FAREWELL):
            await _hand_over(parts)
        working.cancel_scope.cancel()

    async with anyio.create_task_group() as working:
        working.start_soon(finish_work, name="drain")
        await at_once.wait()
        working.cancel_scope.cancel()
    with anyio.move_on_after(1.0 if at_once.is_set() else FAREWELL):
        if parts.direct is not None:
            await parts.direct.transport.close()
        await parts.transport.close((availability(o.names, "offline"),))
    return drained


async def _hand_over(parts: Parts) -> None:
    """Wait until what has ended is durable, published and told."""
    await parts.committer.flushed()
    if parts.transport.status().connected:
        await parts.unsaved.emptied()
        await parts.publisher.emptied()
        parts.intake.confirm()
        await parts.committer.flushed()
    await parts.callbacks.emptied()
