"""`run`: one pipeline, here and now, without broker, daemon or ledger."""

from __future__ import annotations

from typing import Annotated

import typer

from . import arguments
from .arguments import (
    AdapterOption,
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
from .invocation import Invocation
from .moments import seconds
from .output import Format, FormatOption, note, safe, show_value, to_json
from .plain import plain
from .texts import duration, plural
from .trigger import waiting


def run(
    context: typer.Context,
    pipeline: PipelineArgument,
    *,
    inputs: InputsOption = None,
    pairs: InputOption = None,
    final_vars: FinalVarOption = None,
    settings: ConfigOption = None,
    executor: ExecutorOption = None,
    max_workers: Annotated[int | None, typer.Option("--max-workers", min=1, help="Of the executor.")] = None,
    max_retries: MaxRetriesOption = None,
    retry_delay: RetryDelayOption = None,
    jitter_factor: JitterOption = None,
    with_adapter: AdapterOption = None,
    cache: CacheOption = None,
    log_level: LevelOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Run a pipeline here and now, print its values; the exit code tells how it ended."""
    from fp_events import app
    from fp_events.domain.adapters import enabled

    invocation: Invocation = context.obj
    config = invocation.config()
    asked = arguments.executor(executor, max_workers)
    turned = arguments.adapters(with_adapter)
    found = config.pipelines.get(pipeline)
    # A bar of its own takes the place of ours.
    has_bar = found is not None and "progressbar" in enabled(found.adapters, turned or {})
    with waiting("" if has_bar else f"running {pipeline}"):
        call = app.Call(
            pipeline=pipeline,
            inputs=arguments.inputs(inputs, pairs) or {},
            final_vars=final_vars or None,
            config=arguments.assignments(settings, "--config") or None,
            executor=None if asked is None else app.executor_for(config, pipeline, asked),
            max_retries=max_retries,
            retry_delay=seconds(retry_delay, "--retry-delay"),
            jitter_factor=jitter_factor,
            with_adapter=turned,
            cache=arguments.cache(cache),
            log_level=log_level,
        )
        report = app.run_pipeline(config, call)
    values = {name: plain(value) for name, value in report.values.items()}
    if form in {Format.JSON, Format.YAML}:
        show_value(values, form=form)
    else:
        for name, value in values.items():
            print(safe(name) if form is Format.IDS else f"{name} = {to_json(value)}")
    outcome = report.outcome.value
    note(f"{outcome} in {duration(report.duration)}, {plural(report.attempts, 'attempt')}")
    skipped = [record.node for record in report.trace if record.status == "skipped"]
    if skipped:
        note(f"skipped: {', '.join(skipped)}")
    if report.failure is not None:
        node = f"node {report.failure.node}: " if report.failure.node else ""
        if invocation.debug and report.failure.traceback:
            note_block(report.failure.traceback)
        # Our own kinds of errors say all in their sentence.
        kind = "" if report.failure.type.startswith("fp_events.") else f"{report.failure.type}: "
        note(f"error: {pipeline}: {node}{kind}{report.failure.message}")
    if outcome != "succeeded":
        raise typer.Exit(1)


def note_block(text: str) -> None:
    """Several lines on stderr."""
    for line in text.splitlines():
        note(line)
