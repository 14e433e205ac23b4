"""`runs list`, `runs show`: what ran, on what, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from .arguments import BeforeOption, LimitOption, PipelineOption
from .daemon import call
from .invocation import Invocation
from .known import expect_known
from .many import KeyOption, OutcomeOption, QueueOption, SinceOption, StateOption, UntilOption, ask_all, filters
from .output import (
    Column,
    Format,
    FormatOption,
    Row,
    field,
    note,
    safe,
    safe_block,
    show_facts,
    show_rows,
    show_value,
    to_json,
)
from .texts import ago, duration, outcome_style, size, until

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, or a beginning of it that is unique.")]


def run_id(row: Row) -> str:
    """What `--format ids` prints of a run."""
    return str(row["run_id"])


def _outcome(row: Row) -> str:
    """How a run ended, or where it is; with the time that it still waits."""
    state = str(row.get("outcome") or row["state"])
    return f"{state} {until(row['due_at'])}" if state == "waiting" else state


#: How runs are listed.
COLUMNS: Sequence[Column] = (
    field("run_id", title="run"),
    field("pipeline"),
    Column("outcome", _outcome, style=lambda text: outcome_style(text.partition(" ")[0])),
    field("key"),
    field("attempt", title="attempts", right=True),
    Column("created", lambda row: ago(row["created_at"])),
    Column("took", lambda row: duration(row["duration_s"]) if row["started_at"] else "", right=True),
    field("error"),
)

#: How the nodes of an attempt are listed.
NODE_COLUMNS: Sequence[Column] = (
    field("node"),
    field("status", style=outcome_style),
    Column("start", lambda row: f"+{duration(row['started_s'])}", right=True),
    Column("took", lambda row: duration(row["duration_s"]), right=True),
    field("attempts", right=True),
    field("error"),
)


def list_runs(
    context: typer.Context,
    *,
    pipeline: PipelineOption = None,
    queue: QueueOption = None,
    state: StateOption = None,
    outcome: OutcomeOption = None,
    key: KeyOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = 50,
    before: BeforeOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """List runs, the newest first."""
    invocation: Invocation = context.obj
    asked = filters(pipeline=pipeline, state=state, outcome=outcome, key=key, since=since, until=until)
    config = invocation.config()
    chosen = {**asked, "limit": limit, "before": before}
    if queue is None:
        found = call(config, "runs.list", chosen)
    else:
        rows = ask_all(config, "runs.list", chosen, queue)["runs"]
        found = {"runs": sorted(rows, key=lambda row: str(row["created_at"]), reverse=True)[:limit]}
    if not found["runs"]:
        expect_known(config, pipeline)
    show_rows(found["runs"], COLUMNS, form=form, ids=run_id, empty="no runs")
    next_page(found, form)


def next_page(found: Mapping[str, Any], form: Format) -> None:
    """Say how to see more, where there is more."""
    if form is Format.TABLE and found.get("next") is not None:
        note(f"more with --before {found['next']}")


def show(
    context: typer.Context,
    run: RunArgument,
    payload: Annotated[bool, typer.Option("--payload", help="Print the message's payload too.")] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show one run: its message, its attempts, its error, its values, and where they went."""
    invocation: Invocation = context.obj
    show_run(call(invocation.config(), "runs.show", {"run_id": run}), form, payload=payload)


def show_run(found: Mapping[str, Any], form: Format, *, payload: bool = True) -> None:
    """Print a run as `runs.show` returned it. JSON and YAML have the payload in any case."""
    if form is Format.IDS:
        print(run_id(found))
    elif form is not Format.TABLE:
        show_value(found, form=form)
    else:
        show_facts(_facts(found))
        _show_message(found.get("message"), payload=payload)
        _show_attempts(found.get("attempts") or ())
        _show_nodes(found.get("nodes"), "nodes")
        if found.get("values") is not None:
            print("\nvalues")
            print(_indented(to_json(found["values"])))
        _show_publications(found.get("publications") or ())


def _facts(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    names = ("run_id", "pipeline", "version", "cause", "schedule", "trigger", "key", "replay_of")
    times = ("scheduled_at", "created_at", "started_at", "finished_at", "due_at", "deadline_at", "expires_at")
    facts = [(name.removesuffix("_id"), _text(run.get(name))) for name in names]
    facts.insert(1, ("outcome", _text(run.get("outcome") or run.get("state"))))
    facts += [("captures", _text(run.get("captures") or None)), ("request", _text(run.get("request")))]
    facts += [(name, _text(run.get(name))) for name in times]
    facts += [("took", duration(run.get("duration_s")) if run.get("finished_at") else "")]
    facts += [("attempts", _text(run.get("attempt"))), ("crashes", _text(run.get("crashes") or None))]
    return [*facts, ("dead letter", "yes" if run.get("dead_letter") else ""), ("error", _text(run.get("error")))]


def _show_publications(rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        print("\npublished")
    for row in rows:
        reason = f" ({row['reason']})" if row["reason"] else ""
        print(f"  {safe(row['topic'])}  {row['event_id']}  {row['state']}{safe(reason)}")


def _show_message(message: Mapping[str, Any] | None, *, payload: bool) -> None:
    if message is None:
        return
    print("\nmessage")
    names = ("topic", "qos", "retain", "received_at", "size")
    facts = [(f"  {name}", _text(message.get(name))) for name in names if name != "size"]
    facts.append(("  size", size(message.get("size"))))
    facts += [("  properties", _text(message.get("properties") or None))]
    show_facts(facts)
    if payload:
        text = message.get("payload")
        print(_indented(f"base64: {message.get('payload_base64', '')}" if text is None else text))


def _show_attempts(attempts: Sequence[Mapping[str, Any]]) -> None:
    for attempt in attempts:
        node = f" in node {attempt['node']}" if attempt.get("node") else ""
        took = duration(attempt.get("duration_s"))
        after = attempt.get("delay_s")
        then = "" if after is None else f"; the next one {duration(after)} later"
        version = attempt.get("version")
        print(f"\nattempt {attempt['number']}: {attempt['ended']}{node} after {took}, version {version}{then}")
        print(_indented(attempt.get("traceback") or attempt.get("error") or ""))
        _show_nodes(attempt.get("nodes"), f"nodes of attempt {attempt['number']}")


def _show_nodes(nodes: Sequence[Mapping[str, Any]] | None, title: str) -> None:
    if nodes:
        print(f"\n{title}")
        show_rows(nodes, NODE_COLUMNS, form=Format.TABLE, ids=lambda row: str(row["node"]), empty="")


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in safe_block(text).splitlines())


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else to_json(value, indent=None)
