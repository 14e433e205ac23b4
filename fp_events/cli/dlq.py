"""`dlq`: dead letters are listed, explained, retried, purged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fp_events.domain.errors import RunNotFound, UsageError

from .arguments import BeforeOption, LimitOption, PipelineOption, YesOption, ask
from .daemon import call
from .invocation import Invocation
from .known import expect_known
from .output import Column, Format, FormatOption, field, note, show_rows, show_value, warn
from .runs import RunArgument, next_page, run_id, show_run
from .texts import ago, outcome_style, plural

if TYPE_CHECKING:
    from fp_events.config import Config


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
    config = invocation.config()
    found = call(config, "dlq.list", {"pipeline": pipeline, "limit": limit, "before": before})
    if not found["dead_letters"] and not found["refused"]:
        expect_known(config, pipeline)
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
    """Run dead letters again, through today's code and configuration; send again what the broker refused."""
    invocation: Invocation = context.obj
    which = _which(runs, every=every, pipeline=pipeline)
    config = invocation.config()
    expect_known(config, pipeline)
    found = call(config, "dlq.retry", which)
    if runs and not found["retried"] and not found["resent"]:
        _expect_any(config, runs)
    if form is Format.IDS:
        for name in (*found["retried"], *found["resent"]):
            print(name)
    elif form is Format.TABLE:
        for refusal in found["refused"]:
            warn(f"{refusal['run_id']}: {refusal['reason']}")
        if found["retried"] or not found["resent"]:
            note(f"{plural(len(found['retried']), 'dead letter')} will run again")
        if found["resent"]:
            note(f"{plural(len(found['resent']), 'refused result')} will be sent again")
    else:
        show_value(found, form=form)
    if found["refused"]:
        raise typer.Exit(1)


def _expect_any(config: Config, names: Sequence[str]) -> None:
    """Raise what `runs show` raises where none of the names is a run's, or looks like a refused result's."""
    unknown = None
    for name in names:
        if ":" in name:
            return
        try:
            call(config, "dlq.show", {"run_id": name})
        except RunNotFound as error:
            unknown = unknown or error
        else:
            return
    if unknown:
        raise unknown


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
    config = invocation.config()
    expect_known(config, pipeline)
    what = plural(len(runs), "dead letter") if runs else "all dead letters" + (f" of {pipeline}" if pipeline else "")
    ask(f"Delete {what} for good?", yes=yes)
    found = call(config, "dlq.purge", which)
    note(f"{plural(found['purged'], 'dead letter')} deleted")


def _which(runs: list[str] | None, *, every: bool, pipeline: str | None) -> dict[str, Any]:
    if bool(runs) == every:
        raise UsageError("name the runs, or say --all", mend="`fp-events dlq list` shows their ids")
    return {"all": True, "pipeline": pipeline} if every else {"run_ids": runs, "pipeline": pipeline}
