"""`doctor`: is everything here that a daemon needs?"""

from __future__ import annotations

import sys

import typer

from fp_events.domain.errors import UsageError

from .doctor_checks import findings
from .invocation import Invocation
from .output import Column, Format, FormatOption, field, show_rows, show_value
from .texts import plural

_STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}

_COLUMNS = (
    field("check"),
    field("verdict", style=lambda text: _STYLES.get(text.strip(), "")),
    field("found"),
    Column("mend", lambda row: str(row["mend"])),
)


def doctor(context: typer.Context, form: FormatOption = Format.TABLE) -> None:
    """Check this machine and this project; every finding says how to mend it."""
    invocation: Invocation = context.obj
    if form is Format.IDS:
        raise UsageError("findings have no ids", mend="use --format table, json or yaml")
    found = findings(invocation)
    rows = [{"check": f.check, "verdict": f.verdict, "found": f.found, "mend": f.mend} for f in found]
    if form is Format.TABLE:
        show_rows(rows, _COLUMNS, form=form, ids=str, empty="")
    else:
        show_value(rows, form=form)
    failed = [finding for finding in found if finding.verdict == "fail"]
    if failed:
        if form is Format.TABLE:
            print(f"\n{plural(len(failed), 'check')} failed", file=sys.stderr)
        raise typer.Exit(failed[0].exit_code)
