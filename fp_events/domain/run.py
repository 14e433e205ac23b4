"""A run and how it may change.

accept -> QUEUED -> RUNNING -> FINISHED(outcome)
             |       |   ^          ^   |
             |       v   | due      |   | an operator retries a dead letter
             |     WAITING ---------+   v
             +-- expired, cancelled -+  QUEUED
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from .message import Message, Publication
from .values import value


class RunState(Enum):
    """Where a run is."""

    #: Accepted, durable, not started.
    QUEUED = "queued"
    #: Claimed by an owner: an attempt is, or is about to be, under way.
    RUNNING = "running"
    #: An attempt failed; the next one is due at `due_at`. Also: not to start before `due_at`.
    WAITING = "waiting"
    #: Over; `outcome` says how.
    FINISHED = "finished"


class Outcome(Enum):
    """How a run ended."""

    #: The plan returned.
    SUCCEEDED = "succeeded"
    #: Attempts spent, or the error is not to be retried.
    FAILED = "failed"
    #: The last attempt timed out, or the deadline passed.
    TIMED_OUT = "timed_out"
    #: Too old before it started.
    EXPIRED = "expired"
    #: Undecodable or invalid input.
    REJECTED = "rejected"
    #: Superseded after acceptance.
    SKIPPED = "skipped"
    #: An operator's command.
    CANCELLED = "cancelled"


#: Outcomes that make a dead letter.
DEAD_LETTERS = frozenset({Outcome.FAILED, Outcome.TIMED_OUT, Outcome.REJECTED})


class Cause(Enum):
    """What made a run."""

    MESSAGE = "message"
    SCHEDULE = "schedule"
    COMMAND = "command"
    CALL = "call"


@dataclass(frozen=True, slots=True)
class PlanRef:
    """Names a compiled plan without carrying it."""

    pipeline: str
    #: Hash of code and configuration; empty for "the newest".
    version: str = ""


@value
class Failure:
    """The facts of one failed attempt."""

    #: Dotted name of the exception's class.
    type: str
    message: str
    #: Dotted names of the class and its bases, most derived first: what `retry_exceptions` is matched against.
    lineage: tuple[str, ...] = ()
    #: The node that raised, where known.
    node: str = ""
    #: As Python prints it; shown by `runs show`, never published.
    traceback: str = ""


class Ended(Enum):
    """How one attempt ended."""

    RETURNED = "returned"
    RAISED = "raised"
    #: The input cannot be decoded or mapped.
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"
    #: The process that ran it died.
    CRASHED = "crashed"
    CANCELLED = "cancelled"


@value
class Attempt:
    """One try of a run, as it is handed to an executor. Everything in it can be pickled."""

    run_id: str
    #: From 1.
    number: int
    plan: PlanRef
    #: Index into the pipeline's triggers; None for a run that no message caused.
    trigger: int | None = None
    message: Message | None = None
    #: What the topic's captures matched.
    captures: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    #: JSON object of what a command asked for: `inputs`, `final_vars`, `config`.
    request: bytes | None = None
    #: The key's encoded state: {node: value}; None where the key has none yet.
    state: bytes | None = None
    #: Seconds for this attempt; None: no limit.
    timeout: float | None = None


@value
class AttemptResult:
    """What came of one attempt. Everything in it can be pickled."""

    run_id: str
    number: int
    ended: Ended
    #: Version of the plan that ran.
    version: str = ""
    #: Aware, UTC.
    started_at: datetime
    #: Seconds.
    duration: float
    #: What to publish, encoded; empty unless RETURNED.
    publications: tuple[Publication, ...] = ()
    #: JSON object of the plan's outputs by name, as `runs show` prints them; None unless RETURNED.
    values: bytes | None = None
    #: The key's new encoded state; None where the pipeline keeps none.
    state: bytes | None = None
    failure: Failure | None = None
    #: What happened to each node, as `encode_nodes` writes it; None where that was not noted.
    nodes: bytes | None = None
    #: The attempt timed out or was cancelled, but its thread runs on; a `Released` follows when it returns.
    abandoned: bool = False


@value
class Released:
    """A thread that was abandoned has come back: the key of its run may go on."""

    run_id: str
    number: int
