"""`pause`, `resume`: stop a pipeline from starting runs, and let it go on."""

from __future__ import annotations

import typer

from .arguments import PipelineArgument
from .daemon import call
from .invocation import Invocation
from .output import note


def pause(context: typer.Context, pipeline: PipelineArgument) -> None:
    """Start no more runs of a pipeline. Its messages are accepted and wait; a restart changes nothing."""
    invocation: Invocation = context.obj
    found = call(invocation.config(), "pause", {"pipeline": pipeline})
    note(f"{found['pipeline']} is paused; its messages wait for `fp-events resume {found['pipeline']}`")


def resume(context: typer.Context, pipeline: PipelineArgument) -> None:
    """Let a paused pipeline go on with what has waited."""
    invocation: Invocation = context.obj
    found = call(invocation.config(), "resume", {"pipeline": pipeline})
    note(f"{found['pipeline']} goes on")
