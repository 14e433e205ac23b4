"""The command `runs.cancel`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from fp_events.domain.errors import UsageError
from fp_events.domain.records import RunQuery, StoredRun
from fp_events.domain.run import Outcome, RunState

from .arguments import Arguments
from .cancelling import strike
from .choosing import CHOOSING, chosen
from .command import Command, Desk

_UNFINISHED = RunQuery(states=frozenset(RunState) - {RunState.FINISHED})
#: Runs cancelled side by side, so that they share their commits.
_PART = 500


@dataclass(slots=True)
class _Answer:
    cancelled: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, str]] = field(default_factory=list)
    #: Of no process: to be ended in the ledger.
    homeless: list[StoredRun] = field(default_factory=list)

    def done(self, run: StoredRun, was: str, *, abandoned: bool = False) -> None:
        self.cancelled.append({"run_id": run.run_id, "pipeline": run.pipeline, "was": was, "abandoned": abandoned})

    def refuse(self, run_id: str, reason: str) -> None:
        self.refused.append({"run_id": run_id, "reason": reason})


async def _cancel(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    """End runs that have not ended. One that was cancelled before is no error; one that ended otherwise is."""
    names = await chosen(desk, arguments, within=_UNFINISHED)
    answer = _Answer()
    for start in range(0, len(names), _PART):
        await asyncio.gather(*(_cancel_one(desk, name, answer) for name in names[start : start + _PART]))
        await _strike(desk, answer)
    return {"cancelled": answer.cancelled, "refused": answer.refused}


async def _cancel_one(desk: Desk, name: str, answer: _Answer) -> None:
    try:
        run = await desk.ledger.run(name)
    except UsageError as error:
        answer.refuse(name, str(error))
        return
    live = desk.live_or_none
    if run is None:
        # One of a trigger that does not save its messages.
        unsaved = await live.cancel(name) if live is not None else None
        if unsaved is None or unsaved.outcome is not Outcome.CANCELLED:
            answer.refuse(name, "there is no such run" if unsaved is None else "it has ended already")
        else:
            answer.cancelled.append(
                {"run_id": name, "pipeline": unsaved.pipeline, "was": unsaved.was, "abandoned": unsaved.abandoned}
            )
        return
    stopped = await live.cancel(run.run_id) if live is not None else None
    if stopped is None:
        # It may have ended since it was read.
        run = await desk.run(run.run_id)
        if run.state is not RunState.FINISHED:
            answer.homeless.append(run)
        else:
            _judge(answer, run, run.outcome, "finished")
    else:
        _judge(answer, run, stopped.outcome, stopped.was, abandoned=stopped.abandoned)


def _judge(answer: _Answer, run: StoredRun, outcome: Outcome | None, was: str, *, abandoned: bool = False) -> None:
    if outcome is Outcome.CANCELLED:
        answer.done(run, "cancelled" if was == "finished" else was, abandoned=abandoned)
    elif outcome is None:
        answer.refuse(run.run_id, "it has been told to end and has not yet; look again with `fp-events runs show`")
    else:
        answer.refuse(run.run_id, f"it has ended already: {outcome.value}")


async def _strike(desk: Desk, answer: _Answer) -> None:
    if not answer.homeless:
        return
    runs, answer.homeless = answer.homeless, []
    quicker = await strike(desk, runs)
    for run in runs:
        if run.run_id in quicker:
            answer.refuse(run.run_id, "it has just changed; try again")
        else:
            answer.done(run, run.state.value)


CANCEL_COMMANDS = (Command("runs.cancel", _cancel, CHOOSING, live=False, changes=True),)
