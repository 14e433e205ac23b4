"""Commands about dead letters, and about publications that the broker refused."""

from __future__ import annotations

from typing import Any

from fp_events.domain.records import Batch, Reopen, RunQuery, StoredRun

from .arguments import Arguments
from .choosing import chosen, next_page, query_of
from .command import MOST, Command, Desk
from .commands_runs import show
from .views import publication_row, run_row

#: Dead letters, not yet retried or purged.
DEAD = RunQuery(dead_letters=True)


async def _list(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    """Dead letters, newest first, and the publications that the broker refused."""
    query = query_of(arguments, dead_letters=True)
    runs = await desk.ledger.runs(query)
    refused = await desk.ledger.refused(limit=query.limit) if query.before_seq is None else ()
    wanted = [row for row in refused if query.pipeline in (None, row.pipeline)]
    return {
        "dead_letters": [run_row(run) for run in runs],
        "refused": [publication_row(row) for row in wanted],
        "next": next_page(runs, arguments),
    }


async def retry(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    """Run dead letters again, with their identity and history; send again what the broker refused (event ids)."""
    retried: list[str] = []
    refused: list[dict[str, str]] = []
    event_ids = []
    for name in await chosen(desk, arguments, within=DEAD):
        if ":" in name:
            event_ids.append(name)
            continue
        run = await desk.ledger.run(name)
        reason = "there is no such run" if run is None else await reopen(desk, run, arguments)
        if reason:
            refused.append({"run_id": run.run_id if run else name, "reason": reason})
        elif run:
            retried.append(run.run_id)
    resent = await _resend(desk, event_ids, arguments) if event_ids or arguments.flag("all") else []
    refused += [{"run_id": name, "reason": "the broker has not refused it"} for name in event_ids if name not in resent]
    return {"retried": retried, "resent": resent, "refused": refused}


async def reopen(desk: Desk, run: StoredRun, arguments: Arguments) -> str:
    """Have a dead letter run again; why not, or empty."""
    if not run.dead_letter:
        return "it is not a dead letter"
    if not arguments.may_start(run.pipeline):
        return not_by_this_door(run.pipeline)
    if desk.live_or_none is not None and (obstacle := desk.live.obstacle(run)):
        return obstacle
    committed = await desk.commit(Batch(reopened=(Reopen(run_id=run.run_id),)))
    if run.run_id in committed.stale:
        return "it is being retried already"
    if desk.live_or_none is not None:
        desk.live.take_reopened(await desk.run(run.run_id))
    return ""


def not_by_this_door(pipeline: str) -> str:
    """Why a run is not started again by a command that came by MQTT."""
    return f"pipeline '{pipeline}' may not be started by MQTT; name it under control.allow"


async def _resend(desk: Desk, event_ids: list[str], arguments: Arguments) -> list[str]:
    """Have refused publications sent again: those named, or all (of a pipeline)."""
    pipeline = arguments.text("pipeline")
    rows = await desk.ledger.refused(limit=MOST)
    resent = [
        row.publication.event_id
        for row in rows
        if row.publication.event_id in event_ids or (arguments.flag("all") and pipeline in (None, row.pipeline))
    ]
    if resent:
        await desk.commit(Batch(resend=tuple(resent)))
        if desk.live_or_none is not None:
            desk.live.resend()
    return resent


async def _purge(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    """Delete dead letters with everything that belongs to them."""
    found = [await desk.run(run_id) for run_id in await chosen(desk, arguments, within=DEAD)]
    return {"purged": await desk.ledger.purge([run.run_id for run in found if run.dead_letter])}


_CHOOSING = ("run_ids", "all", "pipeline", "outcome", "key", "since", "until")
_LISTING = ("pipeline", "outcome", "key", "since", "until", "limit", "before")

DLQ_COMMANDS = (
    Command("dlq.list", _list, _LISTING, live=False, changes=False),
    Command("dlq.show", show, ("run_id",), live=False, changes=False),
    Command("dlq.retry", retry, _CHOOSING, live=False, changes=True),
    Command("dlq.purge", _purge, _CHOOSING, live=False, changes=True),
)
