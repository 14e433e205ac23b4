"""Commands that run again what has run, or forget it: `runs.retry`, `runs.replay`, `runs.purge`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from uuid_utils import uuid7

from fp_events.domain.errors import UsageError
from fp_events.domain.records import Accept, Batch, NewRun, RunQuery, StoredRun
from fp_events.domain.run import Cause, RunState

from .arguments import Arguments
from .choosing import CHOOSING, chosen
from .command import MOST, Command, Desk
from .commands_dlq import DEAD, reopen

_FINISHED = RunQuery(states=frozenset({RunState.FINISHED}))


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
        reason = run if isinstance(run, str) else _no_retry(run) or await reopen(desk, run)
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
    for name in await chosen(desk, arguments, within=_FINISHED):
        origin = await _named(desk, name)
        if not isinstance(origin, str) and origin.state is not RunState.FINISHED:
            origin = f"it has not ended: it is {origin.state.value}"
        if not isinstance(origin, str) and desk.live_or_none is not None:
            origin = desk.live.obstacle(origin) or origin
        if isinstance(origin, str):
            refused.append({"run_id": name, "reason": origin})
            continue
        run = _again(origin)
        await desk.commit(Batch(accepts=(Accept(message=origin.message, runs=(run,)),)))
        if desk.live_or_none is not None:
            desk.live.take_reopened(await desk.run(run.run_id))
        replayed.append({"run_id": run.run_id, "replay_of": origin.run_id})
    return {"replayed": replayed, "refused": refused}


def _again(origin: StoredRun) -> NewRun:
    request = json.loads(origin.request) if origin.request else {}
    return NewRun(
        run_id=str(uuid7()),
        pipeline=origin.pipeline,
        cause=Cause.COMMAND,
        trigger=origin.trigger,
        trigger_topic=origin.trigger_topic,
        key=origin.key,
        captures=origin.captures,
        request=json.dumps({**request, "replay_of": origin.run_id}).encode(),
        created_at=datetime.now(UTC),
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
