"""Group commit: whatever all stages have waiting becomes one transaction.

No linger timer: while the ledger commits, the next batch gathers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from fp_events.domain.ports import Ledger
from fp_events.domain.records import Accepted, Batch, Committed, Finish

#: Caps of one transaction: some 15 ms of work on one slow processor.
MAX_ROWS = 1_000
MAX_BYTES = 4 * 1024 * 1024

#: Seconds that a transaction may wait which nobody waits for.
LATER = 0.02

#: What of a batch is put one behind the other; all but these two, so that none can be forgotten.
_SEQUENCES = tuple(field.name for field in fields(Batch) if field.name not in ("settings", "confirmed_message_id"))

Then = Callable[[Committed], None]
#: Told of everything that ended in one transaction, in the order in which it was given.
ThenAll = Callable[[list[Any], Committed], None]


class _Part:
    """What was posted together, and what is to be called when it is durable."""

    __slots__ = ("batch", "endings", "finishes", "rows", "size", "then", "then_all")

    def __init__(self, batch: Batch | None, then: Then | None, then_all: ThenAll | None) -> None:
        self.batch = batch
        self.then = then
        self.then_all = then_all
        #: Of a part that is still open: ends of runs, and what their poster wants back.
        self.finishes: list[Finish] = []
        self.endings: list[Any] = []
        self.rows, self.size = (0, 0) if batch is None else _weigh(batch)


class Committer:
    """Collects batches, commits them in order, and calls each poster back once its part is durable."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: deque[_Part] = deque()
        #: The last of the waiting, as long as ends of runs may be added to it.
        self._open: _Part | None = None
        self._posted = asyncio.Event()
        #: What nobody waits for: it goes along with the next transaction, or has one of its own after a while.
        self._later: deque[_Part] = deque()
        self._alarm: asyncio.TimerHandle | None = None

    def post(self, batch: Batch, then: Then | None = None) -> None:
        """Have `batch` committed after all earlier ones; `then` is called on the loop when it is durable."""
        self._open = None
        self._waiting.append(_Part(batch, then, None))
        self._posted.set()

    def post_later(self, batch: Batch) -> None:
        """Have `batch` committed with what is posted next, or in `LATER` seconds."""
        self._later.append(_Part(batch, None, None))
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(LATER, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        if self._later:
            self._posted.set()

    def finish(self, finish: Finish, ending: object, then_all: ThenAll) -> None:
        """Have the end of a run committed after all that was posted earlier.

        Ends that wait together share one call of `then_all`, which gets their `ending`s.
        """
        part = self._open
        if part is None or part.then_all != then_all or part.rows >= MAX_ROWS or part.size >= MAX_BYTES:
            part = self._open = _Part(None, None, then_all)
            self._waiting.append(part)
            self._posted.set()
        part.finishes.append(finish)
        part.endings.append(ending)
        part.rows += 1
        for publication in finish.publications:
            part.size += len(publication.payload)

    async def commit(self, batch: Batch) -> Committed:
        """Have `batch` committed and wait for it."""
        done: asyncio.Future[Committed] = asyncio.get_running_loop().create_future()

        def then(committed: Committed) -> None:
            if not done.done():
                done.set_result(committed)

        self.post(batch, then)
        return await done

    async def flushed(self) -> None:
        """Wait until everything posted before is durable. What is posted meanwhile holds nobody up."""
        self._open = None
        self._waiting += self._later
        self._later.clear()
        await self.commit(Batch())

    async def run(self) -> None:
        """Commit for ever. Raises LedgerFailed when the disk failed."""
        while True:
            await self._posted.wait()
            taken = self._take()
            committed = await self._ledger.commit(_merge(taken))
            offset = 0
            for part in taken:
                count = 0 if part.batch is None else len(part.batch.accepts)
                if part.then is not None:
                    part.then(_part(committed, offset, count))
                if part.then_all is not None:
                    part.then_all(part.endings, committed)
                offset += count
            if not self._waiting:
                self._posted.clear()
                if self._later and self._alarm is None:
                    self._ring()

    def _take(self) -> list[_Part]:
        """The oldest waiting parts up to the caps; at least one. Then what nobody waits for, as far as it fits."""
        waiting = self._waiting
        part = waiting.popleft() if waiting else self._later.popleft()
        taken = [part]
        rows, size = part.rows, part.size
        while waiting and rows + waiting[0].rows <= MAX_ROWS and size + waiting[0].size <= MAX_BYTES:
            if part.batch is not None and part.batch.states:
                # Within a transaction an operator's write of state comes last: it must not undo what a run,
                # started after it, has computed.
                break
            part = waiting.popleft()
            taken.append(part)
            rows, size = rows + part.rows, size + part.size
        if not waiting:
            self._open = None
        later = self._later
        while later and rows + later[0].rows <= MAX_ROWS:
            part = later.popleft()
            taken.append(part)
            rows += part.rows
        return taken


def _weigh(batch: Batch) -> tuple[int, int]:
    rows = (
        len(batch.accepts)
        + len(batch.claims)
        + len(batch.waits)
        + len(batch.finishes)
        + len(batch.sent)
        + len(batch.refused)
    )
    size = 0
    if batch.accepts:
        size = sum([len(accept.message.payload) for accept in batch.accepts if accept.message])
    for finish in batch.finishes:
        size += sum([len(publication.payload) for publication in finish.publications])
    return rows, size


def _merge(taken: list[_Part]) -> Batch:
    parts = [part.batch for part in taken if part.batch is not None]
    ended = [finish for part in taken for finish in part.finishes]
    if len(parts) == 1 and not ended:
        return parts[0]
    merged: dict[str, Any] = {
        name: tuple([item for part in parts for item in getattr(part, name)]) for name in _SEQUENCES
    }
    merged["finishes"] += tuple(ended)
    marks = [part.confirmed_message_id for part in parts if part.confirmed_message_id is not None]
    return Batch(
        **merged,
        settings={name: value for part in parts for name, value in part.settings.items()},
        confirmed_message_id=marks[-1] if marks else None,
    )


def _part(committed: Committed, offset: int, count: int) -> Committed:
    if count == len(committed.accepted):
        return committed
    accepted: tuple[Accepted, ...] = committed.accepted[offset : offset + count]
    return Committed(accepted=accepted, stale=committed.stale)
