"""`runs cancel`, `runs retry`, `runs replay`, `runs purge`: steer runs, one or many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from .arguments import PipelineOption, YesOption
from .invocation import Invocation
from .many import (
    AllOption,
    KeyOption,
    OutcomeOption,
    QueueOption,
    RunsArgument,
    SinceOption,
    StateOption,
    UntilOption,
    ask_all,
    confirm,
    filters,
    tell,
    which,
)
from .output import Format, FormatOption
from .texts import plural


def _ask(invocation: Invocation, command: str, chosen: Mapping[str, Any], queue: str | None = None) -> dict[str, Any]:
    return ask_all(invocation.config(), command, chosen, queue)


def cancel(
    context: typer.Context,
    runs: RunsArgument = None,
    *,
    every: AllOption = False,
    pipeline: PipelineOption = None,
    queue: QueueOption = None,
    state: StateOption = None,
    key: KeyOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    yes: YesOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """End runs that wait or run. They are not tried again, and make no dead letter."""
    found = filters(pipeline=pipeline, state=state, outcome=None, key=key, since=since, until=until)
    chosen = which(runs, found, every=every, queue=queue)
    if not runs:
        confirm("Cancel", "unfinished run", chosen, yes=yes, queue=queue)
    answer = _ask(context.obj, "runs.cancel", chosen, queue)
    rows = answer["cancelled"]
    tell(answer, [row["run_id"] for row in rows], _cancelled(rows), form)


def _cancelled(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    already = sum(row["was"] == "cancelled" for row in rows)
    abandoned = sum(row["abandoned"] for row in rows)
    said = [f"{plural(len(rows) - already, 'run')} cancelled"] if already < len(rows) or not rows else []
    if already:
        said.append(f"{plural(already, 'run was', 'runs were')} cancelled before")
    if abandoned:
        said.append(
            f"{plural(abandoned, 'thread')} cannot be stopped and will end by itself; what it returns is thrown away"
            if abandoned == 1
            else f"{abandoned} threads cannot be stopped and will end by themselves; what they return is thrown away"
        )
    return said


def retry(
    context: typer.Context,
    runs: RunsArgument = None,
    *,
    every: AllOption = False,
    pipeline: PipelineOption = None,
    outcome: OutcomeOption = None,
    key: KeyOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Run dead letters again, under their own ids, through today's code and configuration."""
    found = filters(pipeline=pipeline, outcome=outcome, key=key, since=since, until=until)
    answer = _ask(context.obj, "runs.retry", which(runs, found, every=every))
    tell(answer, answer["retried"], [f"{plural(len(answer['retried']), 'run')} will run again"], form)


def replay(
    context: typer.Context,
    runs: RunsArgument = None,
    *,
    every: AllOption = False,
    pipeline: PipelineOption = None,
    outcome: OutcomeOption = None,
    key: KeyOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    yes: YesOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Run the inputs of finished runs anew, as new runs that name their origin. Their results are published again."""
    found = filters(pipeline=pipeline, outcome=outcome, key=key, since=since, until=until)
    chosen = which(runs, found, every=every)
    if not runs:
        confirm("Replay", "finished run", chosen, yes=yes)
    answer = _ask(context.obj, "runs.replay", chosen)
    rows = answer["replayed"]
    said = [f"{row['run_id']} replays {row['replay_of']}" for row in rows] if runs else [plural(len(rows), "new run")]
    tell(answer, [row["run_id"] for row in rows], said, form)


def purge(
    context: typer.Context,
    runs: RunsArgument = None,
    *,
    every: AllOption = False,
    pipeline: PipelineOption = None,
    queue: QueueOption = None,
    outcome: OutcomeOption = None,
    key: KeyOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    yes: YesOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Delete finished runs for good, with their messages, values and dead letters."""
    found = filters(pipeline=pipeline, outcome=outcome, key=key, since=since, until=until)
    chosen = which(runs, found, every=every, queue=queue)
    confirm("Delete for good", "finished run", chosen, yes=yes, queue=queue)
    answer = _ask(context.obj, "runs.purge", chosen, queue)
    tell(answer, [], [f"{plural(answer['purged'], 'run')} deleted"], form)
