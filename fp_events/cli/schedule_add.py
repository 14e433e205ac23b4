"""`schedules add`: a schedule of a running daemon, beside those of the project's files."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from fp_events.domain.errors import UsageError

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
from .daemon import call
from .invocation import Invocation
from .moments import seconds
from .output import Format, FormatOption
from .schedules import show_schedule


def add(
    context: typer.Context,
    pipeline: PipelineArgument,
    *,
    cron: Annotated[
        str | None, typer.Option("--cron", metavar="CRON|JSON", help="'0 5 * * 1-5', @daily, or fields as JSON.")
    ] = None,
    interval: Annotated[
        str | None, typer.Option("--interval", metavar="DURATION|JSON", help="45m, 1d6h, or units as JSON.")
    ] = None,
    dates: Annotated[
        list[str] | None, typer.Option("--date", metavar="TIME", help="Once, at an ISO time. May be repeated.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option("--timezone", metavar="ZONE", help="Whose clock counts, e.g. Europe/Berlin; UTC.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--schedule-id", "--id", metavar="ID", help="Default: the pipeline's name.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an added schedule of the same id.")] = False,
    start: Annotated[str | None, typer.Option("--start", metavar="TIME", help="Not before.")] = None,
    end: Annotated[str | None, typer.Option("--end", metavar="TIME", help="Not after.")] = None,
    jitter: Annotated[
        str | None, typer.Option("--jitter", metavar="DURATION", help="Runs come up to this much later.")
    ] = None,
    misfire_grace: Annotated[
        str | None, typer.Option("--misfire-grace", metavar="DURATION", help="Runs end expired when later than this.")
    ] = None,
    coalesce: Annotated[
        str | None, typer.Option("--coalesce", metavar="latest|all", help="Which missed times are made up for.")
    ] = None,
    max_missed: Annotated[
        int | None, typer.Option("--max-missed", min=1, max=10_000, help="With --coalesce all: at most so many.")
    ] = None,
    inputs: InputsOption = None,
    pairs: InputOption = None,
    final_vars: FinalVarOption = None,
    settings: ConfigOption = None,
    key: Annotated[str | None, typer.Option("--key", help="Key of its runs, for order and state.")] = None,
    priority: Annotated[int | None, typer.Option("--priority", min=0, max=9, help="Higher ones start first.")] = None,
    max_retries: MaxRetriesOption = None,
    retry_delay: RetryDelayOption = None,
    jitter_factor: JitterOption = None,
    executor: ExecutorOption = None,
    attempt_timeout: AttemptTimeoutOption = None,
    log_level: LevelOption = None,
    with_adapter: AdapterOption = None,
    cache: CacheOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Add a schedule to the daemon and show when it will fire. It stays over restarts."""
    invocation: Invocation = context.obj
    asked: dict[str, Any] = {
        "pipeline": pipeline,
        "cron": _text_or_json(cron, "--cron"),
        "interval": _text_or_json(interval, "--interval"),
        "date": dates or None,
        "timezone": timezone,
        "schedule_id": name,
        "overwrite": overwrite or None,
        "start": start,
        "end": end,
        "jitter": seconds(jitter, "--jitter"),
        "misfire_grace": seconds(misfire_grace, "--misfire-grace"),
        "coalesce": coalesce,
        "max_missed": max_missed,
        "inputs": arguments.inputs(inputs, pairs) or None,
        "final_vars": final_vars,
        "config": arguments.assignments(settings, "--config") or None,
        "key": key,
        "priority": priority,
        "max_retries": max_retries,
        "retry_delay": seconds(retry_delay, "--retry-delay"),
        "jitter_factor": jitter_factor,
        "timeout": seconds(attempt_timeout, "--attempt-timeout"),
        "log_level": log_level,
        "with_adapter": arguments.adapters(with_adapter),
        "cache": arguments.cache(cache),
        "executor": arguments.executor(executor),
    }
    show_schedule(call(invocation.config(), "schedules.add", asked), form)


def _text_or_json(text: str | None, option: str) -> Any:
    """The text, or the object that it is in JSON."""
    if text is None or not text.lstrip().startswith("{"):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(
            f"{option} is not JSON: {error}", mend='write an object such as {"hours": 2}, or text'
        ) from error
