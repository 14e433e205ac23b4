"""A thread of its own for what adapters tell their servers: no run waits for a server, or for one that is away."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final
from weakref import WeakSet

from fp_events.domain.closing import at_end_of_process

from .trouble import Trouble

#: True: the server was told something.
Sending = Callable[[], bool]
#: Calls that wait at the most; more are dropped and counted.
_MOST: Final = 20_000
#: Seconds without a call after which the thread ends; the next one begins another.
_IDLE: Final = 60.0
#: Seconds that the end of a process is held up for what waits.
GRACE: Final = 10.0
#: How the names of the threads begin.
_NAME: Final = "adapter "

_senders: WeakSet[Sender] = WeakSet()
_others: list[Callable[[float], None]] = []
_renewing = threading.Lock()


def _is_not_ours(record: logging.LogRecord) -> bool:
    return not (record.threadName or "").startswith(_NAME)


# It tells of each request that it tries again; we tell of failures, with their cause.
logging.getLogger("urllib3.connectionpool").addFilter(_is_not_ours)


class Sender:
    """Makes the calls of one adapter, one after another. A forked process has a thread and a queue of its own."""

    def __init__(self, trouble: Trouble) -> None:
        self._trouble = trouble
        self._pid = 0
        self._works = self._is_busy = self._is_registered = False
        _senders.add(self)
        self._renew()

    def put(self, call: Sending) -> None:
        """Have `call` made soon."""
        if self._pid != os.getpid():
            with _renewing:
                self._renew()
        with self._changed:
            is_full = len(self._waiting) >= _MOST
            if not is_full:
                self._waiting.append(call)
                self._changed.notify_all()
            if not self._works:
                self._works = True
                name = f"{_NAME}{self._trouble.adapter} of {self._trouble.pipeline}"
                threading.Thread(target=self._work, name=name, daemon=True).start()
        if is_full:
            self._trouble.gave_up(1, f"{_MOST} calls are waiting for the server")
        if not self._is_registered:
            self._is_registered = True
            at_end_of_process(self.end)

    def flush(self, limit: float = GRACE) -> int:
        """Wait at most `limit` seconds until nothing waits any more; how many calls are left."""
        if self._pid != os.getpid():
            return 0
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._is_busy, limit)
            return len(self._waiting) + self._is_busy

    def end(self, limit: float = GRACE) -> None:
        """The same before the process ends: what is left is lost."""
        self._is_registered = False
        left = self.flush(limit)
        if left:
            self._trouble.gave_up(left, f"not told within {GRACE:g} s, and the process ends")

    def _renew(self) -> None:
        if self._pid == os.getpid():
            return
        self._changed = threading.Condition()
        self._waiting: deque[Sending] = deque()
        self._works = self._is_busy = self._is_registered = False
        # Last: from here on other threads put calls.
        self._pid = os.getpid()

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: self._waiting, _IDLE):
                    self._works = False
                    return
                call = self._waiting.popleft()
                self._is_busy = True
            try:
                told = call()
            except Exception as error:  # noqa: BLE001 - a library's errors are its server's, or its own
                self._trouble.failed(error)
            else:
                if told:
                    self._trouble.worked()
            finally:
                with self._changed:
                    self._is_busy = False
                    self._changed.notify_all()


def at_flush(flush: Callable[[float], None]) -> None:
    """Have `flush` called where what waits in this process is to go out, with the seconds that it may take."""
    _others.append(flush)


def flush_all() -> None:
    """Let all that waits in this process go out, within the time that one of them has."""
    _within_grace([*(sender.flush for sender in list(_senders)), *_others])


@atexit.register
def _end_all() -> None:
    _within_grace([*(sender.end for sender in list(_senders)), *_others])


def _within_grace(calls: Sequence[Callable[[float], object]]) -> None:
    until = monotonic() + GRACE
    for call in calls:
        call(max(0.0, until - monotonic()))
