"""`runs watch`: see what becomes of a run."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from fp_events.domain.errors import UsageError

from .invocation import Invocation
from .moments import seconds
from .output import Format, FormatOption, safe, to_json
from .runs import RunArgument
from .watching import follow, progress


def watch(
    context: typer.Context,
    run: RunArgument,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="DURATION", help="Watch no longer than this.")
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Print a line whenever a run changes, until it has ended; the exit code tells how. Ctrl-C ends the watching."""
    if form not in {Format.TABLE, Format.JSON}:
        raise UsageError(f"a stream has no form '{form.value}'", mend="use --format table or json")
    invocation: Invocation = context.obj
    said = None
    found = None
    for found in follow(invocation.config(), run, limit=seconds(timeout, "--timeout")):
        text = progress(found)
        if text != said:
            said = text
            at = datetime.now().astimezone().strftime("%H:%M:%S")
            print(to_json(found, indent=None) if form is Format.JSON else f"{at}  {safe(text)}", flush=True)
    if found is None or found["outcome"] != "succeeded":
        raise typer.Exit(1)
