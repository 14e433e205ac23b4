"""What the runtime asks a ledger to make durable, and what a ledger answers.

A `Batch` is everything that all stages have waiting; it is one transaction. Within it the order is: accepts,
claims, waits, finishes, reopened, sent, refused, resend, no longer alone, state writes, settings, schedules, fired.
A run found RUNNING may be claimed and finished by the same batch; else there is at most one change of a run in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from .message import Message, Publication
from .run import Cause, Failure, Outcome, RunState
from .schedule import ScheduleFired, ScheduleWrite
from .values import value


@value
class NewRun:
    """A run to be stored."""

    #: UUIDv7 as text: grows with time.
    run_id: str
    pipeline: str
    cause: Cause
    #: Index and text of the trigger; None for runs that no message caused.
    trigger: int | None = None
    trigger_topic: str = ""
    key: str | None = None
    #: QUEUED; RUNNING where a worker is free (attempt 1 is claimed by the same commit); WAITING until `due_at`.
    state: RunState = RunState.QUEUED
    captures: Mapping[str, str] = field(default_factory=dict)
    #: JSON of what a command asked for.
    request: bytes | None = None
    created_at: datetime
    due_at: datetime | None = None
    #: Not to be started after this.
    expires_at: datetime | None = None
    #: TIMED_OUT after this.
    deadline_at: datetime | None = None
    #: Identity of the message for this pipeline; a second run with it is a duplicate. Scoped by the caller.
    dedup_key: str | None = None


@dataclass(frozen=True, slots=True)
class TransportKey:
    """What tells a redelivery from a new message while our acknowledgement is unconfirmed."""

    #: Grows whenever the broker has lost our session: older packet ids mean nothing then.
    session: int
    packet_id: int


@value
class Accept:
    """A message, stored once, with one run per trigger that matched. Without a message: a command's run."""

    message: Message | None
    runs: tuple[NewRun, ...]
    transport_key: TransportKey | None = None
    #: DUP was set: first look at the newest message with this session and packet id; where it is above the
    #: confirmed mark and equal (topic, payload), nothing is stored.
    redelivered: bool = False


@value
class Accepted:
    """The ledger's answer to one `Accept`."""

    #: Row of the message, existing or new; grows. 0 without a message, or where nothing was stored.
    message_id: int
    #: Ids of the runs that were stored.
    run_ids: tuple[str, ...]
    #: Ids of the runs that were duplicates and not stored.
    duplicates: tuple[str, ...] = ()


@value
class Claim:
    """A QUEUED, WAITING or (after a crash) RUNNING run is about to be executed by this owner."""

    run_id: str
    attempt: int
    #: Recovery runs it with nothing beside it: a crash now counts against it.
    alone: bool = False


@value
class AttemptFacts:
    """What is remembered of an attempt that did not succeed."""

    ended: str
    failure: Failure | None
    version: str
    started_at: datetime
    #: Seconds.
    duration: float
    #: What happened to each node, as `encode_nodes` writes it; None where that was not noted, and in listings.
    nodes: bytes | None = None


@value
class Wait:
    """RUNNING -> WAITING: the attempt failed, the next one is due at `due_at`."""

    run_id: str
    attempt: int
    due_at: datetime
    facts: AttemptFacts


@value
class StateWrite:
    """A key's new state; None deletes it."""

    pipeline: str
    key: str
    value: bytes | None


@value
class Finish:
    """Any state -> FINISHED. Fenced: nothing happens unless the run still is this owner's and at `attempt`."""

    run_id: str
    attempt: int
    outcome: Outcome
    finished_at: datetime
    #: None for a run that never started.
    started_at: datetime | None = None
    #: Seconds of the last attempt.
    duration: float = 0.0
    version: str = ""
    #: The last attempt where it failed.
    facts: AttemptFacts | None = None
    #: JSON of the outputs.
    values: bytes | None = None
    #: What happened to each node in an attempt that succeeded; as in `AttemptFacts`.
    nodes: bytes | None = None
    state: StateWrite | None = None
    #: What becomes outbox rows: results and the dead letter.
    publications: tuple[Publication, ...] = ()
    #: Listed as a dead letter until it is retried or purged.
    dead_letter: bool = False


@value
class Reopen:
    """FINISHED -> QUEUED: an operator's retry of a dead letter. Keeps identity and attempts.

    Retries and crashes are counted from here, and expiry and deadline, which may be over, are lifted.
    """

    run_id: str


