"""Handlers by pipeline name, for processes and threads alike: `load` is what a test hands to an executor."""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fp_events.domain.errors import ConfigError
from fp_events.domain.run import Attempt, AttemptResult, Ended, PlanRef

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
LEAKED: list[bytes] = []
MARK: contextvars.ContextVar[str] = contextvars.ContextVar("MARK", default="")


def request(attempt: Attempt) -> str:
    """What a test asks of a handler."""
    return (attempt.request or b"").decode()


def result(attempt: Attempt, values: bytes | None = None, *, began: float | None = None) -> AttemptResult:
    """A result that carries `values`, by default the attempt's request."""
    return AttemptResult(
        run_id=attempt.run_id,
        number=attempt.number,
        ended=Ended.RETURNED,
        version="v1",
        started_at=datetime.now(UTC),
        duration=0.0 if began is None else time.monotonic() - began,
        values=attempt.request if values is None else values,
    )


def echo(attempt: Attempt) -> AttemptResult:
    return result(attempt)


def echo_or_die(attempt: Attempt) -> AttemptResult:
    """Fast, but for a request of ``die``."""
    if request(attempt) == "die":
        os._exit(7)
    return result(attempt)


def look(attempt: Attempt) -> AttemptResult:
    """Return the attempt as it was seen."""
    return result(attempt, repr(attempt).encode())


def wait_for_file(attempt: Attempt) -> AttemptResult:
    """Block until the file in the request exists."""
    while not Path(request(attempt)).exists():
        time.sleep(0.005)
    return result(attempt)


def sleep(attempt: Attempt) -> AttemptResult:
    time.sleep(float(request(attempt)))
    return result(attempt)


def spin(attempt: Attempt) -> AttemptResult:
    """Write our process id to a file, then never return."""
    if attempt.request:
        Path(request(attempt)).write_text(str(os.getpid()))
    while True:
        pass


def hang_once(attempt: Attempt) -> AttemptResult:
    """Never return the first time; the file tells the second time."""
    flag = Path(request(attempt))
    if not flag.exists():
        flag.touch()
        while True:
            pass
    return result(attempt)


def fail(attempt: Attempt) -> AttemptResult:
    raise LookupError(request(attempt))


def exit_system(attempt: Attempt) -> AttemptResult:
    sys.exit(request(attempt))


def interrupt(attempt: Attempt) -> AttemptResult:
    raise KeyboardInterrupt


def exit_process(attempt: Attempt) -> AttemptResult:
    os._exit(int(request(attempt)))


def segfault(attempt: Attempt) -> AttemptResult:
    ctypes.string_at(0)
    return result(attempt)


def kill_itself(attempt: Attempt) -> AttemptResult:
    os.kill(os.getpid(), signal.SIGKILL)
    return result(attempt)


def start_program(attempt: Attempt) -> AttemptResult:
    """Start a program that would outlive us, write its process id, and hang."""
    with subprocess.Popen(["sleep", "3600"]) as program:
        Path(request(attempt)).write_text(str(program.pid))
        program.wait()
    return result(attempt)


def allocate(attempt: Attempt) -> AttemptResult:
    """Leak so many bytes, and say which process did."""
    LEAKED.append(b"x" * int(request(attempt)))
    return result(attempt, str(os.getpid()).encode())


def pid(attempt: Attempt) -> AttemptResult:
    return result(attempt, str(os.getpid()).encode())


def shout(attempt: Attempt) -> AttemptResult:
    print(request(attempt), flush=True)
    return result(attempt)


def mark(attempt: Attempt) -> AttemptResult:
    """Return the context variable as found, then set it."""
    found = MARK.get()
    MARK.set(request(attempt))
    return result(attempt, found.encode())


def unpicklable(attempt: Attempt) -> AttemptResult:
    return result(attempt, lambda: None)  # type: ignore[arg-type]  # what a broken handler might return


