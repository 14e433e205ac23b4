"""Commands to the daemon, for code that does not await."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fp_events.config import Config


def call(config: Config, command: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Send one command and return its result.

    Without a daemon the ledger answers what it can; else DaemonUnavailable is raised.
    """
    import asyncio

    from fp_events import app

    kept = {name: value for name, value in (arguments or {}).items() if value is not None}
    return asyncio.run(app.call(config, command, kept))
