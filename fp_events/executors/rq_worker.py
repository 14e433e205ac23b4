"""Worker processes for the executor `rq`: one that serves queues, and one that keeps several of them running."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ._forked import die_with

if TYPE_CHECKING:
    from redis import Redis

    from ._rq_worker import Plans

#: Tells a worker the process id of the one that keeps it running, with which it ends.
#: Not one of the settings, which begin with FP_EVENTS_.
KEEPER = "_FP_EVENTS_WORKER_KEEPER"
#: Seconds between the unexpected end of a worker and the start of the next.
_PAUSE = 1.0
#: Seconds that Redis may take to answer; longer than a worker waits for a job in one command.
_ANSWER = 60.0

log = logging.getLogger("rq.worker")


def check_redis(url: str) -> None:
    """Raise ExecutorUnavailable where Redis does not answer at `url`, or says no."""
    from ._rq_link import unavailable
    from ._rq_task import connect

    link = connect(url)
    try:
        link.ping()
    except Exception as error:
        raise unavailable(url, error) from error
    finally:
        link.close()


def serve(
    url: str, queues: Sequence[str], *, name: str, project: str, plans: Callable[[], Plans], level: str = "INFO"
) -> int:
    """Be one worker until SIGTERM or SIGINT, after which the present job is finished; a second one ends that too.

    `plans` is called once, before the first job. Redis may go away: the worker waits for it.
    Raises ExecutorUnavailable where it does not answer at the start.
    """
    keeper = os.environ.get(KEEPER)
    if keeper:
        die_with(int(keeper), signal.SIGTERM)
    # What plans print belongs with the log.
    os.dup2(2, 1)
    check_redis(url)
    found = plans()
    from ._rq_task import connect

    link = connect(url, patience=_ANSWER)
    while not _work(url, link, queues, name=name, project=project, plans=found, level=level):
        _wait_for(link)
    return 0


def _work(url: str, link: Redis, queues: Sequence[str], *, name: str, project: str, plans: Plans, level: str) -> bool:
    """Work as long as Redis answers; whether it was told to stop."""
    from rq.exceptions import StopRequested

    from ._rq_worker import PipelineWorker

    # RQ remembers a worker that was killed for a minute, and would refuse a second one of its name.
    unique = f"{name}.{uuid.uuid4().hex[:6]}"
    try:
        worker = PipelineWorker(url, link, queues, name=unique, project=project, plans=plans)
    except OSError as error:
        return _lost(error)
    try:
        worker.work(logging_level=level)
    except StopRequested:
        return True
    except _redis_errors() as error:
        return worker.told_to_stop or _lost(error)
    return worker.told_to_stop


def _lost(error: Exception) -> bool:
    log.error("Redis does not answer (%s): waiting", error)
    return False


def _redis_errors() -> tuple[type[Exception], ...]:
    from redis.exceptions import RedisError

    return (RedisError, OSError)


def _wait_for(link: Redis) -> None:
    # The worker's own handlers are gone with it; without one a signal ends the process, which has no job now.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    while True:
        time.sleep(_PAUSE)
        try:
            link.ping()
        except _redis_errors():
            continue
        return


def keep(commands: Sequence[Sequence[str]]) -> int:
    """Keep a process of each command running until SIGTERM or SIGINT, which are passed on; the highest exit code.

    One that is killed or crashes is started again; one that ends by itself is not.
    """
    stopping = False
    running: dict[int, subprocess.Popen[bytes]] = {}

    def pass_on(number: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True
        for process in running.values():
            process.send_signal(number)

    def start(index: int) -> None:
        # A session of its own: Ctrl-C reaches it once, through us.
        running[index] = subprocess.Popen(  # noqa: S603 - our own program
            commands[index], env={**os.environ, KEEPER: str(os.getpid())}, start_new_session=True
        )

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    for index in range(len(commands)):
        start(index)
    code = 0
    while running:
        time.sleep(0.1)
        for index, process in list(running.items()):
            if process.poll() is None:
                continue
            del running[index]
            if process.returncode < 0 and not stopping:
                print(
                    f"worker {index + 1} was killed by signal {-process.returncode}: starting another", file=sys.stderr
                )
                time.sleep(_PAUSE)
                start(index)
            else:
                code = max(code, process.returncode)
    return code
