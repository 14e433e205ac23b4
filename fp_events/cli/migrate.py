"""`migrate`: a FlowerPower project becomes one of ours, beside the old one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fp_events.domain.errors import ConfigError, Problem, UsageError

from .invocation import Invocation
from .output import Column, Format, FormatOption, Row, field, note, safe, show_rows, show_value
from .project import show_problems
from .texts import plural

if TYPE_CHECKING:
    from fp_events.migrate import Migration

#: Kind of change -> the heading of its table.
_HEADINGS = {
    "changed": "written otherwise",
    "meaning": "means something else now",
    "dropped": "left out, nothing to do",
    "todo": "no counterpart, or to be decided",
}
_COLUMNS: Sequence[Column] = (
    field("where"),
    field("key"),
    field("old", title="was"),
    field("new", title="is"),
    field("note", title="why, or what to do"),
)


def migrate(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="PATH", help="The FlowerPower project's folder. It stays as it is.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", metavar="DIR", help="The new folder; default: PATH-fp-events beside it.")
    ] = None,
    mqtt_config: Annotated[
        str | None,
        typer.Option("--mqtt-config", metavar="FILE", help="flowerpower-mqtt's file; default: PATH/mqtt_config.yml."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; say what would change.")] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Make a project of a FlowerPower project, beside it, and say what changed and what has no counterpart."""
    invocation: Invocation = context.obj
    if form is Format.IDS:
        raise UsageError("changes have no ids", mend="use --format table, json or yaml")
    from fp_events import migrate as migrating

    found = migrating.plan(folder, output, _refusal, mqtt_config=mqtt_config)
    made = sorted([*found.texts, *found.copies]) if dry_run else migrating.write(found)
    problems = [] if dry_run else _check(found.target, invocation.environment)
    if form is Format.TABLE:
        _show(found, made, dry_run=dry_run)
        show_problems(problems)
        if not dry_run:
            errors = [problem for problem in problems if not problem.warning]
            warnings = len(problems) - len(errors)
            print(f"checked: {plural(len(errors), 'error')}, {plural(warnings, 'warning')}")
            note(f"\nnext:\n  cd {found.target}\n  fp-events check\n  fp-events serve")
    else:
        show_value(_value(found, made, problems), form=form)
    if any(not problem.warning for problem in problems):
        raise typer.Exit(ConfigError.exit_code)


def _refusal(document: Literal["project", "pipeline"], path: tuple[str | int, ...], value: object) -> str | None:
    """Why a setting cannot be written, as far as this version's keys tell; None: it can."""
    from pydantic_core import PydanticCustomError

    from fp_events.config.pipeline_keys import PipelineSettings
    from fp_events.config.project_keys import ProjectSettings
    from fp_events.config.schema import at, block_of, field_kind

    model = ProjectSettings if document == "project" else PipelineSettings
    block = block_of(at(model, path[:-1]))
    declared = block.model_fields.get(str(path[-1])) if block is not None else None
    if declared is None:
        return "not available in this version"
    kind = field_kind(declared)
    # What a variable holds is not known yet.
    if kind is None or "${" in str(value):
        return None
    try:
        kind.read(value)
    except PydanticCustomError as error:
        return error.message()
    return None


def _check(folder: Path, environment: str | None) -> Sequence[Problem]:
    from fp_events import app, config

    try:
        return app.check(config.load(folder, environment=environment))
    except ConfigError as error:
        return error.problems


def _show(found: Migration, made: Sequence[str], *, dry_run: bool) -> None:
    print(safe(f"{found.source.name}: {found.layout}"))
    rows = _rows(found)
    for kind, heading in _HEADINGS.items():
        chosen = [row for row in rows if row["kind"] == kind]
        if chosen:
            print(f"\n{heading}")
            show_rows(chosen, _COLUMNS, form=Format.TABLE, ids=lambda row: str(row["key"]), empty="")
    print()
    for name in made:
        print(safe(f"{'would make' if dry_run else 'made'} {found.target / name}"))


def _rows(found: Migration) -> list[Row]:
    return [
        {"kind": str(change.kind), "where": change.where, "key": change.key, "old": change.old, "new": change.new,
         "note": change.note}
        for change in found.changes
    ]  # fmt: skip


def _value(found: Migration, made: Sequence[str], problems: Sequence[Problem]) -> dict[str, Any]:
    fields = ("what", "where", "mend", "warning")
    return {
        "source": str(found.source),
        "target": str(found.target),
        "layout": found.layout,
        "files": list(made),
        "changes": _rows(found),
        "problems": [{name: getattr(problem, name) for name in fields} for problem in problems],
    }
