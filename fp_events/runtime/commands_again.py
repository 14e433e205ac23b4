"""Commands that run again what has run, or forget it: `runs.retry`, `runs.replay`, `runs.purge`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from uuid_utils import uuid7

from fp_events.domain.errors import UsageError
from fp_events.domain.records import Accept, Batch, NewRun, RunQuery, StoredRun
from fp_events.domain.run import Cause, RunState

from .arguments import Arguments
from .choosing import CHOOSING, chosen
from .command import MOST, Command, Desk
from .commands_dlq import DEAD, not_by_this_door, reopen

_FINISHED = RunQuery(states=frozenset({RunState.FINISHED}))
#: Runs that are replayed by one transaction.
_PART = 100


async def _named(desk: Desk, name: str) -> StoredRun | str:
    """The run, or why there is none."""
    try:
        return await desk.ledger.run(name) or "there is no such run"
    except UsageError as error:
        return str(error)


async def _retry(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    """Run dead letters again, with their identity and history."""
    retried: list[str] = []
    refused: list[dict[str, str]] = []
    for name in await chosen(desk, arguments, within=DEAD):
        run = await _named(desk, name)
        reason = run if isinstance(run, str) else _no_retry(run) or await reopen(desk, run, arguments)
        if reason:
            refused.append({"run_id": name, "reason": reason})
        elif not isinstance(run, str):
            retried.append(run.run_id)
    return {"retried": retried, "refused": refused}


def _no_retry(run: StoredRun) -> str:
    if run.dead_letter:
        return ""
    if run.outcome is None:
        return f"it has not ended: it is {run.state.value}"
    return f"it is no dead letter: it ended {run.outcome.value}; `fp-events runs replay` runs its input anew"


async def _replay(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    """Start a new run on the input of each; it names its origin, and the origin stays as it is."""
    replayed: list[dict[str, str]] = []
    refused: list[dict[str, str]] = []
    names = await chosen(desk, arguments, within=_FINISHED)
    for start in range(0, len(names), _PART):
        accepts = []
        for name in names[start : start + _PART]:
            origin = await _named(desk, name)
            reason = origin if isinstance(origin, str) else _no_replay(desk, origin, arguments)
            if reason or isinstance(origin, str):
                refused.append({"run_id": name, "reason": reason})
                continue
            run = _again(origin, None if desk.live_or_none is None else desk.live.deadline(origin.pipeline))
            accepts.append(Accept(message=origin.message, runs=(run,)))
            replayed.append({"run_id": run.run_id, "replay_of": origin.run_id})
        if accepts:
            await desk.commit(Batch(accepts=tuple(accepts)))
        if desk.live_or_none is not None:
            for accept in accepts:
                desk.live.take_reopened(await desk.run(accept.runs[0].run_id))
    return {"replayed": replayed, "refused": refused}


def _no_replay(desk: Desk, origin: StoredRun, arguments: Arguments) -> str:
    if origin.state is not RunState.FINISHED:
        return f"it has not ended: it is {origin.state.value}"
    if not arguments.may_start(origin.pipeline):
        return not_by_this_door(origin.pipeline)
    return "" if desk.live_or_none is None else desk.live.obstacle(origin)


def _again(origin: StoredRun, deadline: float | None) -> NewRun:
    """A run of the same input; `deadline` in seconds from now."""
    request = json.loads(origin.request) if origin.request else {}
    now = datetime.now(UTC)
    return NewRun(
        run_id=str(uuid7()),
        pipeline=origin.pipeline,
        cause=Cause.COMMAND,
        trigger=origin.trigger,
        trigger_topic=origin.trigger_topic,
        key=origin.key,
        captures=origin.captures,
        request=json.dumps({**request, "replay_of": origin.run_id}).encode(),
        created_at=now,
        deadline_at=None if deadline is None else now + timedelta(seconds=deadline),
    )


async def _purge(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    """Delete finished runs with everything that belongs to them."""
    ids: list[str] = []
    refused: list[dict[str, str]] = []
    for name in await chosen(desk, arguments, within=_FINISHED):
        run = await _named(desk, name)
        if isinstance(run, str):
            refused.append({"run_id": name, "reason": run})
        elif run.state is not RunState.FINISHED:
            refused.append({"run_id": run.run_id, "reason": f"it is {run.state.value}; cancel it first"})
        else:
            ids.append(run.run_id)
    purged = 0
    for start in range(0, len(ids), MOST):
        purged += await desk.ledger.purge(ids[start : start + MOST])
    return {"purged": purged, "refused": refused}


AGAIN_COMMANDS = (
    Command("runs.retry", _retry, CHOOSING, live=False, changes=True),
    Command("runs.replay", _replay, CHOOSING, live=False, changes=True),
    Command("runs.purge", _purge, CHOOSING, live=False, changes=True),
)
