"""`schedules`: runs by the clock are listed, explained, added, paused, resumed, removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from fp_events.domain.errors import UsageError

from .arguments import PipelineOption, YesOption, ask
from .daemon import call
from .invocation import Invocation
from .known import expect_known
from .output import Column, Format, FormatOption, Row, field, note, show_facts, show_rows, show_value, to_json, warn
from .schedule_texts import at, fires_in, rule
from .texts import ago, duration, plural

SchedulesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="SCHEDULE...", help="Ids as `schedules list` shows them.")
]
AllOption = Annotated[bool, typer.Option("--all", help="All schedules, or all of --pipeline.")]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="The project wins over added schedules of the same id; pauses end.")
]

_STYLES = {"active": "green", "paused": "yellow", "disabled": "yellow"}
_COLUMNS: Sequence[Column] = (
    field("schedule_id", title="schedule"),
    field("pipeline"),
    Column("rule", rule),
    Column("state", lambda row: str(row["state"]), style=lambda text: _STYLES.get(text.strip(), "")),
    Column("next", fires_in),
    Column("last", lambda row: ago(row["last_fire_at"])),
)


def schedule_id(row: Row) -> str:
    """What `--format ids` prints of a schedule."""
    return str(row["schedule_id"])


def list_schedules(context: typer.Context, pipeline: PipelineOption = None, form: FormatOption = Format.TABLE) -> None:
    """List schedules, with the time of their next run."""
    invocation: Invocation = context.obj
    config = invocation.config()
    rows: list[Row] = []
    found: Mapping[str, Any] = {"next": ""}
    while found["next"] is not None:
        found = call(config, "schedules.list", {"pipeline": pipeline, "after": found["next"] or None})
        rows += found["schedules"]
    if not rows:
        expect_known(config, pipeline)
    show_rows(rows, _COLUMNS, form=form, ids=schedule_id, empty="no schedules")


def show(
    context: typer.Context,
    schedule: Annotated[str, typer.Argument(metavar="SCHEDULE", help="Its id, as `schedules list` shows it.")],
    form: FormatOption = Format.TABLE,
) -> None:
    """Show one schedule: its rule, what its runs are given, the next times."""
    invocation: Invocation = context.obj
    show_schedule(call(invocation.config(), "schedules.show", {"schedule_id": schedule}), form)


def show_schedule(found: Row, form: Format) -> None:
    """Print a schedule as `schedules.show` and `schedules.add` return it."""
    if form is Format.IDS:
        print(schedule_id(found))
    elif form is not Format.TABLE:
        show_value(found, form=form)
    else:
        show_facts(_facts(found))
        for moment in found["upcoming"]:
            print(f"  {at(moment, found['timezone'])}")


def _facts(found: Row) -> list[tuple[str, str]]:
    source = "added by a command" if found["source"] == "command" else str(found["where"] or "")
    missed = "the latest one" if found["coalesce"] == "latest" else f"all, the last {found['max_missed']}"
    return [
        ("schedule", str(found["schedule_id"])),
        ("pipeline", str(found["pipeline"])),
        ("rule", rule(found)),
        ("timezone", str(found["timezone"])),
        ("state", str(found["state"])),
        ("from", source),
        ("start", found["start"] or ""),
        ("end", found["end"] or ""),
        ("jitter", duration(found["jitter_s"]) if found["jitter_s"] else ""),
        ("misfire grace", duration(found["misfire_grace_s"]) if found["misfire_grace_s"] is not None else ""),
        ("missed times", missed),
        ("key", found["key"] or ""),
        ("request", to_json(found["request"], indent=None) if found["request"] else ""),
        ("last", ago(found["last_fire_at"])),
        ("next", fires_in(found)),
    ]


def pause(
    context: typer.Context,
    schedules: SchedulesArgument = None,
    every: AllOption = False,
    pipeline: PipelineOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Fire no more, over restarts too, until resumed. What would have fired meanwhile is left out."""
    found = _change(context, "pause", schedules, every=every, pipeline=pipeline)
    _tell(found["paused"], "paused", form)


def resume(
    context: typer.Context,
    schedules: SchedulesArgument = None,
    every: AllOption = False,
    pipeline: PipelineOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Let paused schedules go on from now."""
    found = _change(context, "resume", schedules, every=every, pipeline=pipeline)
    _tell(found["resumed"], "resumed", form)


def remove(
    context: typer.Context,
    schedules: SchedulesArgument = None,
    every: AllOption = False,
    pipeline: PipelineOption = None,
    yes: YesOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Delete schedules that were added by a command. Those of the project's files can be paused."""
    if every:
        ask(f"Remove all added schedules{f' of {pipeline}' if pipeline else ''}?", yes=yes)
    found = _change(context, "remove", schedules, every=every, pipeline=pipeline)
    _tell(found["removed"], "removed", form)


def sync(context: typer.Context, overwrite: OverwriteOption = False, form: FormatOption = Format.TABLE) -> None:
    """Read the project's schedules again, without a restart. A starting daemon does the same."""
    invocation: Invocation = context.obj
    found = call(invocation.config(), "schedules.sync", {"overwrite": overwrite or None})
    changes = [(name, found[name]) for name in ("added", "changed", "removed")]
    if form is Format.IDS:
        for name in (name for _, names in changes for name in names):
            print(name)
    elif form is not Format.TABLE:
        show_value(found, form=form)
    else:
        said = [f"{verb} {', '.join(names)}" for verb, names in changes if names]
        note("; ".join(said) if said else "nothing has changed")
    for name in found["not_used"]:
        warn(f"{name}: a command has added a schedule of this id; --overwrite lets the project's win")
    for name in found["unknown_pipelines"]:
        warn(f"the daemon does not know pipeline '{name}' yet; start it again")


def _change(
    context: typer.Context, verb: str, schedules: list[str] | None, *, every: bool, pipeline: str | None
) -> dict[str, Any]:
    if bool(schedules) == every:
        raise UsageError("name the schedules, or say --all", mend="`fp-events schedules list` shows their ids")
    if schedules and pipeline is not None:
        raise UsageError("--pipeline chooses among --all", mend="leave it out where schedules are named")
    invocation: Invocation = context.obj
    config = invocation.config()
    expect_known(config, pipeline)
    return call(
        config, f"schedules.{verb}", {"schedule_ids": schedules or None, "all": every or None, "pipeline": pipeline}
    )


def _tell(names: Sequence[str], done: str, form: Format) -> None:
    if form is Format.IDS:
        for name in names:
            print(name)
    elif form is not Format.TABLE:
        show_value({done: list(names)}, form=form)
    else:
        note(f"{plural(len(names), 'schedule')} {done}{': ' + ', '.join(names) if names else ''}")
