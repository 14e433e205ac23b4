"""`graph`: a pipeline as a drawing."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fp_events.domain.errors import PipelineNotFound, StorageError

from .arguments import PipelineArgument
from .invocation import Invocation
from .output import note, safe_block


class Drawing(StrEnum):
    """How to draw."""

    TEXT = "text"
    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"


def graph(
    context: typer.Context,
    name: PipelineArgument,
    form: Annotated[
        Drawing, typer.Option("--format", "-f", help="`svg` needs Graphviz; the others need nothing.")
    ] = Drawing.TEXT,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file; default: stdout.")] = None,
) -> None:
    """Draw a pipeline: topics, inputs, nodes, outputs."""
    from fp_events import app
    from fp_events.plans import graph as drawings

    invocation: Invocation = context.obj
    config = invocation.config()
    if name not in config.pipelines:
        raise PipelineNotFound(name, sorted(config.pipelines))
    drawn = drawings.draw(app.catalogue(config), config.pipelines[name], form.value)
    if output is None:
        print(safe_block(drawn.decode()))
        return
    try:
        output.write_bytes(drawn if drawn.endswith(b"\n") else drawn + b"\n")
    except OSError as error:
        raise StorageError(f"it cannot be written: {error.strerror}", where=str(output)) from error
    note(f"drawn to {output}")
