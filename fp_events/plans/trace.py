"""What happened to each node of one run: noted by generated code, read when the run is over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter

from fp_events.domain.marks import SKIPPED
from fp_events.domain.observation import NodeRecord, NodeStatus

#: Characters of an error that are kept.
_ERROR = 300


@dataclass(slots=True)
class Note:
    """What a guard tells of the node it is in."""

    #: Calls of the function.
    attempts: int = 1
    #: The value came from a cache.
    cached: bool = False


_NO_NOTE = Note()

#: Of the node that is executed in this context; None in a run without a trace.
NOTE: ContextVar[Note | None] = ContextVar("fp_events_note", default=None)


def note_attempt(number: int) -> None:
    """The function of the present node is called for the `number`th time."""
    note = NOTE.get()
    if note is not None:
        note.attempts = number


def note_cached() -> None:
    """The value of the present node came from a cache."""
    note = NOTE.get()
    if note is not None:
        note.cached = True
        note.attempts = 0


class Recorder:
    """The nodes of one run, by their number in the plan's order."""

    __slots__ = ("_began", "_ended", "_names", "_notes", "_zero", "run_id")

    def __init__(self, names: Sequence[str], run_id: str = "") -> None:
        self._names = names
        #: What lifecycle adapters know the run by.
        self.run_id = run_id
        self._zero = perf_counter()
        #: Number -> seconds since `_zero`.
        self._began: dict[int, float] = {}
        #: Number -> (seconds that it took, whether it was skipped).
        self._ended: dict[int, tuple[float, bool]] = {}
        self._notes: dict[int, Note] = {}

    def begin(self, number: int) -> None:
        """A node is about to be executed."""
        self._began[number] = perf_counter() - self._zero

    def enter(self, number: int) -> None:
        """The same for one with a guard or a cache around it, which have something to tell."""
        note = self._notes[number] = Note()
        NOTE.set(note)
        self._began[number] = perf_counter() - self._zero

    def end(self, number: int, value: object) -> None:
        """It gave `value`."""
        self._ended[number] = (perf_counter() - self._zero - self._began[number], value is SKIPPED)

    def records(self, error: BaseException | None = None, failed: str = "") -> list[NodeRecord]:
        """What is known, in the order in which nodes began; `failed` is the node that raised `error`."""
        ended, notes, names = self._ended, self._notes, self._names
        now = perf_counter() - self._zero
        found = []
        for number, began in self._began.items():
            name = names[number]
            note = notes.get(number, _NO_NOTE)
            if number not in ended:
                # It raised, or was cancelled since another one did.
                told = describe(error) if name == failed or not failed else "cancelled"
                found.append(_record(name, "failed", began, now - began, note.attempts, told))
                continue
            duration, skipped = ended[number]
            status: NodeStatus = "skipped" if skipped else "cached" if note.cached else "succeeded"
            found.append(_record(name, status, began, duration, 0 if skipped else note.attempts))
        return found


def _record(
    node: str, status: NodeStatus, started: float, duration: float, attempts: int, error: str = ""
) -> NodeRecord:
    return NodeRecord(node=node, status=status, started=started, duration=duration, attempts=attempts, error=error)


def describe(error: BaseException | None) -> str:
    """An error on one short line."""
    if error is None:
        return ""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= _ERROR else f"{text[: _ERROR - 1]}…"


def merged(records: Iterable[NodeRecord]) -> tuple[NodeRecord, ...]:
    """One record for each node: those of a `Parallelizable`'s branches are put together.

    The start is that of the first, times and attempts are summed up, and a failure counts for all.
    """
    found: dict[str, NodeRecord] = {}
    for record in records:
        known = found.get(record.node)
        found[record.node] = record if known is None else _both(known, record)
    return tuple(sorted(found.values(), key=lambda record: record.started))


#: The status of two branches is the one that stands first.
_WEIGHTS: Sequence[NodeStatus] = ("failed", "succeeded", "cached", "skipped")


def _both(one: NodeRecord, other: NodeRecord) -> NodeRecord:
    return _record(
        one.node,
        min(one.status, other.status, key=_WEIGHTS.index),
        min(one.started, other.started),
        one.duration + other.duration,
        one.attempts + other.attempts,
        one.error or other.error,
    )
