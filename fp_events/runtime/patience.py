"""Questions to a ledger that is locked, or whose disk is full: asked again until it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fp_events.domain.errors import LedgerCorrupt, LedgerFailed, StorageError

T = TypeVar("T")

#: Seconds between two questions.
PAUSE = 1.0


def passing(error: StorageError) -> bool:
    """Whether waiting can help: neither damage nor a failing disk."""
    return not isinstance(error, LedgerCorrupt | LedgerFailed)


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """The answer of `ask`. Raises LedgerCorrupt and LedgerFailed."""
    while True:
        try:
            return await ask()
        except StorageError as error:
            if not passing(error):
                raise
        await asyncio.sleep(PAUSE)
