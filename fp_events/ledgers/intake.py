"""Accepting a burst: what is a duplicate, what is stored, and under which numbers. The same for every ledger."""

from __future__ import annotations

from collections.abc import Callable

from fp_events.domain.message import Message
from fp_events.domain.records import Accept, Accepted, NewRun

from .rules import RedeliveryWindow


class Intake:
    """One burst on its way into the tables. Numbers of a transaction that fails are not used again."""

    def __init__(
        self,
        *,
        seen: set[str],
        window: RedeliveryWindow,
        confirmed: int,
        content: Callable[[int], tuple[str, bytes] | None],
        next_message: int,
    ) -> None:
        self._seen = seen
        self._window = window
        self._confirmed = confirmed
        self._content = content
        self._fresh: dict[int, Message] = {}
        self.next_message = next_message
        #: Row, what it came with, the message, the number of its runs.
        self.messages: list[tuple[int, Accept, Message, int]] = []
        #: Run and the row of its message; 0 without one.
        self.runs: list[tuple[NewRun, int]] = []
        #: Runs whose identity is to be remembered.
        self.identified: list[NewRun] = []

    def answer(self, accept: Accept) -> Accepted:
        """Decide about one message. Raises nothing: whether the rows can be stored shows when they are."""
        if accept.redelivered and (found := self._find(accept)):
            return Accepted(message_id=found, run_ids=(), duplicates=tuple(run.run_id for run in accept.runs))
        fresh, duplicates = self._split(accept.runs)
        message_id = 0
        if accept.message is not None and (fresh or not accept.runs):
            message_id = self._take(accept, accept.message, len(fresh))
        for run in fresh:
            self.runs.append((run, message_id))
        run_ids = (fresh[0].run_id,) if len(fresh) == 1 else tuple([run.run_id for run in fresh])
        return Accepted(message_id=message_id, run_ids=run_ids, duplicates=duplicates)

    def _find(self, accept: Accept) -> int:
        """Row of the message that is delivered again; 0 where it is new."""
        if accept.transport_key is None or accept.message is None:
            return 0
        found = self._window.find(accept.transport_key)
        if found <= self._confirmed:
            return 0
        fresh = self._fresh.get(found)
        content = self._content(found) if fresh is None else (fresh.topic, fresh.payload)
        return found if content == (accept.message.topic, accept.message.payload) else 0

    def _split(self, runs: tuple[NewRun, ...]) -> tuple[tuple[NewRun, ...], tuple[str, ...]]:
        for run in runs:
            if run.dedup_key is not None:
                break
        else:
            return runs, ()
        fresh, duplicates = [], []
        for run in runs:
            if run.dedup_key in self._seen:
                duplicates.append(run.run_id)
                continue
            fresh.append(run)
            if run.dedup_key is not None:
                self._seen.add(run.dedup_key)
                self.identified.append(run)
        return tuple(fresh), tuple(duplicates)

    def _take(self, accept: Accept, message: Message, uses: int) -> int:
        row = self.next_message
        self.next_message = row + 1
        self.messages.append((row, accept, message, uses))
        if accept.transport_key is not None:
            self._window.put(accept.transport_key, row)
            self._fresh[row] = message
        return row
