"""`schema`: what a pipeline takes, as JSON Schema."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fp_events.domain.errors import PipelineNotFound, StorageError

from .arguments import PipelineArgument
from .invocation import Invocation
from .output import note, to_json, to_yaml


class SchemaFormat(StrEnum):
    """How to write it."""

    JSON = "json"
    YAML = "yaml"


def schema(
    context: typer.Context,
    name: PipelineArgument,
    form: Annotated[SchemaFormat, typer.Option("--format", "-f", help="json or yaml.")] = SchemaFormat.JSON,
    output: Annotated[Path | None, typer.Option("--output", help="A file; default: stdout.")] = None,
) -> None:
    """Print the JSON Schema of a pipeline's inputs and of its triggers' payloads."""
    from fp_events import app
    from fp_events.plans.schema import input_schema

    invocation: Invocation = context.obj
    config = invocation.config()
    if name not in config.pipelines:
        raise PipelineNotFound(name, sorted(config.pipelines))
    found = input_schema(app.catalogue(config), config.pipelines[name])
    text = to_json(found) if form is SchemaFormat.JSON else to_yaml(found)
    if output is None:
        print(text)
        return
    try:
        output.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"it cannot be written: {error.strerror}", where=str(output)) from error
    note(f"written to {output}")
