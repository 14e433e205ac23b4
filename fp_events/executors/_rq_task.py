"""What daemon and workers agree on: a job's content and the names of keys in Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fp_events.domain.run import Attempt
from fp_events.domain.values import value

if TYPE_CHECKING:
    from redis import Redis

#: The function that jobs name, which is never called: workers execute nothing but such jobs, and do so themselves.
FUNCTION = "fp_events.executors.rq.run"
#: Seconds after which what nobody reads is gone from Redis: results of a daemon that has ended, commands to stop.
LEFTOVER = 24 * 3600
#: Seconds without an answer of Redis after which a connection is given up.
PATIENCE = 10.0

STARTED, OUTCOME, ENDED = b"started", b"outcome", b"ended"


@value
class Task:
    """The content of one job: attempts that run one after the other."""

    #: A worker of another project refuses it.
    project: str
    #: Where their outcomes are to go: a stream in Redis.
    stream: str
    #: Seconds after which a worker that has not renewed its lease is given up.
    lease: float
    attempts: tuple[Attempt, ...]


def lease_key(job_id: str) -> str:
    """Holds the name of the worker that has the job, for as long as it renews it."""
    return f"fp-events:lease:{job_id}"


def stop_key(job_id: str) -> str:
    """Is there when the job is to be stopped: for a worker that did not hear the command."""
    return f"fp-events:stop:{job_id}"


def queue_key(queue: str) -> str:
    """RQ's list of waiting jobs."""
    return f"rq:queue:{queue}"


def job_key(job_id: str) -> str:
    """RQ's hash of a job."""
    return f"rq:job:{job_id}"


def connection_options() -> dict[str, Any]:
    """How the clients of daemon and workers connect."""
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    # One more try finds a new connection where Redis has closed the pooled one. RESP2: answers of one shape.
    return {"protocol": 2, "socket_connect_timeout": PATIENCE, "retry": Retry(NoBackoff(), 1)}


def connect(url: str, *, patience: float = PATIENCE) -> Redis:
    """A blocking client; connects with the first command."""
    from redis import Redis

    return Redis.from_url(url, socket_timeout=patience, **connection_options())
