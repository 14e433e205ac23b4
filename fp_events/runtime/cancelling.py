"""Ending runs by command, wherever they are.

QUEUED, WAITING    CANCELLED at once; the next run of the key goes on
RUNNING            the executor stops it: an async run is cancelled, a process killed, a thread abandoned
FINISHED           nothing to cancel; one that was cancelled before stays so
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from fp_events.domain.records import Batch, Claim, Finish, StoredRun
from fp_events.domain.run import AttemptResult, Outcome, RunState

from .command import Desk, Stopped
from .entry import Entry, Phase
from .runner import Runner

#: Seconds until a command no longer waits for an attempt to be stopped; every executor needs less than one.
PATIENCE = 10.0

_WAS = {
    Phase.BLOCKED: "queued",
    Phase.READY: "queued",
    Phase.LOADING: "queued",
    Phase.WAITING: "waiting",
}


async def stop(runner: Runner, entry: Entry) -> Stopped:
    """Cancel a held run and wait until its end is durable, for ten seconds at the most."""
    was = _WAS.get(entry.phase, "running")
    ended: asyncio.Future[tuple[Outcome, AttemptResult | None]] = asyncio.get_running_loop().create_future()

    def then(outcome: Outcome, result: AttemptResult | None) -> None:
        if not ended.done():
            ended.set_result((outcome, result))

    runner.pending.when_ended(entry.run_id, then)
    runner.cancel(entry)
    try:
        async with asyncio.timeout(PATIENCE):
            outcome, result = await ended
    except TimeoutError:
        return Stopped(pipeline=entry.pipeline, was=was, outcome=None)
    abandoned = result is not None and result.abandoned
    return Stopped(pipeline=entry.pipeline, was=was, outcome=outcome, abandoned=abandoned)


async def strike(desk: Desk, runs: Sequence[StoredRun]) -> frozenset[str]:
    """Make runs CANCELLED that nobody holds: no daemon runs, or it no longer has their pipeline.

    Returns the ids of those where somebody was quicker.
    """
    now = datetime.now(UTC)
    # Found RUNNING: the process that ran it is gone, and only its owner may end a run.
    orphans = {run.run_id: run.attempt + 1 for run in runs if run.state is RunState.RUNNING}
    finishes = [
        Finish(
            run_id=run.run_id,
            attempt=orphans.get(run.run_id, run.attempt),
            outcome=Outcome.CANCELLED,
            finished_at=now,
        )
        for run in runs
    ]
    claims = [Claim(run_id=run_id, attempt=attempt) for run_id, attempt in orphans.items()]
    return (await desk.commit(Batch(claims=tuple(claims), finishes=tuple(finishes)))).stale
