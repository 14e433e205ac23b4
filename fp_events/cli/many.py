"""Commands about several runs: which ones, by id or by filter, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from fp_events.domain.errors import RunNotFound, UsageError

from .arguments import ask
from .moments import moment
from .output import Format, note, show_value, warn
from .texts import plural

RunsArgument = Annotated[list[str] | None, typer.Argument(metavar="RUN...", help="Ids as `runs list` shows them.")]
AllOption = Annotated[bool, typer.Option("--all", help="All that fit the other options, or all there are.")]
StateOption = Annotated[
    str | None, typer.Option("--state", help="Only runs that are queued, running, waiting or finished.")
]
OutcomeOption = Annotated[
    str | None,
    typer.Option(
        "--outcome",
        help="Only runs that ended so: succeeded, failed, timed_out, expired, rejected, skipped, cancelled.",
    ),
]
KeyOption = Annotated[str | None, typer.Option("--key", help="Only runs of this key.")]
SinceOption = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Only runs made after: 2h (ago), or an ISO time.")
]
UntilOption = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Only runs made before: 2h (ago), or an ISO time.")
]


def filters(
    *,
    pipeline: str | None,
    state: str | None = None,
    outcome: str | None,
    key: str | None,
    since: str | None,
    until: str | None,
) -> dict[str, Any]:
    """The filters that were given, as commands take them."""
    found = {
        "pipeline": pipeline,
        "state": state,
        "outcome": outcome,
        "key": key,
        "since": moment(since, "--since", ago=True),
        "until": moment(until, "--until", ago=True),
    }
    return {name: value for name, value in found.items() if value is not None}


def which(runs: list[str] | None, found: Mapping[str, Any], *, every: bool) -> dict[str, Any]:
    """The arguments that choose runs; raises UsageError where neither ids nor filters are given, or both."""
    if runs:
        if every or found:
            raise UsageError("name runs, or say which by options: not both", mend="`fp-events runs list` shows ids")
        return {"run_ids": runs}
    if not every and not found:
        raise UsageError("name the runs, or say which by options, or --all", mend="`fp-events runs list` shows ids")
    return {**found, "all": True} if every else dict(found)


def confirm(verb: str, kind: str, chosen: Mapping[str, Any], *, yes: bool) -> None:
    """Ask before something is done to runs that were not named one by one."""
    named = chosen.get("run_ids")
    fitting = ", ".join(f"{name} {value}" for name, value in chosen.items() if name not in {"all", "run_ids"})
    what = plural(len(named), kind) if named else f"all {kind}s" + (f" with {fitting}" if fitting else "")
    ask(f"{verb} {what}?", yes=yes)


def tell(found: Mapping[str, Any], done: Sequence[str], sentences: Sequence[str], form: Format) -> None:
    """Print what was done and, as warnings, what was not; raises Exit 1 for the latter.

    `done`: ids for `--format ids`. Where the only run named is not there, RunNotFound.
    """
    refused: Sequence[Mapping[str, str]] = found.get("refused") or ()
    if not done and len(refused) == 1 and refused[0]["reason"] == "there is no such run":
        raise RunNotFound(refused[0]["run_id"])
    if form is Format.IDS:
        for run_id in done:
            print(run_id)
    elif form is not Format.TABLE:
        show_value(found, form=form)
    else:
        for refusal in refused:
            warn(f"{refusal['run_id']}: {refusal['reason']}")
        for sentence in sentences:
            note(sentence)
    if refused:
        raise typer.Exit(1)
