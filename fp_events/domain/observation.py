"""What observers are told: frozen records. Observers read; they cannot steer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from datetime import datetime

# The encoder's own escaping of text: a whole `dumps` costs four times as much.
from json.encoder import encode_basestring as quoted
from typing import Any, Literal

from .run import Cause, Failure, Outcome
from .values import value


@value
class RunRecord:
    """A run that has just become FINISHED; its outcome is durable."""

    run_id: str
    pipeline: str
    outcome: Outcome
    cause: Cause
    #: The trigger's topic filter as written; empty for runs that no message caused.
    trigger: str
    key: str | None
    #: Attempts made.
    attempt: int
    version: str
    created_at: datetime
    finished_at: datetime
    #: Seconds of the last attempt.
    duration: float
    failure: Failure | None
    #: JSON of the outputs; None unless SUCCEEDED.
    values: bytes | None = None
    #: What happened to each node of the last attempt, as `encode_nodes` writes it; None where that was not noted.
    nodes: bytes | None = field(default=None, repr=False)
    #: Level for this run's log lines; None: the pipeline's.
    log_level: str | None = None


@value
class RetryRecord:
    """An attempt that failed and will be followed by another."""

    run_id: str
    pipeline: str
    #: The attempt that failed.
    attempt: int
    failure: Failure | None
    #: Seconds until the next one.
    delay: float


@value
class AttemptRecord:
    """An attempt that is about to execute its plan; what a hook `before_run` is told."""

    run_id: str
    pipeline: str
    #: From 1.
    attempt: int
    version: str
    #: The topic filter as written, and the message's topic; empty for runs that no message caused.
    trigger: str
    topic: str
    key: str | None
    #: Read-only, without resources.
    inputs: Mapping[str, Any] = field(repr=False, hash=False)


@value
class NodeCall:
    """A node that is about to be called, or has been; what hooks `before_node` and `after_node` are told."""

    #: Empty in branches of a `Parallelizable`, which have no run of their own.
    run_id: str
    pipeline: str
    attempt: int
    node: str
    #: From `@tag`.
    tags: Mapping[str, Any] = field(hash=False)
    #: Its arguments, read-only.
    inputs: Mapping[str, Any] = field(repr=False, hash=False)
    #: What it returned; None before, and where it raised.
    result: Any = field(default=None, repr=False, hash=False)
    #: What it raised.
    error: BaseException | None = field(default=None, hash=False)


NodeStatus = Literal["succeeded", "failed", "skipped", "cached"]


@value
class NodeRecord:
    """What happened to one node in one attempt."""

    node: str
    status: NodeStatus
    #: Seconds from the attempt's start, and how long it took.
    started: float
    duration: float
    #: Calls of its function; 0 where it was skipped, or its value came from a cache.
    attempts: int
    #: On one line; empty unless it failed.
    error: str = ""


_NO_ERROR = '""'


def encode_nodes(records: Sequence[NodeRecord]) -> bytes:
    """JSON: a list for each node, its fields in their order; times have microseconds."""
    rows = [
        f'[{quoted(each.node)},"{each.status}",{each.started:.6f},{each.duration:.6f},{each.attempts},'
        f"{quoted(each.error) if each.error else _NO_ERROR}]"
        for each in records
    ]
    return f"[{','.join(rows)}]".encode("utf-8", "replace")


def decode_nodes(data: bytes | None) -> tuple[NodeRecord, ...]:
    """What `encode_nodes` encoded; empty for None."""
    if data is None:
        return ()
    return tuple(
        NodeRecord(node=node, status=status, started=started, duration=duration, attempts=attempts, error=error)
        for node, status, started, duration, attempts, error in json.loads(data)
    )


Observer = Callable[[RunRecord], None]
