"""A run in the daemon's memory, from its acceptance to its settlement."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from fp_events.domain.message import Message
from fp_events.domain.records import NewRun, StoredRun
from fp_events.domain.run import Attempt, Cause, Outcome, PlanRef

from .held import Held
from .overrides import Overrides, overrides_of
from .timers import Timer

#: Bytes that an entry takes beside its payload: the entry, its message, properties, captures.
OVERHEAD = 1500


class Phase(Enum):
    """Where an entry stands in the runner; finer than RunState."""

    #: Behind another run of its key.
    BLOCKED = "blocked"
    #: In its trigger's queue.
    READY = "ready"
    #: Its key's state is being read.
    LOADING = "loading"
    #: Waits for the commit of its claim.
    CLAIMING = "claiming"
    EXECUTING = "executing"
    #: Waits for the next attempt, or for its due time.
    WAITING = "waiting"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Oddities:
    """What hardly any run has: all others share one value of it, as 100,000 may wait at a time."""

    #: What its request says of retries, timeout and priority; None: nothing.
    overrides: Overrides | None = None
    #: Failed attempts that count against `max_retries`.
    retries: int = 0
    #: RUNNING in the ledger under an owner that is gone: to be claimed before anything is written of it.
    orphaned: bool = False
    #: Runs with nothing beside it, since it was RUNNING when a process died.
    alone: bool = False
    #: Its thread runs on after a timeout: the key is not free.
    abandoned: bool = False
    #: The next attempt was due while it was abandoned.
    overslept: bool = False
    #: An operator reset the key's state meanwhile: what this run computes of it is void.
    discard_state: bool = False
    #: An operator wants it to end: it starts no further attempt.
    cancelled: bool = False
    #: For the next attempt.
    due: Timer | None = None


ORDINARY = Oddities()


@dataclass(slots=True, eq=False, kw_only=True)
class Entry:
    """One run that is not finished."""

    run_id: str
    pipeline: str
    cause: Cause
    trigger: int | None
    trigger_topic: str
    key: str | None
    captures: Mapping[str, str]
    request: bytes | None
    message: Message | None
    created_at: datetime
    #: Changed by `mark`.
    odd: Oddities = ORDINARY
    #: On the monotonic clock; None: never. `expires` is for runs whose first attempt has not begun.
    expires: float | None = None
    deadline: float | None = None
    phase: Phase = Phase.READY
    #: The last attempt claimed.
    attempt: int = 0
    #: RUNNING in the ledger, for `attempt`.
    claimed: bool = False
    #: A claim is on its way to the ledger.
    claiming: bool = False
    #: The ledger knows of it.
    saved: bool = True
    #: What is acknowledged when this run, and the others of its message, are settled.
    delivery: Held | None = None
    #: In its trigger's queue.
    queued: bool = False
    #: For `expires` and `deadline`.
    limit: Timer | None = None

    def mark(self, **changes: Any) -> None:
        """Change what is odd about the run."""
        self.odd = replace(self.odd, **changes)

    def overdue(self, now: float) -> Outcome | None:
        """How a run ends that has waited too long for its next attempt, or shall have none."""
        if self.odd.cancelled:
            return Outcome.CANCELLED
        if self.expires is not None and now >= self.expires:
            return Outcome.EXPIRED
        if self.deadline is not None and now >= self.deadline:
            return Outcome.TIMED_OUT
        return None

    def next_limit(self) -> float | None:
        """When it is to be asked again whether the run is overdue."""
        limits = [at for at in (self.expires, self.deadline) if at is not None]
        return min(limits, default=None)

    @property
    def size(self) -> int:
        """Bytes held, roughly."""
        payload = len(self.message.payload) if self.message else 0
        return payload + (len(self.request) if self.request else 0) + OVERHEAD

    def to_attempt(self, plan: PlanRef, state: bytes | None, timeout: float | None) -> Attempt:
        """The current attempt, for an executor."""
        return Attempt(
            run_id=self.run_id,
            number=self.attempt,
            plan=plan,
            trigger=self.trigger,
            message=self.message,
            captures=self.captures,
            key=self.key,
            request=self.request,
            state=state,
            timeout=timeout,
        )


def _monotonic(at: datetime | None) -> float | None:
    """A moment on the monotonic clock."""
    return None if at is None else time.monotonic() + (at - datetime.now(UTC)).total_seconds()


def entry_of_new(run: NewRun) -> Entry:
    """A run that no message caused, as it was just accepted: QUEUED."""
    return Entry(
        run_id=run.run_id,
        pipeline=run.pipeline,
        cause=run.cause,
        trigger=None,
        trigger_topic="",
        key=run.key,
        captures={},
        request=run.request,
        message=None,
        created_at=run.created_at,
        odd=_odd(overrides_of(run.request)),
        expires=_monotonic(run.expires_at),
        deadline=_monotonic(run.deadline_at),
    )


def entry_of_stored(stored: StoredRun, trigger: int | None) -> Entry:
    """A run that the ledger has from an earlier time, as an entry; `trigger`: its index today."""
    return Entry(
        run_id=stored.run_id,
        pipeline=stored.pipeline,
        cause=stored.cause,
        trigger=trigger,
        trigger_topic=stored.trigger_topic,
        key=stored.key,
        captures=stored.captures,
        request=stored.request,
        message=stored.message,
        created_at=stored.created_at,
        odd=_odd(
            overrides_of(stored.request),
            retries=sum(1 for attempt in stored.attempts if attempt.number > stored.attempt_base),
        ),
        # Once an attempt was made, a later one is not too old.
        expires=None if stored.attempts else _monotonic(stored.expires_at),
        deadline=_monotonic(stored.deadline_at),
        attempt=stored.attempt,
    )


def _odd(overrides: Overrides | None, retries: int = 0) -> Oddities:
    return Oddities(overrides=overrides, retries=retries) if overrides is not None or retries else ORDINARY
