"""Commands about several runs: which ones, by id or by filter, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fp_events.domain.errors import RunNotFound, UsageError
from fp_events.domain.run import Outcome

from .arguments import ask
from .daemon import call
from .known import expect_known
from .moments import moment
from .output import Format, note, show_value, warn
from .texts import plural

if TYPE_CHECKING:
    from fp_events.config import Config

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

QueueOption = Annotated[
    str | None, typer.Option("--queue-name", metavar="QUEUE", help="Only runs of pipelines that use this queue of RQ.")
]

_OUTCOMES = frozenset(outcome.value for outcome in Outcome)


def ask_all(config: Config, command: str, chosen: Mapping[str, Any], queue: str | None) -> dict[str, Any]:
    """The answer to a command about runs; of all pipelines that use `queue`, one after the other, where one is named.

    Raises UsageError where no pipeline uses it.
    """
    if queue is None:
        expect_known(config, chosen.get("pipeline"))
        return call(config, command, chosen)
    if chosen.get("pipeline") is not None:
        raise UsageError("--pipeline and --queue-name choose pipelines both", mend="leave one of them out")
    used = {name: one.executor.queue for name, one in config.pipelines.items() if one.executor and one.executor.queue}
    names = [name for name, used_queue in used.items() if used_queue == queue]
    if not names:
        known = ", ".join(sorted(set(used.values()))) or "none; `run.executor` of type rq names one"
        raise UsageError(f"no pipeline uses the queue '{queue}'", mend=f"known here: {known}")
    given = {name: value for name, value in chosen.items() if name != "all"}
    return _together([call(config, command, {**given, "pipeline": name}) for name in names])


def _together(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Answers of several pipelines as one: lists one behind the other, numbers summed up."""
    made: dict[str, Any] = {}
    for answer in answers:
        for name, value in answer.items():
            if isinstance(value, list):
                made[name] = [*made.get(name, []), *value]
            else:
                made[name] = made.get(name, 0) + value if isinstance(value, int) else value
    return made


def filters(
    *,
    pipeline: str | None,
    state: str | None = None,
    outcome: str | None,
    key: str | None,
    since: str | None,
    until: str | None,
) -> dict[str, Any]:
    """The filters that were given, as commands take them. Raises UsageError for an outcome among the states."""
    for word in (state or "").split(","):
        if word in _OUTCOMES:
            raise UsageError(f"'{word}' is no state, but how a run ended", mend=f"write --outcome {word}")
    found = {
        "pipeline": pipeline,
        "state": state,
        "outcome": outcome,
        "key": key,
        "since": moment(since, "--since", ago=True),
        "until": moment(until, "--until", ago=True),
    }
    return {name: value for name, value in found.items() if value is not None}


def which(runs: list[str] | None, found: Mapping[str, Any], *, every: bool, queue: str | None = None) -> dict[str, Any]:
    """The arguments that choose runs; raises UsageError where neither ids nor filters are given, or both."""
    if runs:
        if every or found or queue:
            raise UsageError("name runs, or say which by options: not both", mend="`fp-events runs list` shows ids")
        return {"run_ids": runs}
    if not every and not found and not queue:
        raise UsageError("name the runs, or say which by options, or --all", mend="`fp-events runs list` shows ids")
    return {**found, "all": True} if every else dict(found)


def confirm(verb: str, kind: str, chosen: Mapping[str, Any], *, yes: bool, queue: str | None = None) -> None:
    """Ask before something is done to runs that were not named one by one."""
    named = chosen.get("run_ids")
    said = {**chosen, **({"queue": queue} if queue else {})}
    fitting = ", ".join(f"{name} {value}" for name, value in said.items() if name not in {"all", "run_ids"})
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
