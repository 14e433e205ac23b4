"""`ui`: Hamilton UI on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from .invocation import Invocation
from .output import note


def ui(
    context: typer.Context,
    *,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Where it listens.")] = 8241,
    host: Annotated[
        str, typer.Option("--host", help="The interface; others than loopback's are open to whoever reaches them.")
    ] = "127.0.0.1",
    opens_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser.")] = False,
) -> None:
    """Run Hamilton UI, which shows what the adapter hamilton_tracker reports, until Ctrl-C."""
    from fp_events.adapters.ui import find, serve

    invocation: Invocation = context.obj
    folder = invocation.config().state_path(".fp-events/hamilton-ui")
    found = find()
    note(f"Hamilton UI: http://{host}:{port}, its database in {folder}")
    serve(found, folder, host, port, opens_browser=opens_browser)
