"""An RQ worker that executes nothing but attempts.

RQ's own worker calls whatever importable function a job names, with callbacks, webhooks and dependent jobs: who may
write to Redis may then run any code. This one takes of a job only its content, and forks for it. RQ provides what
its tools know: the registration, the queues, the commands.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, Protocol

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import now
from rq.worker_registration import clean_worker_registry

from fp_events.domain.ports import HandlerLoader
from fp_events.domain.run import PlanRef

from ._portable import from_text, unpack
from ._rq_horse import run_job
from ._rq_task import ENDED, FUNCTION, LEFTOVER, STARTED, Task, job_key, lease_key, stop_key

#: Seconds after which a worker that has said nothing is no longer listed; it waits for jobs 15 s less at a time.
_LISTED = 60
#: Seconds between two entries in RQ's own books while a job runs.
_BOOKS = 15.0
#: Seconds between two tries to tell that a job has ended while Redis is away.
_PAUSE = 1.0


class Plans(Protocol):
    """Where a worker has its handlers from."""

    def refresh(self, refs: Sequence[PlanRef]) -> HandlerLoader:
        """A loader that has these versions, where the project's files have them; called before each job."""


class PipelineWorker(Worker):
    """Runs the attempts of one project from some queues until it is told to stop."""

    def __init__(self, url: str, connection: Redis, queues: Sequence[str], *, name: str, project: str, plans: Plans):
        super().__init__(
            list(queues),
            name=name,
            connection=connection,
            serializer=JSONSerializer,
            worker_ttl=_LISTED,
            log_job_description=False,
        )
        self._url = url
        self._project = project
        self._plans = plans
        #: It was told to stop, by a signal or by RQ's command.
        self.told_to_stop = False

    # -- instead of RQ's

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run a job in a process of its own and tell what became of it."""
        task = self._task(job)
        if task is None or not self._claim(job, queue, task):
            with suppress(RedisError):
                self.connection.lrem(queue.intermediate_queue_key, 1, job.id)
            return
        began = time.monotonic()
        code: int | None = None
        try:
            load = self._plans.refresh([attempt.plan for attempt in task.attempts])
            code = self._run(job, task, load)
        finally:
            self._tell_end(job, task, code, time.monotonic() - began)
            self.set_state("idle")

    def bootstrap(self, *args: Any, **kwargs: Any) -> None:
        """Register; RQ would take signals only afterwards, and one in between would leave the entry."""
        self._install_signal_handlers()  # type: ignore[no-untyped-call]  # RQ's has no annotations
        super().bootstrap(*args, **kwargs)

    def run_maintenance_tasks(self) -> None:
        """Forget workers that are gone. RQ's own would call functions that jobs name."""
        for queue in self.queues:
            clean_worker_registry(queue)
        self.last_cleaned_at = now()  # type: ignore[assignment]  # RQ starts it as None without saying more

    def kill_horse(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """Kill the process of the job, and what it started. Without one, RQ's would kill the worker itself."""
        if self.horse_pid:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.horse_pid, sig)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """End after the present job."""
        self.told_to_stop = True
        with suppress(RedisError):
            super().request_stop(signum, frame)  # type: ignore[no-untyped-call]  # RQ's has no annotations

    # -- one job

    def _task(self, job: Job) -> Task | None:
        """What the job asks for; None where it is none of ours, which is logged.

        Whoever made it for another project's workers will notice that nobody runs it, and queue it again.
        """
        try:
            if job.func_name != FUNCTION:
                raise ValueError("it was not made by fp-events")
            (text,) = job.args
            task = unpack(Task, from_text(text))
            if task.project != self._project:
                raise ValueError(f"it is of project '{task.project}'; give each project a queue of its own")
        except Exception as error:  # noqa: BLE001 - a job holds whatever somebody wrote into Redis
            self.log.error("Worker %s: job %s is refused: %s", self.name, job.id, error)
            return None
        return task

    def _claim(self, job: Job, queue: Queue, task: Task) -> bool:
        """Take the lease; False where another worker has it."""
        lease = round(task.lease * 1000)
        if not self.connection.set(lease_key(job.id), self.name, nx=True, px=lease):
            self.log.warning("Worker %s: job %s is already with another worker", self.name, job.id)
            return False
        with suppress(RedisError):
            # What is lost here is found out by the lease alone.
            with self.connection.pipeline() as together:
                together.xadd(task.stream, {"kind": STARTED, "job": job.id, "worker": self.name})
                together.expire(task.stream, LEFTOVER)
                together.lrem(queue.intermediate_queue_key, 1, job.id)
                self.set_current_job_id(job.id, pipeline=together)
                together.execute()
            self.prepare_execution(job)
        return True

    def _run(self, job: Job, task: Task, load: HandlerLoader) -> int | None:
        """Fork, wait, and renew the lease meanwhile; the exit code, or minus the number of a signal."""
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            run_job(self._url, job.id, task, load, parent)
        with suppress(PermissionError, ProcessLookupError):
            # Both do it, so that it is done whoever comes first.
            os.setpgid(pid, pid)
        self._horse_pid = pid
        job.started_at = now()
        status = self._wait(pid, job, task)
        # Programs that it started and that outlive it.
        self.kill_horse()
        self._horse_pid = 0
        return None if status is None else os.waitstatus_to_exitcode(status)

    def _wait(self, pid: int, job: Job, task: Task) -> int | None:
        beat = task.lease / 4
        next_books = time.monotonic() + _BOOKS
        ended = _end_of(pid)
        try:
            while not ended(beat):
                with suppress(RedisError, OSError):
                    if self._renew(job, task):
                        self.kill_horse()
                    if time.monotonic() >= next_books:
                        next_books = time.monotonic() + _BOOKS
                        self.maintain_heartbeats(job)
            return os.waitpid(pid, 0)[1]
        except ChildProcessError:
            # It was waited for when a second signal ended the worker at once.
            return None

    def _renew(self, job: Job, task: Task) -> bool:
        """Renew the lease; whether the job is to be stopped."""
        with self.connection.pipeline() as together:
            together.set(lease_key(job.id), self.name, px=round(task.lease * 1000))
            together.exists(stop_key(job.id))
            return bool(together.execute()[1])

    def _tell_end(self, job: Job, task: Task, code: int | None, seconds: float) -> None:
        entry: dict[Any, Any] = {"kind": ENDED, "job": job.id, "body": json.dumps({"code": code, "seconds": seconds})}
        while True:
            try:
                with self.connection.pipeline() as together:
                    together.xadd(task.stream, entry)
                    together.expire(task.stream, LEFTOVER)
                    together.delete(lease_key(job.id), stop_key(job.id), job_key(job.id))
                    together.execute()
                with self.connection.pipeline() as books:
                    self.cleanup_execution(job, books)
                    self.increment_successful_job_count(books)
                    books.execute()
            except (RedisError, OSError) as error:
                self.log.error("Worker %s: Redis does not take the end of job %s: %s", self.name, job.id, error)
                if self.told_to_stop:
                    # The lease runs out, which says the same.
                    return
                time.sleep(_PAUSE)
            else:
                return


def _end_of(pid: int) -> Callable[[float], bool]:
    """A function that waits so many seconds for a child to end; whether it has."""
    if not hasattr(os, "pidfd_open"):
        return lambda seconds: _polled(pid, seconds)
    handle = os.pidfd_open(pid)

    def wait(seconds: float) -> bool:
        ended = bool(select.select([handle], [], [], seconds)[0])
        if ended:
            os.close(handle)
        return ended

    return wait


def _polled(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return True
        time.sleep(0.02)
    return False
