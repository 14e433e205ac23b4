"""`init`, `new`, `delete`, `check`, `config show`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from fp_events.app import scaffold
from fp_events.domain.errors import ConfigError, PipelineNotFound, Problem, UsageError

from .arguments import YesOption, ask
from .invocation import Invocation
from .output import Format, FormatOption, note, safe, show_value
from .texts import plural


def init(
    folder: Annotated[
        str | None,
        typer.Argument(help="The folder to make; `.` is this one. Default: --name in --base-dir.", show_default=False),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="The project's name; default: the folder's.")] = None,
    base_dir: Annotated[
        Path | None, typer.Option("--base-dir", metavar="DIR", help="Where to make the folder --name; default: here.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Add what is missing to a folder that is not empty.")] = False,
) -> None:
    """Make a project that runs at once, with a pipeline and its test."""
    if folder is None and name is None:
        raise UsageError("name the folder to make", mend="write `fp-events init plant`, or `.` for this folder")
    if folder is not None and base_dir is not None:
        raise UsageError("--base-dir goes with --name, not with a folder", mend="leave one of them out")
    place = Path(folder) if folder is not None else (base_dir or Path()) / str(name)
    made = scaffold.init_project(place, force=force, name=name and scaffold.project_name(Path(name)))
    _show_paths("made", made)
    if not made:
        note("nothing was missing")
    steps = [] if place.resolve() == Path.cwd() else [f"cd {place}"]
    steps += ["fp-events check", "pytest", "fp-events serve"]
    note("\n  ".join(["\nnext:", *steps]))


def new(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="The pipeline's name, as a Python module's.", show_default=False)
    ] = None,
    hook: Annotated[
        str | None, typer.Option("--hook", metavar="NAME", help="Make a module of hooks, hooks/NAME.py.")
    ] = None,
) -> None:
    """Make a pipeline that works at once: a module and its YAML."""
    invocation: Invocation = context.obj
    if name is None and hook is None:
        raise UsageError("name the pipeline to make", mend="write `fp-events new boiler`, or --hook for hooks")
    if hook is not None:
        _show_paths("made", [scaffold.new_hook(invocation.root(), hook)])
        _show_hook_settings(hook, name or "<pipeline>")
    if name is None:
        return
    _show_paths("made", scaffold.new_pipeline(invocation.root(), name))
    note(f"\ntry it:\n  fp-events run {name} -i source=test -i value=21\nto serve it, (re)start `fp-events serve`")


def delete(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The pipeline's name.")],
    yes: YesOption = False,
) -> None:
    """Delete a pipeline's module and YAML. Its runs and state stay in the ledger."""
    invocation: Invocation = context.obj
    root = invocation.root()
    scaffold.check_name(name)
    files = [path for path in scaffold.pipeline_files(root, name) if path.is_file()]
    if not files:
        raise PipelineNotFound(name, scaffold.pipeline_names(root))
    ask(f"Delete {' and '.join(str(path.relative_to(root)) for path in files)}?", yes=yes)
    _show_paths("deleted", scaffold.delete_pipeline(root, name))


def check(
    context: typer.Context,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Check configuration and pipelines without connecting to anything."""
    invocation: Invocation = context.obj
    if form is Format.IDS:
        raise UsageError("problems have no ids", mend="use --format table, json or yaml")
    names: list[str] = []
    try:
        from fp_events import app, config

        loaded = config.load(invocation.location(), environment=invocation.environment)
        names = sorted(loaded.pipelines)
        problems: Sequence[Problem] = app.check(loaded)
    except ConfigError as error:
        problems = error.problems
    stopping = [problem for problem in problems if strict or not problem.warning]
    if form is Format.TABLE:
        show_problems(problems)
        warnings = len(problems) - len([problem for problem in problems if not problem.warning])
        verdict = f"{plural(len(problems) - warnings, 'error')}, {plural(warnings, 'warning')}"
        print(f"checked {plural(len(names), 'pipeline')}: {verdict}" if names else verdict)
    else:
        fields = ("what", "where", "mend", "warning")
        show_value([{name: getattr(problem, name) for name in fields} for problem in problems], form=form)
    if stopping:
        raise typer.Exit(ConfigError.exit_code)


def show_config(
    context: typer.Context,
    origins: Annotated[bool, typer.Option("--origins", help="Say where each setting comes from.")] = False,
    form: FormatOption = Format.YAML,
) -> None:
    """Show the settings that are in force. Secrets are not shown."""
    invocation: Invocation = context.obj
    if form is Format.IDS:
        raise UsageError("settings have no ids", mend="use --format yaml or json")
    show_value(invocation.config().show(origins=origins), form=Format.YAML if form is Format.TABLE else form)


def _show_hook_settings(module: str, pipeline: str) -> None:
    named = {"message": "unpack"} | {kind: kind for kind in ("before_run", "after_run", "on_failure", "on_retry")}
    lines = [f"  {kind}: hooks.{module}:{function}" for kind, function in named.items()]
    where = f"conf/pipelines/{pipeline}.yml, or in conf/project.yml for all pipelines"
    note("\n".join([f"\nname its functions in {where}:", "hooks:", *lines]))


def show_problems(problems: Sequence[Problem]) -> None:
    """Print problems on stderr, each as a sentence."""
    for problem in problems:
        kind = "warning" if problem.warning else "error"
        print(f"{kind}: {safe(str(problem))}", file=sys.stderr)


def _show_paths(verb: str, paths: Sequence[Path]) -> None:
    here = Path.cwd()
    for path in paths:
        shown = path.relative_to(here) if path.is_relative_to(here) else path
        print(f"{verb} {safe(str(shown))}")
