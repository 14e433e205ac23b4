"""Commands to the daemon, for code that does not await."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fp_events.domain.errors import CommandRefused, PipelineNotFound

if TYPE_CHECKING:
    from fp_events.config import Config


def call(
    config: Config, command: str, arguments: Mapping[str, Any] | None = None, *, by_daemon: bool = False
) -> dict[str, Any]:
    """Send one command and return its result.

    Without a daemon the ledger answers what it can, unless it is to be answered `by_daemon`; else DaemonUnavailable
    is raised. What the daemon refuses is CommandRefused, also where it has not read the newest pipeline yet.
    """
    import asyncio

    from fp_events import app

    kept = {name: value for name, value in (arguments or {}).items() if value is not None}
    try:
        return asyncio.run(app.call(config, command, kept, by_daemon=by_daemon))
    except PipelineNotFound:
        name = kept.get("pipeline")
        if name not in config.pipelines:
            raise
        raise CommandRefused(
            f"the daemon does not know pipeline '{name}' yet",
            mend="it reads the project when it starts: end it and start `fp-events serve` again",
        ) from None
