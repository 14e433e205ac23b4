"""Commands about runs that were: list, show."""

from __future__ import annotations

from typing import Any

import anyio

from fp_events.domain.records import Batch

from .arguments import Arguments
from .choosing import LISTING, next_page, query_of
from .command import Command, Desk
from .destinations import publications
from .views import run_row, run_whole

#: Seconds for marks of what was sent.
MARKS = 0.5


async def _list(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    """Runs, newest first."""
    runs = await desk.ledger.runs(query_of(arguments))
    return {"runs": [run_row(run) for run in runs], "next": next_page(runs, arguments)}


async def show(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    """One run, whole: cause, input, attempts, values, and where they went."""
    if desk.live_or_none is not None:
        # Marks of what was sent wait for a transaction: this one, unless the disk is full or the file locked.
        with anyio.move_on_after(MARKS):
            await desk.live_or_none.commit(Batch())
    run = await desk.run(arguments.needed("run_id"))
    left = await desk.ledger.publications(run.run_id)
    return {**run_whole(run), "publications": publications(run, left, desk.describe)}


RUNS_COMMANDS = (
    Command("runs.list", _list, LISTING, live=False, changes=False),
    Command("runs.show", show, ("run_id",), live=False, changes=False),
)
