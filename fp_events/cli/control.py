"""`pause`, `resume`, `reload`: steer the pipelines of a daemon."""

from __future__ import annotations

from typing import Annotated

import typer

from .arguments import PipelineArgument
from .daemon import call
from .invocation import Invocation
from .output import note, warn

TriggerOption = Annotated[
    str | None, typer.Option("--trigger", metavar="TOPIC", help="Only this trigger: its topic as the YAML has it.")
]


def pause(context: typer.Context, pipeline: PipelineArgument, trigger: TriggerOption = None) -> None:
    """Start no more runs of a pipeline. Its messages are accepted and wait; a restart changes nothing."""
    invocation: Invocation = context.obj
    found = call(invocation.config(), "pause", {"pipeline": pipeline, "trigger": trigger})
    name = found["pipeline"]
    if trigger is None:
        note(f"{name} is paused; its messages wait for `fp-events resume {name}`")
    else:
        note(f"{name}: {trigger} is paused; its messages wait for `fp-events resume {name} --trigger '{trigger}'`")


def resume(context: typer.Context, pipeline: PipelineArgument, trigger: TriggerOption = None) -> None:
    """Let a paused pipeline go on with what has waited."""
    invocation: Invocation = context.obj
    config = invocation.config()
    found = call(config, "resume", {"pipeline": pipeline, "trigger": trigger})
    note(f"{found['pipeline']} goes on" if trigger is None else f"{found['pipeline']}: {trigger} goes on")
    rows = [row for row in call(config, "status")["pipelines"] if row["name"] == pipeline]
    for row in rows:
        if row["paused"] and trigger is not None:
            note(f"{pipeline} itself is paused still; see `fp-events resume {pipeline}`")
        for each in row["triggers"]:
            if each["paused"]:
                note(f"its trigger {each['topic']} is paused still")


def reload(context: typer.Context) -> None:
    """Swap the pipelines that have changed, all or none; messages and runs under way go on."""
    invocation: Invocation = context.obj
    # Not by way of the ledger: only a daemon has versions to swap. What is wrong in the files, it tells itself.
    found = call(invocation.config(), "reload", {})
    for name, version in found["reloaded"].items():
        note(f"{name} runs version {version}")
    if not found["reloaded"]:
        note("no pipeline has changed")
    if found["needs_restart"]:
        warn(f"{', '.join(found['needs_restart'])} in conf/project.yml changed: that takes effect at the next start")
