"""`dlq`: dead letters are listed, explained, retried, purged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from fp_events.domain.errors import UsageError

from .arguments import BeforeOption, LimitOption, PipelineOption, YesOption, ask
from .daemon import call
from .invocation import Invocation
from .output import Column, Format, FormatOption, field, note, show_rows, show_value, warn
from .runs import RunArgument, next_page, run_id, show_run
from .texts import ago, outcome_style, plural

RunsArgument = Annotated[list[str] | None, typer.Argument(metavar="RUN...", help="Ids as `dlq list` shows them.")]
AllOption = Annotated[bool, typer.Option("--all", help="All dead letters, or all of --pipeline.")]

_LETTERS: Sequence[Column] = (
    field("run_id", title="run"),
    field("pipeline"),
    Column("outcome", lambda row: str(row.get("outcome") or ""), style=outcome_style),
    field("trigger"),
    field("node"),
    field("attempt", title="attempts", right=True),
    Column("created", lambda row: ago(row["created_at"])),
    field("error"),
)
_REFUSED: Sequence[Column] = (
    field("event_id", title="event"),
    field("pipeline"),
    field("topic"),
    Column("created", lambda row: ago(row["created_at"])),
    field("reason"),
)


def list_letters(
    context: typer.Context,
    pipeline: PipelineOption = None,
    limit: LimitOption = 50,
    before: BeforeOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """List dead letters, the newest first, and results that the broker refused."""
    invocation: Invocation = context.obj
    found = call(invocation.config(), "dlq.list", {"pipeline": pipeline, "limit": limit, "before": before})
    if form in {Format.JSON, Format.YAML}:
        show_value({name: found[name] for name in ("dead_letters", "refused")}, form=form)
        return
    show_rows(found["dead_letters"], _LETTERS, form=form, ids=run_id, empty="no dead letters")
    if form is Format.TABLE and found["refused"]:
        print("\nresults that the broker refused")
        show_rows(found["refused"], _REFUSED, form=form, ids=run_id, empty="")
    next_page(found, form)


def show(context: typer.Context, run: RunArgument, form: FormatOption = Format.TABLE) -> None:
    """Show one dead letter: its message and every attempt."""
    invocation: Invocation = context.obj
    show_run(call(invocation.config(), "dlq.show", {"run_id": run}), form)


def retry(
    context: typer.Context,
    runs: RunsArgument = None,
    every: AllOption = False,
    pipeline: PipelineOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Run dead letters again, through today's code and configuration."""
    invocation: Invocation = context.obj
    found = call(invocation.config(), "dlq.retry", _which(runs, every=every, pipeline=pipeline))
    if form is Format.IDS:
        print("\n".join(found["retried"]))
    elif form is Format.TABLE:
        for refusal in found["refused"]:
            warn(f"{refusal['run_id']}: {refusal['reason']}")
        note(f"{plural(len(found['retried']), 'dead letter')} will run again")
    else:
        show_value(found, form=form)
    if found["refused"]:
        raise typer.Exit(1)


def purge(
    context: typer.Context,
    runs: RunsArgument = None,
    every: AllOption = False,
    pipeline: PipelineOption = None,
    yes: YesOption = False,
) -> None:
    """Delete dead letters for good, with their messages."""
    invocation: Invocation = context.obj
    which = _which(runs, every=every, pipeline=pipeline)
    what = plural(len(runs), "dead letter") if runs else "all dead letters" + (f" of {pipeline}" if pipeline else "")
    ask(f"Delete {what} for good?", yes=yes)
    found = call(invocation.config(), "dlq.purge", which)
    note(f"{plural(found['purged'], 'dead letter')} deleted")


def _which(runs: list[str] | None, *, every: bool, pipeline: str | None) -> dict[str, Any]:
    if bool(runs) == every:
        raise UsageError("name the runs, or say --all", mend="`fp-events dlq list` shows their ids")
    return {"all": True, "pipeline": pipeline} if every else {"run_ids": runs, "pipeline": pipeline}