class Poisoned:
    """Can be pickled, but not unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return divmod, (1, 0)


def poisoned(attempt: Attempt) -> AttemptResult:
    return result(attempt, Poisoned())  # type: ignore[arg-type]  # what a broken handler might return


def daemonize(attempt: Attempt) -> AttemptResult:
    """Leave a copy of this process in a session of its own, say which, and crash."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        time.sleep(3600)
    Path(request(attempt)).write_text(str(pid))
    os._exit(5)


def close_descriptors(attempt: Attempt) -> AttemptResult:
    """What the makers of daemons do."""
    os.closerange(3, 1024)
    return result(attempt)


async def async_sleep(attempt: Attempt) -> AttemptResult:
    await asyncio.sleep(float(request(attempt)))
    return result(attempt)


async def async_mark(attempt: Attempt) -> AttemptResult:
    found = MARK.get()
    MARK.set(request(attempt))
    await asyncio.sleep(0)
    return result(attempt, found.encode())


async def async_cancel_itself(attempt: Attempt) -> AttemptResult:
    raise asyncio.CancelledError("of my own accord")


async def async_swallow_once(attempt: Attempt) -> AttemptResult:
    """Swallow one cancellation and go on waiting."""
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(30)
    await asyncio.sleep(30)
    return result(attempt)


async def async_swallow(attempt: Attempt) -> AttemptResult:
    """Swallow every cancellation until the time in the request has passed."""
    end = time.monotonic() + float(request(attempt))
    while time.monotonic() < end:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(end - time.monotonic())
    return result(attempt)


async def async_exit(attempt: Attempt) -> AttemptResult:
    sys.exit(1)


SyncHandler = Callable[[Attempt], AttemptResult]
AsyncHandler = Callable[[Attempt], Coroutine[Any, Any, AttemptResult]]

SYNC: dict[str, SyncHandler] = {
    handler.__name__: handler
    for handler in (
        echo, echo_or_die, look, wait_for_file, sleep, spin, hang_once, fail, exit_system, interrupt, exit_process, segfault,
        kill_itself, start_program, allocate, pid, shout, mark, unpicklable, poisoned, daemonize, close_descriptors,
    )
}  # fmt: skip
ASYNC: dict[str, AsyncHandler] = {
    handler.__name__: handler
    for handler in (
        async_sleep, async_mark, async_cancel_itself, async_swallow_once, async_swallow, async_exit,
    )
}  # fmt: skip


@dataclass(frozen=True)
class FromFunction:
    """A handler made of one of the functions above."""

    name: str

    @property
    def is_async(self) -> bool:
        return self.name in ASYNC

    def handle(self, attempt: Attempt) -> AttemptResult:
        return SYNC[self.name](attempt)

    async def handle_async(self, attempt: Attempt) -> AttemptResult:
        return await ASYNC[self.name](attempt)


def load(ref: PlanRef) -> FromFunction:
    """The handler called `ref.pipeline`; a number after a dot only tells pipelines apart: ``echo.2``."""
    name = ref.pipeline.partition(".")[0]
    if name not in SYNC and name not in ASYNC:
        raise ConfigError(f"pipeline '{ref.pipeline}' does not compile")
    return FromFunction(name)


def bootstrap(argument: bytes) -> Callable[[PlanRef], FromFunction]:
    """What a helper process calls; an argument of ``broken`` fails as a bad import would."""
    if argument == b"broken":
        raise ImportError("no module named 'pandsa'")
    if argument == b"exit":
        os._exit(3)
    return load


def bootstrap_if(argument: bytes) -> Callable[[PlanRef], FromFunction]:
    """Works once the file named by the argument exists."""
    if not Path(argument.decode()).exists():
        raise ImportError("not mended yet")
    return load


def bootstrap_dies_forked(argument: bytes) -> Callable[[PlanRef], FromFunction]:
    """Leave a hook that ends every child as soon as it is forked."""
    os.register_at_fork(after_in_child=lambda: os._exit(9))
    return load


def bootstrap_signalled_at_exit(argument: bytes) -> Callable[[PlanRef], FromFunction]:
    """Leave the helper process the signal of a child that ends after it has stopped serving."""
    atexit.register(os.kill, os.getpid(), signal.SIGCHLD)
    return load
