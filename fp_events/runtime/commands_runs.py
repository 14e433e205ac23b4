"""Commands about runs that were: list, show."""

from __future__ import annotations

from typing import Any

from .arguments import Arguments
from .choosing import LISTING, next_page, query_of
from .command import Command, Desk
from .destinations import publications
from .views import run_row, run_whole


async def _list(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    """Runs, newest first."""
    runs = await desk.ledger.runs(query_of(arguments))
    return {"runs": [run_row(run) for run in runs], "next": next_page(runs, arguments)}


async def show(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    """One run, whole: cause, input, attempts, values, and where they went."""
    run = await desk.run(arguments.needed("run_id"))
    left = await desk.ledger.publications(run.run_id)
    return {**run_whole(run), "publications": publications(run, left, desk.describe)}


RUNS_COMMANDS = (
    Command("runs.list", _list, LISTING, live=False, changes=False),
    Command("runs.show", show, ("run_id",), live=False, changes=False),
)
