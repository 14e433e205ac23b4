"""`trigger`: start a run in the daemon."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import arguments
from .arguments import (
    AdapterOption,
    AttemptTimeoutOption,
    CacheOption,
    ConfigOption,
    ExecutorOption,
    FinalVarOption,
    InputOption,
    InputsOption,
    JitterOption,
    LevelOption,
    MaxRetriesOption,
    PipelineArgument,
    RetryDelayOption,
)
from .daemon import by, call
from .invocation import Invocation
from .moments import moment, seconds
from .output import Format, FormatOption, console, note, safe, show_value, to_json
from .texts import duration

if TYPE_CHECKING:
    from fp_events.config import Config

#: Outcome -> how a sentence goes on after "the run".
_ENDED: Mapping[str | None, str] = {
    "failed": "failed",
    "timed_out": "timed out",
    "expired": "expired",
    "rejected": "was rejected",
    "skipped": "was skipped",
    "cancelled": "was cancelled",
}


def trigger(
    context: typer.Context,
    pipeline: PipelineArgument,
    *,
    inputs: InputsOption = None,
    pairs: InputOption = None,
    final_vars: FinalVarOption = None,
    settings: ConfigOption = None,
    key: Annotated[str | None, typer.Option("--key", help="The run's key, for order and state.")] = None,
    run_id: Annotated[str | None, typer.Option("--run-id", help="An id of your own; default: a new one.")] = None,
    run_at: Annotated[
        str | None, typer.Option("--run-at", metavar="TIME", help="Start then: an ISO time; without zone, local.")
    ] = None,
    run_in: Annotated[str | None, typer.Option("--run-in", metavar="DURATION", help="Start after 90s, 2h30m.")] = None,
    deadline: Annotated[
        str | None, typer.Option("--deadline", metavar="DURATION", help="The run ends timed_out after this.")
    ] = None,
    priority: Annotated[
        int | None, typer.Option("--priority", min=0, max=9, help="Higher ones start first; default 0.")
    ] = None,
    max_retries: MaxRetriesOption = None,
    retry_delay: RetryDelayOption = None,
    jitter_factor: JitterOption = None,
    executor: ExecutorOption = None,
    attempt_timeout: AttemptTimeoutOption = None,
    log_level: LevelOption = None,
    with_adapter: AdapterOption = None,
    cache: CacheOption = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the run; the exit code tells how it ended.")] = False,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=0, metavar="SECONDS", help="Wait no longer than this.")
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Start a run in the daemon and print its id."""
    invocation: Invocation = context.obj
    asked: dict[str, Any] = {
        "pipeline": pipeline,
        "inputs": arguments.inputs(inputs, pairs),
        "final_vars": final_vars,
        "config": arguments.assignments(settings, "--config") or None,
        "key": key,
        "run_id": run_id,
        "run_at": moment(run_at, "--run-at"),
        "run_in": seconds(run_in, "--run-in"),
        "deadline": seconds(deadline, "--deadline"),
        "priority": priority,
        "max_retries": max_retries,
        "retry_delay": seconds(retry_delay, "--retry-delay"),
        "jitter_factor": jitter_factor,
        "timeout": seconds(attempt_timeout, "--attempt-timeout"),
        "log_level": log_level,
        "with_adapter": arguments.adapters(with_adapter),
        "cache": arguments.cache(cache),
        "executor": arguments.executor(executor),
        "wait": wait or None,
        "timeout_s": timeout,
    }
    config = invocation.config()
    if wait and sys.stderr.isatty() and by.get() == "socket":
        found = _followed(config, {**asked, "wait": None, "timeout_s": None}, timeout)
    else:
        with waiting(f"waiting for {pipeline}" if wait else ""):
            found = call(config, "run", asked)
    _show(found, form, wait=wait)


def _followed(config: Config, asked: Mapping[str, Any], timeout: float | None) -> dict[str, Any]:
    """Start a run and show on one line of the terminal where it is, until it has ended or `timeout` is over."""
    from .watching import follow, progress

    run_id = call(config, "run", asked)["run_id"]
    began = monotonic()
    with console(stderr=True).status(f"{asked['pipeline']} {run_id}") as line:
        for run in follow(config, run_id, limit=timeout):
            line.update(safe(f"{run['pipeline']} {run_id}: {progress(run)}, {duration(monotonic() - began)}"))
    return call(config, "runs.show", {"run_id": run_id})


def waiting(text: str) -> AbstractContextManager[object]:
    """A spinner on a terminal's stderr; nothing elsewhere, or without a text."""
    return console(stderr=True).status(text) if text and sys.stderr.isatty() else nullcontext()


def _show(found: dict[str, Any], form: Format, *, wait: bool) -> None:
    if form in {Format.JSON, Format.YAML}:
        show_value(found, form=form)
    else:
        print(found["run_id"])
        if wait and form is Format.TABLE:
            for name, value in (found.get("values") or {}).items():
                print(f"{name} = {to_json(value)}")
    if not wait:
        return
    if found.get("outcome") != "succeeded":
        node = f"node {found['node']}: " if found.get("node") else ""
        why = f": {node}{found['error']}" if found.get("error") else ""
        ended = _ENDED.get(found.get("outcome"), "has not ended yet")
        note(f"error: {found['pipeline']}: the run {ended}{why}; see `fp-events runs show {found['run_id']}`")
        raise typer.Exit(1)
