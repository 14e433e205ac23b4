"""`graph`: a pipeline, or one run of it, as a drawing."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from fp_events.domain.errors import PipelineNotFound, StorageError, UsageError

from .arguments import PipelineArgument
from .daemon import call
from .invocation import Invocation
from .output import note, safe_block

if TYPE_CHECKING:
    from fp_events.config import Config
    from fp_events.plans.picture import RunDrawn


class Drawing(StrEnum):
    """How to draw."""

    TEXT = "text"
    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"
    PNG = "png"
    PDF = "pdf"


_NEEDS = "`svg`, `png` and `pdf` need Graphviz; the others need nothing."
#: Formats that are no text.
_BINARY = (Drawing.PNG, Drawing.PDF)

RunOption = Annotated[
    str | None, typer.Option("--run", metavar="RUN", help="Draw this run: its nodes coloured by what happened to them.")
]


class GraphGroup(TyperGroup):
    """`graph NAME` is short for `graph show NAME`, and with `--output` for `graph save NAME`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the verb in where it is left out."""
        words = [word for word in args if not word.startswith("-")]
        if args and not {"-h", "--help"} & set(args[:1]) and (not words or words[0] not in self.commands):
            saves = any(word.partition("=")[0] in ("--output", "-o") for word in args)
            args = ["save" if saves else "show", *args]
        return super().parse_args(ctx, args)


def show(
    context: typer.Context,
    name: PipelineArgument,
    form: Annotated[Drawing, typer.Option("--format", "-f", help=_NEEDS)] = Drawing.TEXT,
    run: RunOption = None,
) -> None:
    """Print a pipeline's drawing: topics, inputs, nodes, outputs."""
    invocation: Invocation = context.obj
    if form in _BINARY and sys.stdout.isatty():
        raise UsageError(f"a drawing as {form.value} is no text", mend=f"use graph save {name} -o {name}.{form.value}")
    drawn = _drawn(invocation.config(), name, form, run)
    if form in _BINARY:
        sys.stdout.buffer.write(drawn)
    else:
        print(safe_block(drawn.decode()))


def save(
    context: typer.Context,
    name: PipelineArgument,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File; its ending says how: svg, png, pdf, mmd, dot or txt. Default: svg."),
    ] = None,
    form: Annotated[
        Drawing | None, typer.Option("--format", "-f", help=f"In the place of the ending. {_NEEDS}")
    ] = None,
    run: RunOption = None,
) -> None:
    """Draw a pipeline into a file."""
    from fp_events.plans.graph import ENDINGS

    invocation: Invocation = context.obj
    if output is None:
        output = Path(f"{name}.{next(end for end, each in ENDINGS.items() if each == (form or 'svg'))[1:]}")
    found = form.value if form is not None else ENDINGS.get(output.suffix.lower())
    if found is None:
        mend = f"end it with {', '.join(ENDINGS)}, or say --format"
        raise UsageError(f"the ending of {output} does not say how to draw", mend=mend)
    drawn = _drawn(invocation.config(), name, Drawing(found), run)
    try:
        output.write_bytes(drawn)
    except OSError as error:
        raise StorageError(f"it cannot be written: {error.strerror}", where=str(output)) from error
    note(f"drawn to {output}")


def _drawn(config: Config, name: str, form: Drawing, run: str | None) -> bytes:
    from fp_events import app
    from fp_events.plans import graph

    if name not in config.pipelines:
        raise PipelineNotFound(name, sorted(config.pipelines))
    found = None if run is None else _run(config, name, run)
    return graph.draw(app.catalogue(config), config.pipelines[name], form.value, found)


def _run(config: Config, name: str, run_id: str) -> RunDrawn:
    """What happened in a run, as the daemon or the ledger knows it."""
    from fp_events.domain.observation import NodeRecord
    from fp_events.plans.picture import RunDrawn

    run = call(config, "runs.show", {"run_id": run_id})
    if run["pipeline"] != name:
        raise UsageError(
            f"run {run['run_id']} is one of {run['pipeline']}", mend=f"graph show {run['pipeline']} --run …"
        )
    rows = _nodes(run)
    if rows is None:
        what = f"what the nodes of run {run['run_id']} did was not noted"
        raise UsageError(what, mend="say `trace: always` in the pipeline's `run` block, and run it again")
    request = run.get("request") or {}
    return RunDrawn(
        run_id=run["run_id"],
        outcome=run.get("outcome") or run["state"],
        nodes=[
            NodeRecord(
                node=row["node"],
                status=row["status"],
                started=row["started_s"],
                duration=row["duration_s"],
                attempts=row["attempts"],
                error=row["error"] or "",
            )
            for row in rows
        ],
        final_vars=request.get("final_vars"),
        config=request.get("config"),
    )


def _nodes(run: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """Of the last attempt that noted them."""
    found: list[list[Mapping[str, Any]] | None] = [attempt.get("nodes") for attempt in run.get("attempts") or ()]
    return next((nodes for nodes in [run.get("nodes"), *reversed(found)] if nodes is not None), None)
