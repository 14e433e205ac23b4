"""What the process does that a worker forks for one job: run its attempts and send each outcome at once."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from fp_events.domain.closing import close_process
from fp_events.domain.ports import HandlerLoader
from fp_events.domain.run import Attempt, AttemptResult

from ._forked import die_with, reseed
from ._portable import pack
from ._results import raised
from ._rq_task import LEFTOVER, OUTCOME, Task, connect
from ._runner import Runner

if TYPE_CHECKING:
    from redis import Redis

#: Seconds between two tries to send an outcome while Redis is away.
_PAUSE = 1.0


def run_job(url: str, job_id: str, task: Task, load: HandlerLoader, parent: int) -> None:
    """Run all attempts of a job; does not return."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        die_with(parent)
        random.seed()
        reseed()
        link, runner = connect(url), Runner()
        for index, attempt in enumerate(task.attempts):
            _send(link, task.stream, job_id, index, _result(runner, load, attempt))
        runner.close()
        close_process()
        code = 0
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _result(runner: Runner, load: HandlerLoader, attempt: Attempt) -> bytes:
    began = time.monotonic()
    result: AttemptResult
    try:
        handler = load(attempt.plan)
        began = time.monotonic()
        if attempt.timeout is not None:
            # Ends the process, whatever its code catches, and however long it is in a call of C.
            signal.setitimer(signal.ITIMER_REAL, attempt.timeout)
        result = runner.run(handler, attempt)
    except BaseException as error:  # noqa: BLE001 - a plan's SystemExit must not end the job
        result = raised(attempt, error, elapsed=time.monotonic() - began)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
    try:
        return pack(result)
    except Exception as error:  # noqa: BLE001 - whatever packing raises for what a result holds
        return pack(raised(attempt, error, elapsed=time.monotonic() - began))


def _send(link: Redis, stream: str, job_id: str, index: int, body: bytes) -> None:
    """Deliver an outcome, as soon as Redis takes it."""
    from redis.exceptions import RedisError

    while True:
        try:
            with link.pipeline() as together:
                together.xadd(stream, {"kind": OUTCOME, "job": job_id, "index": index, "body": body})
                together.expire(stream, LEFTOVER)
                together.execute()
        except (RedisError, OSError):
            time.sleep(_PAUSE)
        else:
            return
