"""A store as a whole: its files, its size, and what to do while it cannot be used."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from .files import UNFINISHED, Files

T = TypeVar("T")

#: Share of the bound that is left once something had to go, so that not every write has to look again.
_LEFT: Final = 0.9
#: A process looks for what others wrote, once it has itself written this share of the bound.
_LOOK_AFTER: Final = 0.05
#: What a file takes on a disk at the least, bytes.
_BLOCK: Final = 4096
#: Seconds after which a file that is still being written is nobody's.
_ABANDONED: Final = 3600.0
#: Seconds for which a remote store is left alone after an error: each access could hang.
_PAUSE: Final = 30.0


class Unavailable(Exception):
    """The store has failed, now or a moment ago; the cause is its `__cause__`, None for a moment ago."""


class Shelf:
    """The files of one store, used by all threads of a process. Methods raise Unavailable."""

    def __init__(self, open_files: Callable[[], Files], max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._open = open_files
        self._opened: tuple[int, Files] | None = None
        self._lock = threading.Lock()
        self._sweeping = threading.Lock()
        #: Bytes in the store as last seen, and what this process has written since; None: not seen yet.
        self._seen: int | None = None
        self._written = 0
        self._paused_until = 0.0

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None where there is none."""
        return self._guarded(lambda files: files.read(path))

    def used(self, path: str) -> None:
        """Note that a file was of use."""
        self._guarded(lambda files: files.used(path))

    def remove(self, path: str) -> None:
        """Delete a file."""
        self._guarded(lambda files: files.remove(path))

    def write(self, path: str, data: bytes) -> None:
        """Put a file, and delete others where the store has become too large."""
        self._guarded(lambda files: files.write(path, data))
        with self._lock:
            self._written += size_on_disk(len(data))
            full = self._seen is None or self._seen + self._written > self.max_bytes
            due = full or self._written > self.max_bytes * _LOOK_AFTER
        if due:
            self._sweep()

    def _sweep(self) -> None:
        """Bring the store below its bound; one thread at a time, the others go on."""
        if not self._sweeping.acquire(blocking=False):
            return
        try:
            with self._lock:
                self._written = 0
            seen = self._guarded(lambda files: sweep(files, self.max_bytes))
            with self._lock:
                self._seen = seen
        finally:
            self._sweeping.release()

    def _files(self) -> Files:
        """Opened by each process for itself: connections do not survive a fork."""
        with self._lock:
            if self._opened is None or self._opened[0] != os.getpid():
                self._opened = (os.getpid(), self._open())
            return self._opened[1]

    def _guarded(self, act: Callable[[Files], T]) -> T:
        if time.monotonic() < self._paused_until:
            raise Unavailable
        try:
            files = self._files()
        except Exception as error:
            # A library that is missing, or a URL that it does not like, will be so for a while.
            self._paused_until = time.monotonic() + _PAUSE
            raise Unavailable from error
        try:
            return act(files)
        except Exception as error:
            if files.is_remote:
                self._paused_until = time.monotonic() + _PAUSE
            raise Unavailable from error


def size_on_disk(size: int) -> int:
    """Bytes that a file takes, about."""
    return -(-size // _BLOCK) * _BLOCK


def sweep(files: Files, max_bytes: int) -> int:
    """Delete what was used longest ago until the store is below its bound; the bytes that are left."""
    found = []
    abandoned = time.time() - _ABANDONED
    for item in files.items():
        if item.path.endswith(UNFINISHED):
            if item.written < abandoned:
                files.remove(item.path)
        else:
            found.append(item)
    total = sum(size_on_disk(item.size) for item in found)
    if total <= max_bytes:
        return total
    found.sort(key=lambda item: item.used)
    for item in found:
        if total <= max_bytes * _LEFT:
            break
        files.remove(item.path)
        total -= size_on_disk(item.size)
    return total
