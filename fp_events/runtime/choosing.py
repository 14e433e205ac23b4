"""Which runs a command is about: those it names, or those that fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fp_events.domain.errors import CommandRefused
from fp_events.domain.records import RunQuery, StoredRun
from fp_events.domain.run import Outcome, RunState

from .arguments import Arguments
from .command import MOST, Desk

#: Arguments by which runs are found.
FILTERS = ("pipeline", "state", "outcome", "key", "since", "until")
#: Arguments of a listing, and of a command that changes many.
LISTING = (*FILTERS, "limit", "before")
CHOOSING = ("run_ids", "all", *FILTERS)


def query_of(arguments: Arguments, *, dead_letters: bool = False) -> RunQuery:
    """The runs that a listing asks for."""
    before = arguments.number("before")
    return RunQuery(
        pipeline=arguments.text("pipeline"),
        states=arguments.choices("state", RunState),
        outcomes=arguments.choices("outcome", Outcome),
        key=arguments.text("key"),
        created_after=arguments.moment("since"),
        created_before=arguments.moment("until"),
        dead_letters=dead_letters,
        limit=arguments.count("limit", 50, MOST),
        before_seq=None if before is None else int(before),
    )


def next_page(runs: Sequence[StoredRun], arguments: Arguments) -> int | None:
    """Where the next page starts; None on the last one."""
    return runs[-1].seq if len(runs) == arguments.count("limit", 50, MOST) else None


async def chosen(desk: Desk, arguments: Arguments, *, within: RunQuery | None = None) -> list[str]:
    """Ids that the caller names; else ids of the runs that fit the filters and are `within`, oldest first.

    Oldest first, so that a key's runs keep their order. Filters without `all` are enough; nothing at all is not.
    """
    run_ids = arguments.texts("run_ids")
    filtered = arguments.flag("all") or any(arguments.given(name) for name in FILTERS)
    if run_ids is not None and not arguments.flag("all"):
        return run_ids
    if run_ids is not None or not filtered:
        raise CommandRefused("name run ids, or filters, or all", where=arguments.command)
    query = _narrowed(query_of(arguments), within)
    if query is None:
        return []
    found: list[str] = []
    while True:
        runs = await desk.ledger.runs(query)
        found.extend(run.run_id for run in runs)
        if len(runs) < MOST:
            return found[::-1]
        query = replace(query, before_seq=runs[-1].seq)


def _narrowed(query: RunQuery, within: RunQuery | None) -> RunQuery | None:
    """What both ask for; None where nothing can fit both."""
    states: frozenset[Any] = query.states
    outcomes: frozenset[Any] = query.outcomes
    dead_letters = False
    if within is not None:
        states = states & within.states if states and within.states else states or within.states
        outcomes = outcomes & within.outcomes if outcomes and within.outcomes else outcomes or within.outcomes
        if (not states and query.states) or (not outcomes and query.outcomes):
            return None
        dead_letters = within.dead_letters
    return replace(query, states=states, outcomes=outcomes, dead_letters=dead_letters, limit=MOST)
