"""`ledger`: look after the ledger's file while no daemon runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fp_events.domain.errors import LedgerCorrupt, UsageError

from .invocation import Invocation
from .output import note, safe
from .texts import plural, size
from .trigger import waiting

if TYPE_CHECKING:
    from fp_events.config.result import Config


def check(context: typer.Context) -> None:
    """Check the ledger for damage."""
    from fp_events.ledgers import sqlite_maintenance

    file = _file(context)
    with waiting(f"checking {file}"):
        problems = sqlite_maintenance.check(file)
    for problem in problems:
        print(safe(problem))
    if problems:
        raise LedgerCorrupt(
            plural(len(problems), "finding"), where=str(file), mend="copy what is left with `fp-events ledger recover`"
        )
    note(f"{file} is sound")


def recover(
    context: typer.Context,
    target: Annotated[Path | None, typer.Argument(help="The new file; default: beside the ledger.")] = None,
) -> None:
    """Copy what can be read of a damaged ledger into a new file. The damaged one stays as it is."""
    from fp_events.ledgers import sqlite_recover

    file = _file(context)
    chosen = target or file.with_suffix(".recovered.db")
    with waiting(f"recovering {file}"):
        rows = sqlite_recover.recover(file, chosen)
    for name, count in rows.items():
        print(f"{name.replace('_', ' ')}: {count}")
    note(f"recovered to {chosen}; to go on with it, set ledger.url to it, or move it to {file}")


def backup(context: typer.Context, target: Annotated[Path, typer.Argument(help="The file to make.")]) -> None:
    """Copy the ledger, whole and consistent; a daemon may run."""
    from fp_events.ledgers import sqlite_maintenance

    file = _file(context)
    with waiting(f"copying {file}"):
        written = sqlite_maintenance.backup(file, target)
    note(f"copied to {target}, {size(written)}")


def vacuum(context: typer.Context) -> None:
    """Give the space of deleted runs back to the file system."""
    from fp_events.ledgers import sqlite_maintenance

    file = _file(context)
    with waiting(f"vacuuming {file}"):
        before, after = sqlite_maintenance.vacuum(file)
    note(f"{size(before)} before, {size(after)} now")


def _file(context: typer.Context) -> Path:
    invocation: Invocation = context.obj
    config: Config = invocation.config()
    file = config.ledger_file
    if file is None:
        raise UsageError("the ledger is in memory and has no file", mend="set ledger.url to sqlite:///…")
    return file
