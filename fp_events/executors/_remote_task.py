"""What a worker of a cluster does with one task: load the plans, then run its attempts one after the other.

Nothing but bytes comes and goes: attempts and their results as `_portable` packs them.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import threading
from collections.abc import Sequence
from time import monotonic
from typing import cast

import msgpack

from fp_events.domain.ports import Handler, HandlerLoader
from fp_events.domain.run import Attempt, AttemptResult, Ended

from ._portable import pack, unpack
from ._results import raised, timed_out
from ._runner import Runner

#: `module:function` that makes a loader, its argument, and where modules are found beside the worker's own path.
Source = tuple[str, bytes, Sequence[str]]

_lock = threading.Lock()
_loaders: dict[tuple[str, bytes], HandlerLoader] = {}
_own = threading.local()


class RemoteTask:
    """The attempts of one task."""

    def __init__(self, source: Source, data: bytes) -> None:
        """Load the plans that `data`, a MessagePack list of attempts, asks for. Raises ValueError for other bytes."""
        attempts = [unpack(Attempt, body) for body in msgpack.unpackb(data)]
        self._found = [(attempt, _handler(source, attempt)) for attempt in attempts]

    def run(self) -> bytes:
        """Run them; a MessagePack list of their results."""
        packed: bytes = msgpack.packb([_result(attempt, found) for attempt, found in self._found])
        return packed


def _handler(source: Source, attempt: Attempt) -> Handler | AttemptResult:
    """What runs the attempt, or the result of one whose plan cannot be loaded."""
    began = monotonic()
    try:
        with _lock:
            return _loader(source)(attempt.plan)
    except BaseException as error:  # noqa: BLE001 - a module's SystemExit must not end the worker
        return raised(attempt, error, elapsed=monotonic() - began)


def _loader(source: Source) -> HandlerLoader:
    bootstrap, argument, path = source
    if (bootstrap, argument) not in _loaders:
        sys.path.extend(folder for folder in path if folder not in sys.path)
        module, _, function = bootstrap.partition(":")
        made = cast("HandlerLoader", getattr(importlib.import_module(module), function)(argument))
        _loaders[bootstrap, argument] = made
    return _loaders[bootstrap, argument]


def _result(attempt: Attempt, found: Handler | AttemptResult) -> bytes:
    began = monotonic()
    try:
        return pack(found if isinstance(found, AttemptResult) else _run(attempt, found))
    except BaseException as error:  # noqa: BLE001 - whatever a plan lets through, or packing raises for what it returned
        return pack(raised(attempt, error, elapsed=monotonic() - began))


def _run(attempt: Attempt, handler: Handler) -> AttemptResult:
    if not hasattr(_own, "runner"):
        _own.runner = Runner()
    runner: Runner = _own.runner
    if attempt.timeout is None or not handler.is_async:
        return runner.run(handler, attempt)
    # A run that awaits is stopped here too: a cluster may be unable to end what runs.
    began, late = monotonic(), threading.Event()

    def stop() -> None:
        late.set()
        runner.interrupt()

    timer = threading.Timer(attempt.timeout, stop)
    timer.daemon = True
    timer.start()
    try:
        result = runner.run(handler, attempt)
    finally:
        timer.cancel()
    cancelled = result.failure is not None and result.failure.type == _CANCELLED
    if late.is_set() and result.ended is Ended.RAISED and cancelled:
        return timed_out(attempt, elapsed=monotonic() - began)
    return result


_CANCELLED = f"{asyncio.CancelledError.__module__}.{asyncio.CancelledError.__qualname__}"
