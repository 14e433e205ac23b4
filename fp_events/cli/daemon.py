"""Commands to the daemon, for code that does not await."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from fp_events.domain.errors import CommandRefused, PipelineNotFound

if TYPE_CHECKING:
    from fp_events.config import Config


#: How commands reach their daemon: `socket`, `mqtt`, `http` or a URL; set by the global option --by.
by: ContextVar[str] = ContextVar("by", default="socket")


def call(
    config: Config, command: str, arguments: Mapping[str, Any] | None = None, *, by_daemon: bool = False
) -> dict[str, Any]:
    """Send one command, by the way that `by` names, and return its result.

    By the socket, and without a daemon, the ledger answers what it can, unless it is to be answered `by_daemon`; else
    DaemonUnavailable is raised. What the daemon refuses is CommandRefused, also where it has not read the newest
    pipeline yet.
    """
    import asyncio

    from fp_events import app

    kept = {name: value for name, value in (arguments or {}).items() if value is not None}
    way = by.get()
    try:
        if way == "mqtt":
            from .control_topic import request as by_mqtt

            return by_mqtt(config, command, kept)
        if way != "socket":
            from .control_http import request as by_http

            return by_http(config, way, command, kept)
        return asyncio.run(app.call(config, command, kept, by_daemon=by_daemon))
    except PipelineNotFound:
        name = kept.get("pipeline")
        if name not in config.pipelines:
            raise
        raise CommandRefused(
            f"the daemon does not know pipeline '{name}' yet",
            mend="it reads the project when it starts: end it and start `fp-events serve` again",
        ) from None
