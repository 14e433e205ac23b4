"""Commands about keyed state."""

from __future__ import annotations

from typing import Any

from fp_events.domain.errors import CommandRefused
from fp_events.domain.records import Batch, StateWrite

from .arguments import Arguments
from .command import MOST, Command, Desk
from .views import state_row


async def _list(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    limit = arguments.count("limit", 50, MOST)
    after = arguments.text("after") or ""
    rows = await desk.ledger.list_states(arguments.text("pipeline"), limit=limit, after=after)
    return {"states": [state_row(row, desk.state_to_json) for row in rows]}


async def _show(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    pipeline, key = arguments.needed("pipeline"), arguments.text("key") or ""
    found = await desk.ledger.states([(pipeline, key)])
    if not found:
        raise CommandRefused(f"pipeline '{pipeline}' keeps no state for key '{key}'", mend="see `fp-events state list`")
    return {"pipeline": pipeline, "key": key, "value": desk.state_to_json(found[pipeline, key])}


async def _reset(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    """Forget the state of one key, or of all keys of a pipeline."""
    pipeline = arguments.needed("pipeline")
    key = arguments.text("key")
    if (key is None) != arguments.flag("all"):
        raise CommandRefused("name one key, or all", where="state.reset")
    keys = [key] if key is not None else await _keys(desk, pipeline)
    for start in range(0, len(keys), MOST):
        part = keys[start : start + MOST]
        for name in part:
            if desk.live_or_none is not None:
                desk.live.reset_state(pipeline, name)
        writes = tuple(StateWrite(pipeline=pipeline, key=name, value=None) for name in part)
        await desk.commit(Batch(states=writes))
    return {"pipeline": pipeline, "reset": len(keys)}


async def _keys(desk: Desk, pipeline: str) -> list[str]:
    keys: list[str] = []
    while True:
        rows = await desk.ledger.list_states(pipeline, limit=MOST, after=keys[-1] if keys else "")
        keys.extend(row.key for row in rows)
        if len(rows) < MOST:
            return keys


STATE_COMMANDS = (
    Command("state.list", _list, ("pipeline", "limit", "after"), live=False, changes=False),
    Command("state.show", _show, ("pipeline", "key"), live=False, changes=False),
    Command("state.reset", _reset, ("pipeline", "key", "all"), live=False, changes=True),
)
