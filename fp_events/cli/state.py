"""`state`: what pipelines keep by key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from fp_events.domain.errors import UsageError

from .arguments import LimitOption, PipelineArgument, PipelineOption, YesOption, ask
from .daemon import call
from .invocation import Invocation
from .known import expect_known
from .output import Column, Format, FormatOption, field, note, safe, show_rows, show_value, to_json
from .texts import ago, plural, size

_SHOWN = 60

_COLUMNS: Sequence[Column] = (
    field("pipeline"),
    field("key"),
    Column("value", lambda row: _shortened(to_json(row["value"], indent=None))),
    Column("size", lambda row: size(row["size"]), right=True),
    Column("updated", lambda row: ago(row["updated_at"])),
    field("run_id", title="run"),
)


def list_states(
    context: typer.Context,
    pipeline: PipelineOption = None,
    limit: LimitOption = 50,
    after: Annotated[str | None, typer.Option("--after", help="Only keys that sort after this one.")] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """List the keys that have state, with their values."""
    invocation: Invocation = context.obj
    config = invocation.config()
    found = call(config, "state.list", {"pipeline": pipeline, "limit": limit, "after": after})
    if not found["states"]:
        expect_known(config, pipeline)
    show_rows(found["states"], _COLUMNS, form=form, ids=lambda row: str(row["key"]), empty="no state")


def show(
    context: typer.Context,
    pipeline: PipelineArgument,
    key: Annotated[str, typer.Argument(help="The key, as `state list` shows it.")],
    form: FormatOption = Format.JSON,
) -> None:
    """Show one key's state."""
    invocation: Invocation = context.obj
    config = invocation.config()
    expect_known(config, pipeline)
    found = call(config, "state.show", {"pipeline": pipeline, "key": key})
    if form is Format.IDS:
        print(safe(found["key"]))
    else:
        show_value(found, form=Format.JSON if form is Format.TABLE else form)


def reset(
    context: typer.Context,
    pipeline: PipelineArgument,
    key: Annotated[str | None, typer.Argument(help="The key to forget.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Forget all keys of the pipeline.")] = False,
    yes: YesOption = False,
) -> None:
    """Forget a key's state: its next run starts from nothing."""
    invocation: Invocation = context.obj
    if (key is not None) == every:
        raise UsageError("name the key, or say --all", mend="`fp-events state list` shows the keys")
    config = invocation.config()
    expect_known(config, pipeline)
    ask(f"Forget {'all keys' if every else f'key {key}'} of {pipeline}?", yes=yes)
    asked = {"pipeline": pipeline, "key": key, "all": every or None}
    found = call(config, "state.reset", asked)
    note(f"{plural(found['reset'], 'key')} reset")


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
