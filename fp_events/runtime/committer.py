"""Group commit: whatever all stages have waiting becomes one transaction.

No linger timer: while the ledger commits, the next batch gathers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from fp_events.domain.ports import Ledger
from fp_events.domain.records import Accepted, Batch, Committed

#: Caps of one transaction.
MAX_ROWS = 256
MAX_BYTES = 4 * 1024 * 1024

Then = Callable[[Committed], None]


class Committer:
    """Collects batches, commits them in order, and calls each poster back once its part is durable."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: deque[tuple[Batch, int, int, Then | None]] = deque()
        self._posted = asyncio.Event()

    def post(self, batch: Batch, then: Then | None = None) -> None:
        """Have `batch` committed after all earlier ones; `then` is called on the loop when it is durable."""
        rows, size = _weigh(batch)
        self._waiting.append((batch, rows, size, then))
        self._posted.set()

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
        await self.commit(Batch())

    async def run(self) -> None:
        """Commit for ever. Raises LedgerFailed when the disk failed."""
        while True:
            await self._posted.wait()
            taken = self._take()
            committed = await self._ledger.commit(_merge([part[0] for part in taken]))
            offset = 0
            for batch, _, _, then in taken:
                count = len(batch.accepts)
                if then is not None:
                    then(_part(committed, offset, count))
                offset += count
            if not self._waiting:
                self._posted.clear()

    def _take(self) -> list[tuple[Batch, int, int, Then | None]]:
        """The oldest waiting parts up to the caps; at least one."""
        taken = [self._waiting.popleft()]
        rows, size = taken[0][1], taken[0][2]
        while self._waiting and rows + self._waiting[0][1] <= MAX_ROWS and size + self._waiting[0][2] <= MAX_BYTES:
            if taken[-1][0].states:
                # Within a transaction an operator's write of state comes last: it must not undo what a run,
                # started after it, has computed.
                break
            part = self._waiting.popleft()
            taken.append(part)
            rows, size = rows + part[1], size + part[2]
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
    size = sum(len(accept.message.payload) for accept in batch.accepts if accept.message)
    size += sum(len(publication.payload) for finish in batch.finishes for publication in finish.publications)
    return rows, size


def _merge(parts: list[Batch]) -> Batch:
    if len(parts) == 1:
        return parts[0]
    settings: dict[str, bytes | None] = {}
    confirmed: int | None = None
    for part in parts:
        settings.update(part.settings)
        if part.confirmed_message_id is not None:
            confirmed = part.confirmed_message_id
    return Batch(
        accepts=tuple(item for part in parts for item in part.accepts),
        claims=tuple(item for part in parts for item in part.claims),
        waits=tuple(item for part in parts for item in part.waits),
        finishes=tuple(item for part in parts for item in part.finishes),
        reopened=tuple(item for part in parts for item in part.reopened),
        sent=tuple(item for part in parts for item in part.sent),
        refused=tuple(item for part in parts for item in part.refused),
        resend=tuple(item for part in parts for item in part.resend),
        no_longer_alone=tuple(item for part in parts for item in part.no_longer_alone),
        states=tuple(item for part in parts for item in part.states),
        settings=settings,
        confirmed_message_id=confirmed,
    )


def _part(committed: Committed, offset: int, count: int) -> Committed:
    accepted: tuple[Accepted, ...] = committed.accepted[offset : offset + count]
    return Committed(accepted=accepted, stale=committed.stale)
