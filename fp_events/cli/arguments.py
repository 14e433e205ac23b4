"""Values on the command line: JSON where it is JSON, else text; `@file` reads a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

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


def _nodes(given: list[str] | None) -> list[str] | None:
    """Names of nodes; one that begins with `[` is a JSON list of them."""
    found: list[str] = []
    for text in given or ():
        try:
            names = json.loads(text) if text.lstrip().startswith("[") else [text]
        except ValueError as error:
            mend = "write --final-vars '[\"alert\"]', or --final-var alert"
            raise UsageError(f"--final-vars is not JSON: {error}", mend=mend) from error
        found += [str(name) for name in names]
    return found or None


FinalVarOption = Annotated[
    list[str] | None,
    typer.Option(
        "--final-var",
        "--final-vars",
        "-o",
        metavar="NODE|JSON",
        callback=_nodes,
        help="A node to compute, or a JSON list of them. May be repeated.",
    ),
]
ConfigOption = Annotated[
    list[str] | None,
    typer.Option("--config", "-c", metavar="NAME=VALUE|JSON", help="For @config.when; JSON or text. May be repeated."),
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
ExecutorOption = Annotated[
    str | None,
    typer.Option("--executor", metavar="TYPE|JSON", help='local, ray and so on, or {"type": "ray", "num_cpus": 2}.'),
]
MaxRetriesOption = Annotated[int | None, typer.Option("--max-retries", min=0, help="Attempts after the first.")]
JitterOption = Annotated[float | None, typer.Option("--jitter-factor", min=0, max=1, help="Delays vary by this share.")]
#: What may be said of an executor here; the rest is as the project configures it.
_OF_EXECUTORS = ("type", "max_workers", "num_cpus")
AdapterOption = Annotated[
    str | None,
    typer.Option("--with-adapter", metavar="JSON", help="Turn adapters on and off: '{\"mlflow\": true}'."),
]
CacheOption = Annotated[
    str | None,
    typer.Option("--cache", metavar="true|false|JSON", help='Keep nodes\' values: \'{"recompute": ["lookup"]}\'.'),
]
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
    """``NAME=VALUE`` pairs as a mapping; a value is JSON where it can be, and so may be a pair: an object of them."""
    found: dict[str, Any] = {}
    for pair in pairs or ():
        if pair.lstrip().startswith("{"):
            found |= _object(pair, option)
            continue
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"{option} '{pair}' is no NAME=VALUE", mend=f"write {option} {name or 'NAME'}=VALUE")
        found[name] = _value(read_source(text).decode("utf-8", "replace") if text.startswith("@") else text)
    return found


def inputs(document: str | None, pairs: Sequence[str] | None) -> dict[str, Any]:
    """Inputs of a run: the JSON object of `--inputs`, and over it what `-i` says."""
    found = {} if document is None else _object(read_source(document), "--inputs")
    return {**found, **assignments(pairs, "-i")}


def _object(document: str | bytes, option: str) -> dict[str, Any]:
    mend = f"write {option} '{{\"value\": 1}}'"
    try:
        found = json.loads(document)
    except ValueError as error:
        raise UsageError(f"{option} is not JSON: {error}", mend=mend) from error
    if not isinstance(found, dict):
        raise UsageError(f"{option} is no JSON object", mend=mend)
    return found


def cache(text: str | None) -> Any:
    """What `--cache` asks for: true, false or an object; None where it is not given."""
    from fp_events.domain.caching import CacheSpec

    if text is None:
        return None
    mend = 'write true, false or \'{"recompute": ["lookup"]}\''
    try:
        asked = json.loads(text.lower() if text.lower() in ("true", "false") else text)
        CacheSpec().over(asked)
    except ValueError as error:
        what = f"--cache '{text}' is not JSON" if isinstance(error, json.JSONDecodeError) else f"--cache: {error}"
        raise UsageError(what, mend=mend) from error
    return {"enabled": True} if asked == {} else asked


def adapters(document: str | None) -> dict[str, bool] | None:
    """What `--with-adapter` turns on and off; None where it is not given."""
    from fp_events.domain.adapters import chosen

    if document is None:
        return None
    try:
        return chosen(json.loads(document))
    except ValueError as error:
        mend = "write --with-adapter '{\"mlflow\": true}'"
        raise UsageError(f"--with-adapter: {error}", mend=mend) from error


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _executors() -> tuple[str, ...]:
    # Imported here: `--help` need not wait for it.
    from fp_events.domain.pipeline import ExecutorSpec

    return get_args(get_type_hints(ExecutorSpec)["type"])


def executor(text: str | None, max_workers: int | None = None) -> dict[str, Any] | None:
    """An executor as commands take it: a type, or a JSON object with it."""
    if text is None:
        return None
    asked: Any = {"type": text}
    if text.lstrip().startswith("{"):
        try:
            asked = json.loads(text)
        except ValueError as error:
            mend = 'write a type, or {"type": "ray"}'
            raise UsageError(f"--executor is not JSON: {error}", mend=mend) from error
    known = _executors()
    if asked.get("type") not in known:
        near = get_close_matches(str(asked.get("type")), known, n=1)
        mend = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(known)}"
        raise UsageError(f"there is no executor '{asked.get('type')}'", mend=mend)
    for name, value in asked.items():
        if name not in _OF_EXECUTORS:
            mend = f"it knows {', '.join(_OF_EXECUTORS)}; the rest belongs into `run.executor`"
            raise UsageError(f"--executor has no '{name}'", mend=mend)
        if name != "type" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise UsageError(f"--executor: '{name}' must be a whole number above 0", mend="write it without quotes")
    return asked if max_workers is None else {**asked, "max_workers": max_workers}


def ask(question: str, *, yes: bool) -> None:
    """Ask for consent; without a terminal, only `--yes` gives it."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"nobody is there to be asked '{question}'", mend="add --yes")
    if not typer.confirm(question, err=True):
        raise typer.Abort