@value
class Refused:
    """The broker refused a publication for good: it becomes a dead letter of its own."""

    event_id: str
    reason: str


@value
class Batch:
    """One transaction."""

    accepts: tuple[Accept, ...] = ()
    claims: tuple[Claim, ...] = ()
    waits: tuple[Wait, ...] = ()
    finishes: tuple[Finish, ...] = ()
    reopened: tuple[Reopen, ...] = ()
    #: Event ids that the broker confirmed.
    sent: tuple[str, ...] = ()
    refused: tuple[Refused, ...] = ()
    #: Event ids of refused publications that are to be sent again.
    resend: tuple[str, ...] = ()
    #: Ids of runs beside which others will run: a crash counts against them no more.
    no_longer_alone: tuple[str, ...] = ()
    #: Operators' changes of state, outside a run.
    states: tuple[StateWrite, ...] = ()
    schedules: tuple[ScheduleWrite, ...] = ()
    #: Schedules that went on in time, after the changes above.
    fired: tuple[ScheduleFired, ...] = ()
    #: Small facts by name (paused pipelines, the broker session, subscriptions); None deletes.
    settings: Mapping[str, bytes | None] = field(default_factory=dict)
    #: Messages up to this row are acknowledged beyond doubt; None: no change.
    confirmed_message_id: int | None = None


@value
class Committed:
    """What a commit did, in the order of the batch."""

    accepted: tuple[Accepted, ...] = ()
    #: Ids of runs whose claim, wait, finish or reopen was refused: no longer this owner's, or not in that state.
    stale: frozenset[str] = frozenset()


@value
class Opened:
    """What an open ledger knows of its past."""

    #: Grows at every open; rows of this owner carry it.
    epoch: int
    settings: Mapping[str, bytes]
    #: Runs that are not FINISHED, by state.
    unfinished: Mapping[RunState, int]
    #: Publications not yet confirmed.
    unsent: int


@value
class StoredAttempt:
    """One attempt in a run's history."""

    number: int
    facts: AttemptFacts


@value
class StoredRun:
    """A run as the ledger has it."""

    #: Order of acceptance.
    seq: int
    run_id: str
    pipeline: str
    cause: Cause
    state: RunState
    outcome: Outcome | None
    trigger: int | None
    trigger_topic: str
    key: str | None
    captures: Mapping[str, str]
    request: bytes | None
    #: The last attempt claimed; 0 before the first.
    attempt: int
    #: Attempts that do not count against `max_retries`, since an operator reopened the run after them.
    attempt_base: int
    #: Times a process died while this run was alone in it.
    crashes: int
    #: The last claim was made to run it alone.
    alone: bool
    version: str
    created_at: datetime
    due_at: datetime | None
    expires_at: datetime | None
    deadline_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    #: Seconds.
    duration: float
    dead_letter: bool
    values: bytes | None
    #: None in listings, which leave payloads out, and for runs that no message caused.
    message: Message | None
    #: Failed attempts, oldest first; only the last one in listings.
    attempts: tuple[StoredAttempt, ...]
    #: What happened to each node in the attempt that succeeded; None in listings, and where that was not noted.
    nodes: bytes | None = None


@value
class StoredPublication:
    """A row of the outbox."""

    seq: int
    run_id: str
    pipeline: str
    publication: Publication
    created_at: datetime
    #: Why the broker refused it; empty while it waits.
    refused: str = ""


@value
class StoredState:
    """One key's state."""

    pipeline: str
    key: str
    value: bytes
    #: The run that wrote it; empty for an operator's write.
    run_id: str
    updated_at: datetime


@value
class RunQuery:
    """Which runs to list, newest first."""

    pipeline: str | None = None
    states: frozenset[RunState] = frozenset()
    outcomes: frozenset[Outcome] = frozenset()
    key: str | None = None
    #: Only dead letters.
    dead_letters: bool = False
    created_after: datetime | None = None
    created_before: datetime | None = None
    limit: int = 50
    #: Only runs with a smaller `seq`: the next page.
    before_seq: int | None = None


@value
class RetentionPolicy:
    """How long finished work is kept. Unfinished runs and unsent publications always are."""

    #: Seconds.
    runs_age: float = 24 * 3600.0
    #: Bytes of the whole ledger; the oldest finished runs go first.
    max_bytes: int = 2 * 1024**3
    #: Seconds.
    dead_letters_age: float = 30 * 24 * 3600.0
    #: Seconds identities are remembered, and how many at the most.
    dedup_age: float = 24 * 3600.0
    dedup_count: int = 1_000_000
