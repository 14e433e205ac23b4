"""Which changes of a run are allowed, and what identifies a redelivery: the same for every ledger."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from fp_events.domain.records import Claim, Finish, NewRun, TransportKey, Wait
from fp_events.domain.run import Outcome, RunState

T = TypeVar("T")


@dataclass(slots=True)
class Facts:
    """What decides about a change of a run; changed along with the run inside one transaction."""

    seq: int
    pipeline: str
    state: RunState
    #: Owner of the last claim; 0 before the first.
    epoch: int
    attempt: int
    outcome: Outcome | None = None
    dead_letter: bool = False


def first_attempt(run: NewRun) -> int:
    """The attempt that accepting a run claims: 1 for a run accepted RUNNING, else 0."""
    if run.state is RunState.FINISHED:
        raise ValueError(f"run {run.run_id} cannot be accepted as finished")
    return 1 if run.state is RunState.RUNNING else 0


def may_claim(facts: Facts, claim: Claim, epoch: int) -> bool:
    """Whether `epoch` may start `claim.attempt`.

    The pair (epoch, attempt) only grows; a run found RUNNING after a crash may repeat its attempt's number,
    a run that was given back or waits may not.
    """
    if facts.state is RunState.FINISHED or facts.epoch > epoch:
        return False
    if facts.state is RunState.RUNNING and facts.epoch < epoch:
        return claim.attempt >= facts.attempt
    return claim.attempt > facts.attempt


def holds(facts: Facts, change: Wait | Finish, epoch: int) -> bool:
    """Whether the run is RUNNING under this owner and this attempt: the fence of every result."""
    return facts.state is RunState.RUNNING and facts.epoch == epoch and facts.attempt == change.attempt


def may_finish(facts: Facts, finish: Finish, epoch: int) -> bool:
    """As `holds`; runs that have not started (expired, cancelled) finish at the attempt they are at."""
    if facts.state is RunState.RUNNING:
        return holds(facts, finish, epoch)
    return facts.state is not RunState.FINISHED and facts.epoch <= epoch and facts.attempt == finish.attempt


def may_reopen(facts: Facts) -> bool:
    """Only a dead letter that is still listed is opened again."""
    return facts.state is RunState.FINISHED and facts.dead_letter


def within(rows: Iterable[T], max_bytes: int | None, size_of: Callable[[T], int]) -> list[T]:
    """As many rows as Ledger.unsent and Ledger.unfinished return: the one that reaches `max_bytes` is the last."""
    found: list[T] = []
    size = 0
    for row in rows:
        found.append(row)
        size += size_of(row)
        if max_bytes is not None and size >= max_bytes:
            break
    return found


class Counts:
    """Changes of the counters, gathered over a transaction: (pipeline, name) -> difference."""

    __slots__ = ("_changes",)

    def __init__(self) -> None:
        self._changes: dict[tuple[str, str], int] = {}

    def add(self, pipeline: str, name: str, number: int = 1) -> None:
        """Count `number` more."""
        key = (pipeline, name)
        self._changes[key] = self._changes.get(key, 0) + number

    def leave(self, facts: Facts) -> None:
        """The run is no longer what `facts` say."""
        self._move(facts, -1)

    def enter(self, facts: Facts) -> None:
        """The run is what `facts` say now."""
        self._move(facts, 1)

    def _move(self, facts: Facts, number: int) -> None:
        name = facts.outcome if facts.outcome is not None else facts.state
        self.add(facts.pipeline, name.value, number)
        if facts.dead_letter:
            self.add(facts.pipeline, "dead_letters", number)

    def __iter__(self) -> Iterator[tuple[str, str, int]]:
        """Differences that are not zero."""
        return ((pipeline, name, number) for (pipeline, name), number in self._changes.items() if number)


class RedeliveryWindow:
    """The newest message of each packet id, as far as acknowledgements are unconfirmed.

    A packet id that came again in the same session tells that the broker has let go of the older message
    (MQTT 5, 2.2.1), and a new session that it has let go of all: so the newest is the only candidate, and
    the window never holds more than 65,535 entries per session.
    """

    __slots__ = ("_pending", "_rows", "_session", "_waiting")

    def __init__(self) -> None:
        #: By packet id, of one session; 0: none. Eight bytes each, a fourteenth of what a dictionary takes.
        self._rows = array("q")
        #: By session and packet id in one number, which hashes faster than a pair.
        self._pending: dict[int, int] = {}
        self._session = 0
        #: Sessions of what is pending.
        self._waiting: set[int] = set()

    def find(self, key: TransportKey) -> int:
        """Row of the newest message with this key; 0 without one."""
        pending = self._pending.get(key.session << 16 | key.packet_id)
        if pending is not None:
            return pending
        return self._rows[key.packet_id] if self._rows and key.session == self._session else 0

    def put(self, key: TransportKey, message_id: int) -> None:
        """Remember a message; only `commit` makes it stay."""
        session = key.session
        self._pending[session << 16 | key.packet_id] = message_id
        self._waiting.add(session)

    def commit(self) -> None:
        """What was put is stored."""
        if not self._pending:
            return
        newest = max(self._waiting)
        if newest > self._session or not self._rows:
            self._session = max(newest, self._session)
            self._rows = array("q", bytes(8 << 16))
        rows, first = self._rows, self._session << 16
        if self._waiting == {self._session}:
            for number, row in self._pending.items():
                rows[number - first] = row
        else:
            for number, row in self._pending.items():
                if number >> 16 == self._session:
                    rows[number - first] = row
        self.rollback()

    def rollback(self) -> None:
        """What was put was not stored."""
        self._pending.clear()
        self._waiting.clear()
