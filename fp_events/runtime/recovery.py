"""What an earlier process left unfinished comes back into memory."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fp_events.domain.ports import Ledger
from fp_events.domain.records import StoredRun
from fp_events.domain.run import Failure, RunState

from .entry import Entry, entry_of_stored
from .lane import Lane
from .overflow import Overflow
from .runner import Runner

#: Runs read at a time, and bytes of their payloads.
PAGE = 1000
PAGE_BYTES = 8 * 1024 * 1024
#: Deaths of the process while a run was alone in it, after which the run is not tried again.
POISON_CRASHES = 3
#: Interrupted runs that are few enough to run one after the other: some tenths of a second.
FEW = 32


@dataclass(slots=True)
class Recovered:
    """What was found."""

    #: Runs that were RUNNING when the process died: the most suspect first, then the oldest.
    suspects: list[Entry] = field(default_factory=list)
    #: All that were RUNNING when the process died.
    interrupted: int = 0
    queued: int = 0
    waiting: int = 0
    #: Runs that killed the process every time they were alone in it.
    poison: int = 0
    #: Pipeline -> runs that cannot go on: the pipeline, or the trigger, is no longer configured.
    homeless: Counter[str] = field(default_factory=Counter)


def entry_of(stored: StoredRun, *, runner: Runner) -> Entry | None:
    """A run that waits in the ledger; None where its pipeline or trigger is no longer configured."""
    lane = runner.lanes.get(stored.pipeline)
    trigger = _trigger(stored, lane)
    if lane is None or (trigger is None and stored.trigger is not None):
        return None
    return entry_of_stored(stored, trigger)


async def recover(ledger: Ledger, runner: Runner, overflow: Overflow) -> Recovered:
    """Hold every unfinished run, in order of acceptance. The runner must not be open yet: keys keep their order.

    Of those that are QUEUED only as many as memory has room for.
    """
    found = Recovered()
    crashes: dict[str, int] = {}
    again: set[str] = set()
    after = 0
    while True:
        page = await ledger.unfinished(after_seq=after, limit=PAGE, max_bytes=PAGE_BYTES)
        for stored in page:
            if overflow.active and stored.state is RunState.QUEUED:
                found.queued += 1
                overflow.left += 1
                continue
            _take(stored, runner, found)
            if not overflow.active and overflow.enabled and runner.pending.full:
                overflow.begin(stored.seq)
            crashes[stored.run_id] = stored.crashes
            if stored.crashes or stored.attempt - len(stored.attempts) > 1:
                again.add(stored.run_id)
        if not page:
            break
        after = page[-1].seq
    found.interrupted = len(found.suspects)
    if found.interrupted > FEW:
        # A power cut is likelier than a run that kills: only those that were interrupted before are suspected.
        found.suspects = [entry for entry in found.suspects if entry.run_id in again]
    # One that was blamed because of another that ran long beside it is cleared before that can happen again.
    found.suspects.sort(key=lambda entry: -crashes[entry.run_id])
    return found


def _take(stored: StoredRun, runner: Runner, found: Recovered) -> None:
    lane = runner.lanes.get(stored.pipeline)
    trigger = _trigger(stored, lane)
    if lane is None or (trigger is None and stored.trigger is not None):
        found.homeless[stored.pipeline] += 1
        return
    entry = entry_of_stored(stored, trigger)
    if stored.state is RunState.WAITING:
        found.waiting += 1
        if stored.attempt == 0 and stored.due_at is not None:
            runner.delayed.add(entry, stored.due_at)
            return
        due = 0.0 if stored.due_at is None else (stored.due_at - datetime.now(UTC)).total_seconds()
        runner.take_waiting(entry, time.monotonic() + due)
        return
    if stored.state is RunState.RUNNING:
        entry.mark(orphaned=True)
    runner.take([entry])
    if stored.state is RunState.QUEUED:
        found.queued += 1
    elif stored.crashes >= POISON_CRASHES:
        found.poison += 1
        runner.fail(entry, _poison(stored))
    else:
        found.suspects.append(entry)


def _trigger(stored: StoredRun, lane: Lane | None) -> int | None:
    """The index, in today's configuration, of the trigger that made the run."""
    if lane is None or stored.trigger is None:
        return None
    triggers = lane.pipeline.triggers
    if stored.trigger < len(triggers) and triggers[stored.trigger].topic == stored.trigger_topic:
        return stored.trigger
    return next((index for index, each in enumerate(triggers) if each.topic == stored.trigger_topic), None)


def _poison(stored: StoredRun) -> Failure:
    return Failure(
        type="ProcessCrashed",
        message=f"the process died {stored.crashes} times while this run was alone in it",
        lineage=("ProcessCrashed",),
    )


def obstacle(stored: StoredRun, runner: Runner) -> str:
    """Why a run cannot be taken up again; empty where it can."""
    lane = runner.lanes.get(stored.pipeline)
    if lane is None:
        return f"pipeline '{stored.pipeline}' is not configured"
    if stored.trigger is not None and _trigger(stored, lane) is None:
        return f"pipeline '{stored.pipeline}' has no trigger '{stored.trigger_topic}' any more"
    if runner.pending.full:
        return "the daemon holds as many runs as it may; try again when some have ended"
    return ""


def take_reopened(stored: StoredRun, runner: Runner) -> None:
    """Run what an operator has reopened; there was no obstacle."""
    runner.take([entry_of_stored(stored, _trigger(stored, runner.lanes[stored.pipeline]))])
