"""`cache`: values of nodes that are kept from run to run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from .arguments import PipelineOption
from .invocation import Invocation
from .moments import seconds
from .output import Column, Format, FormatOption, field, note, show_rows, show_value
from .texts import ago, plural, size

NodeOption = Annotated[str | None, typer.Option("--node", help="Only this node.")]

_COLUMNS: Sequence[Column] = (
    field("pipeline"),
    field("node"),
    field("values", right=True),
    Column("size", lambda row: size(row["bytes"]), right=True),
    Column("oldest", lambda row: ago(row["oldest"])),
    Column("newest", lambda row: ago(row["newest"])),
)


def stats(
    context: typer.Context, pipeline: PipelineOption = None, node: NodeOption = None, form: FormatOption = Format.TABLE
) -> None:
    """Show how much is kept, by pipeline and node."""
    from fp_events import app

    invocation: Invocation = context.obj
    rows = app.kept(invocation.config(), pipeline, node)
    show_rows(rows, _COLUMNS, form=form, ids=lambda row: f"{row['pipeline']} {row['node']}", empty="nothing is kept")
    if rows and form is Format.TABLE:
        values, total = sum(row["values"] for row in rows), sum(row["bytes"] for row in rows)
        note(f"{plural(values, 'value')}, {size(total)}")


def clear(
    context: typer.Context,
    pipeline: PipelineOption = None,
    node: NodeOption = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="DURATION", help="Only values stored so long ago: 2d.")
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Delete kept values: the next run computes them anew."""
    from fp_events import app

    invocation: Invocation = context.obj
    deleted = app.forget(invocation.config(), pipeline, node, seconds(older_than, "--older-than"))
    if form in {Format.JSON, Format.YAML}:
        show_value(deleted, form=form)
    else:
        note(f"deleted {plural(deleted['values'], 'value')}, {size(deleted['bytes'])}")
