"""Group commit: order within a transaction, and what a flush waits for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fp_events.domain.records import Accept, Batch, Committed, Finish, NewRun, StateWrite
from fp_events.domain.run import Cause, Outcome, RunState
from fp_events.ledgers.memory import MemoryLedger
from fp_events.ledgers.sqlite import SqliteLedger
from fp_events.runtime.committer import Committer

NOW = datetime(2024, 5, 1, tzinfo=UTC)


@asynccontextmanager
async def committing(committer: Committer) -> AsyncIterator[None]:
    running = asyncio.create_task(committer.run())
    try:
        async with asyncio.timeout(10):
            yield
    finally:
        running.cancel()


async def test_a_reset_undoes_nothing_that_came_after_it() -> None:
    """A run that started after the reset keeps its state, though both wait for the same commit."""
    ledger = MemoryLedger()
    await ledger.open()
    run = NewRun(run_id="r1", pipeline="p", cause=Cause.COMMAND, key="k", state=RunState.RUNNING, created_at=NOW)
    await ledger.commit(Batch(accepts=(Accept(message=None, runs=(run,)),)))
    committer = Committer(ledger)
    committer.post(Batch(states=(StateWrite(pipeline="p", key="k", value=None),)))
    written = StateWrite(pipeline="p", key="k", value=b"1")
    end = Finish(run_id="r1", attempt=1, outcome=Outcome.SUCCEEDED, finished_at=NOW, state=written)
    committer.post(Batch(finishes=(end,)))

    async with committing(committer):
        await committer.flushed()

    assert {("p", "k"): b"1"} == await ledger.states([("p", "k")])


async def test_a_flush_waits_for_what_was_posted_and_for_nothing_later(tmp_path: Path) -> None:
    """Under a load without end it returns."""
    ledger = SqliteLedger(tmp_path / "ledger.db", synchronous="normal")
    await ledger.open()
    committer = Committer(ledger)
    numbers: list[int] = []

    def again(_: Committed) -> None:
        numbers.append(len(numbers))
        committer.post(Batch(settings={"n": str(len(numbers)).encode()}), again)

    async with committing(committer):
        committer.post(Batch(settings={"n": b"0"}), again)
        committer.post(Batch(settings={"first": b"1"}))
        await committer.flushed()
        assert numbers
    await ledger.close()
    assert b"1" == (await ledger.open()).settings["first"]
    await ledger.close()


async def test_whatever_waits_together_is_committed() -> None:
    """Every part of every batch, whatever kinds of change a batch may come to have."""
    # Accepts and finishes are weighed by their payloads; what follows a state has a transaction of its own.
    apart = {"settings", "confirmed_message_id", "accepts", "finishes", "states"}
    kinds = [field.name for field in fields(Batch) if field.name not in apart]

    class Seeing(MemoryLedger):
        seen: Batch

        async def commit(self, batch: Batch) -> Committed:
            self.seen = batch
            return Committed()

    ledger = Seeing()
    committer = Committer(ledger)
    for name in kinds:
        part: dict[str, Any] = {name: (name,)}
        committer.post(Batch(**part, settings={name: b""}, confirmed_message_id=len(name)))
    committer.post_later(Batch(sent=("later",)))

    async with committing(committer):
        await committer.flushed()

    for name in kinds:
        assert name in getattr(ledger.seen, name)
        assert name in ledger.seen.settings
    assert ("sent", "later") == ledger.seen.sent
    assert len(kinds[-1]) == ledger.seen.confirmed_message_id
