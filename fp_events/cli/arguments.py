"""Values on the command line: JSON where it is JSON, else text; `@file` reads a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from fp_events.domain.errors import StorageError, UsageError

from .output import note

PipelineArgument = Annotated[str, typer.Argument(metavar="PIPELINE", help="The pipeline's name.")]
PipelineOption = Annotated[str | None, typer.Option("--pipeline", "-p", help="Only this pipeline.")]
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="At most so many.")]
BeforeOption = Annotated[int | None, typer.Option("--before", help="The next page, as the page before named it.")]
InputsOption = Annotated[
    str | None, typer.Option("--inputs", metavar="JSON|@FILE", help="Inputs by name, as a JSON object.")
]
InputOption = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", metavar="NAME=VALUE", help="One input; JSON, text or @FILE. May be repeated."),
]
FinalVarOption = Annotated[
    list[str] | None, typer.Option("--final-var", "-o", metavar="NODE", help="A node to compute. May be repeated.")
]
ConfigOption = Annotated[
    list[str] | None,
    typer.Option("--config", "-c", metavar="NAME=VALUE", help="For @config.when; JSON or text. May be repeated."),
]
LevelOption = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] | None,
    typer.Option("--log-level", case_sensitive=False, metavar="LEVEL", help="DEBUG, INFO, WARNING, ERROR or CRITICAL."),
]
RetryDelayOption = Annotated[
    str | None, typer.Option("--retry-delay", metavar="DURATION", help="Between the attempts.")
]
AttemptTimeoutOption = Annotated[
    str | None, typer.Option("--attempt-timeout", metavar="DURATION", help="For each attempt.")
]
MaxRetriesOption = Annotated[int | None, typer.Option("--max-retries", min=0, help="Attempts after the first.")]
JitterOption = Annotated[float | None, typer.Option("--jitter-factor", min=0, max=1, help="Delays vary by this share.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def read_source(source: str) -> bytes:
    """``-`` is stdin, ``@file`` a file, anything else is itself."""
    if source == "-":
        if sys.stdin.isatty():
            note("reading from this terminal; Ctrl-D ends it")
        return sys.stdin.buffer.read()
    if source.startswith("@"):
        try:
            return Path(source[1:]).read_bytes()
        except OSError as error:
            what = f"it cannot be read: {error.strerror}"
            raise StorageError(what, where=source[1:] or "@", mend="correct the path after the @") from error
    return source.encode("utf-8", "surrogateescape")


def assignments(pairs: Sequence[str] | None, option: str) -> dict[str, Any]:
    """``NAME=VALUE`` pairs as a mapping; a value is JSON where it can be."""
    found: dict[str, Any] = {}
    for pair in pairs or ():
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"{option} '{pair}' is no NAME=VALUE", mend=f"write {option} {name or 'NAME'}=VALUE")
        found[name] = _value(read_source(text).decode("utf-8", "replace") if text.startswith("@") else text)
    return found


def inputs(document: str | None, pairs: Sequence[str] | None) -> dict[str, Any]:
    """Inputs of a run: the JSON object of `--inputs`, and over it what `-i` says."""
    found: Any = {}
    if document is not None:
        try:
            found = json.loads(read_source(document))
        except ValueError as error:
            raise UsageError(f"--inputs is not JSON: {error}", mend="write --inputs '{\"value\": 1}'") from error
        if not isinstance(found, dict):
            raise UsageError("--inputs is no JSON object", mend="write --inputs '{\"value\": 1}'")
    return {**found, **assignments(pairs, "-i")}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def ask(question: str, *, yes: bool) -> None:
    """Ask for consent; without a terminal, only `--yes` gives it."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Nobody is there to answer", mend="add --yes")
    if not typer.confirm(question, err=True):
        raise typer.Abort
