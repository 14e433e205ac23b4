"""A thread of its own for what adapters tell their servers: no run waits for a server, or for one that is away."""

from __future__ import annotations

import atexit
import os
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final
from weakref import WeakSet

from fp_events.domain.closing import at_end_of_process

from .trouble import Trouble

#: True: the server was told something.
Sending = Callable[[], bool]
#: Calls that wait at the most; more are dropped and counted.
_MOST: Final = 20_000
#: Seconds that the end of a process is held up for what waits.
GRACE: Final = 5.0

_senders: WeakSet[Sender] = WeakSet()
_others: list[Callable[[float], None]] = []
_starting = threading.Lock()


class Sender:
    """Makes the calls of one adapter, one after another. A forked process has a thread and a queue of its own."""

    def __init__(self, trouble: Trouble) -> None:
        self._trouble = trouble
        self._pid = 0
        self._registered = False
        self._busy = False
        self._waiting: deque[Sending] = deque()
        self._changed = threading.Condition()
        _senders.add(self)

    def put(self, call: Sending) -> None:
        """Have `call` made soon."""
        if self._pid != os.getpid():
            with _starting:
                self._start()
        with self._changed:
            is_full = len(self._waiting) >= _MOST
            if not is_full:
                self._waiting.append(call)
                self._changed.notify_all()
        if is_full:
            self._trouble.gave_up(1, f"{_MOST} calls are waiting for the server")
        if not self._registered:
            self._registered = True
            at_end_of_process(self.flush)

    def flush(self, limit: float = GRACE) -> None:
        """Wait at most `limit` seconds until nothing waits any more; what is left is dropped."""
        self._registered = False
        if self._pid != os.getpid():
            return
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._busy, limit)
            left = len(self._waiting) + self._busy
            self._waiting.clear()
        if left:
            self._trouble.gave_up(left, f"the server took nothing for {limit:g} s, and the process ends")

    def _start(self) -> None:
        if self._pid == os.getpid():
            return
        self._changed = threading.Condition()
        self._waiting = deque()
        self._busy = self._registered = False
        name = f"adapter {self._trouble.adapter} of {self._trouble.pipeline}"
        # Last: from here on other threads put calls.
        self._pid = os.getpid()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                call = self._waiting.popleft()
                self._busy = True
            try:
                told = call()
            except Exception as error:  # noqa: BLE001 - a library's errors are its server's, or its own
                self._trouble.failed(error)
            else:
                if told:
                    self._trouble.worked()
            finally:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()


def at_flush(flush: Callable[[float], None]) -> None:
    """Have `flush` called where what waits in this process is to go out, with the seconds that it may take."""
    _others.append(flush)


@atexit.register
def flush_all() -> None:
    """Let all that waits in this process go out, within the time that one of them has."""
    until = monotonic() + GRACE
    for flush in (*(sender.flush for sender in list(_senders)), *_others):
        flush(max(0.0, until - monotonic()))
