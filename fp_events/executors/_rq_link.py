"""The daemon's connection to Redis: what it writes through RQ, what it reads by itself."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from hashlib import blake2s
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from fp_events.domain.errors import ExecutorUnavailable

from ._portable import pack, to_text
from ._rq_task import (
    FUNCTION,
    LEFTOVER,
    PATIENCE,
    Task,
    connect,
    connection_options,
    job_key,
    lease_key,
    queue_key,
    stop_key,
)

if TYPE_CHECKING:
    from rq import Queue

#: An entry of the stream: its id and its fields.
Entry = tuple[bytes, Mapping[bytes, bytes]]

#: Milliseconds that a read waits for outcomes.
_BLOCK = 2000
#: Entries of one read.
_BURST = 500
#: Tells this process's jobs from those of an earlier one of the same daemon.
_PROCESS = uuid.uuid4().hex[:8]


class Link:
    """One queue, and one stream of outcomes for this executor alone. Every method may raise RedisError or OSError."""

    def __init__(self, url: str, queue: str, *, owner: str) -> None:
        """`owner` names the daemon, the same after its restart."""
        self._url = url
        self._name = queue
        self._mine = f"fp-{blake2s(owner.encode(), digest_size=5).hexdigest()}-"
        self._prefix = f"{self._mine}{_PROCESS}-{uuid.uuid4().hex[:6]}-"
        self._jobs = 0
        self.stream = f"fp-events:outcomes:{self._prefix}"
        self._blocking: Queue | None = None
        self._redis: Any = None

    async def open(self) -> None:
        """Connect, and clear away what an earlier process of this daemon left; raises ExecutorUnavailable."""
        import redis.asyncio

        self._redis = redis.asyncio.Redis.from_url(
            self._url, socket_timeout=PATIENCE, **{**connection_options(), "retry": _retry()}
        )
        try:
            await self._redis.ping()
            await asyncio.to_thread(self._clear)
        except Exception as error:
            await self._redis.aclose()
            raise unavailable(self._url, error) from error

    def new_job(self) -> str:
        """An id."""
        self._jobs += 1
        return f"{self._prefix}{self._jobs}"

    async def enqueue(self, tasks: Mapping[str, Task]) -> None:
        """Queue jobs by id, in one round trip; repeated after an error it does no harm."""
        await asyncio.to_thread(self._enqueue, tasks)

    async def read(self) -> Sequence[Entry]:
        """Entries of the stream, oldest first, when there are some or two seconds have passed."""
        found = await self._redis.xread({self.stream: "0"}, count=_BURST, block=_BLOCK)
        return found[0][1] if found else ()

    async def forget(self, entries: Sequence[Entry]) -> None:
        """These have been dealt with."""
        async with self._redis.pipeline() as together:
            together.xdel(self.stream, *(number for number, _ in entries))
            together.expire(self.stream, LEFTOVER)
            await together.execute()

    async def look(self, job_ids: Sequence[str]) -> tuple[Sequence[Entry], Sequence[bool], int]:
        """At one instant: all entries of the stream, which jobs have a lease, how many workers are registered."""
        async with self._redis.pipeline(transaction=True) as together:
            together.xrange(self.stream)
            together.scard(f"rq:workers:{self._name}")
            for job_id in job_ids:
                together.exists(lease_key(job_id))
            entries, workers, *leases = await together.execute()
        return entries, [bool(lease) for lease in leases], workers

    async def waiting(self, job_id: str) -> bool:
        """Whether a job is in the queue."""
        return await self._redis.lpos(queue_key(self._name), job_id) is not None

    async def withdraw(self, job_ids: Sequence[str]) -> list[bool]:
        """Take jobs out of the queue; which of them were there."""
        async with self._redis.pipeline(transaction=True) as together:
            for job_id in job_ids:
                together.lrem(queue_key(self._name), 0, job_id)
            found = [bool(count) for count in await together.execute()]
            for job_id, was_there in zip(job_ids, found, strict=True):
                if was_there:
                    together.delete(job_key(job_id))
            await together.execute()
        return found

    async def stop(self, job_id: str, worker: str) -> None:
        """Have a worker kill the process of a job: by RQ's command, and by a key that it looks for now and then."""
        await self._redis.set(stop_key(job_id), "1", ex=LEFTOVER)
        if worker:
            await asyncio.to_thread(self._send_stop, job_id, worker)

    async def drop(self, job_id: str) -> None:
        """Delete what Redis has of a job whose worker is lost."""
        async with self._redis.pipeline(transaction=True) as together:
            together.set(stop_key(job_id), "1", ex=LEFTOVER)
            together.delete(job_key(job_id))
            await together.execute()

    async def close(self) -> None:
        """Disconnect."""
        if self._redis is not None:
            await self._redis.aclose()
        if self._blocking is not None:
            self._blocking.connection.close()

    # -- on a thread, through RQ

    def _queue(self) -> Queue:
        if self._blocking is None:
            from rq import Queue
            from rq.serializers import JSONSerializer

            self._blocking = Queue(self._name, connection=connect(self._url), serializer=JSONSerializer)
        return self._blocking

    def _enqueue(self, tasks: Mapping[str, Task]) -> None:
        queue = self._queue()
        queue.enqueue_many(
            [
                queue.prepare_data(
                    FUNCTION,
                    args=(to_text(pack(task)),),
                    job_id=job_id,
                    # Ours are per attempt, and cannot be swallowed by what runs.
                    timeout=-1,
                    description=f"{len(task.attempts)} attempts, the first of run {task.attempts[0].run_id}",
                )
                for job_id, task in tasks.items()
            ]
        )

    def _send_stop(self, job_id: str, worker: str) -> None:
        from rq.command import send_command

        send_command(self._queue().connection, worker, "stop-job", job_id=job_id)

    def _clear(self) -> None:
        """The runs of an earlier process are executed again: its jobs leave the queue, or are stopped."""
        from rq.registry import StartedJobRegistry

        queue = self._queue()
        old = f"{self._mine}{_PROCESS}"
        for job_id in queue.get_job_ids():
            if job_id.startswith(self._mine) and not job_id.startswith(old):
                queue.remove(job_id)
                queue.connection.delete(job_key(job_id))
        for job_id in StartedJobRegistry(queue=queue).get_job_ids(cleanup=False):
            if job_id.startswith(self._mine) and not job_id.startswith(old):
                queue.connection.set(stop_key(job_id), "1", ex=LEFTOVER)
                worker = queue.connection.get(lease_key(job_id))
                if isinstance(worker, bytes):
                    self._send_stop(job_id, worker.decode())


def _retry() -> Any:
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return Retry(NoBackoff(), 1)


def unavailable(url: str, error: BaseException) -> ExecutorUnavailable:
    """What to say of a Redis that cannot be used."""
    return ExecutorUnavailable(
        f"Redis at {redacted(url)} cannot be used: {reason(error, url)}",
        where="run.executor.url",
        mend="start it, or correct the URL",
    )


def reason(error: BaseException, url: str) -> str:
    """Why, in one line, without the URL's password."""
    text = " ".join(str(error).split()).removesuffix(".") or type(error).__name__
    password = urlsplit(url).password
    for secret in {password, unquote(password)} if password else ():
        text = text.replace(secret, "***")
    return text


def redacted(url: str) -> str:
    """The URL without credentials."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
