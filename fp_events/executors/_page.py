"""A page of memory shared by a worker process and the daemon: what the worker runs now.

It costs no system call to write, and it can still be read when the worker has crashed.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from time import monotonic_ns

_JOB, _SINCE, _LOADING = range(3)


class Page:
    """Three 64-bit numbers; the monotonic clock is one for all processes of a machine."""

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, mmap.PAGESIZE)
        self._cells = memoryview(self._map).cast("q")

    def load(self, job: int) -> None:
        """The worker begins with `job` (from 1) by loading its plan."""
        self._cells[_SINCE] = monotonic_ns()
        self._cells[_LOADING] = 1
        self._cells[_JOB] = job

    def run(self) -> None:
        """The plan is loaded, the run begins."""
        self._cells[_SINCE] = monotonic_ns()
        self._cells[_LOADING] = 0

    def clear(self) -> None:
        """The outcome is on its way."""
        self._cells[_JOB] = 0

    @property
    def job(self) -> int:
        """The job under way; 0 for none."""
        return self._cells[_JOB]

    @property
    def since(self) -> float:
        """Monotonic seconds at which loading, or the run, began."""
        return self._cells[_SINCE] / 1e9

    @property
    def loading(self) -> bool:
        """The plan is being loaded."""
        return bool(self._cells[_LOADING])

    def close(self) -> None:
        """Give the memory back."""
        self._cells.release()
        self._map.close()


def page_file() -> int:
    """Descriptor of a new page, for `Page` on both sides."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("fp-events page")
    else:
        # macOS has no memfd; the name is gone before anyone can open it.
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, mmap.PAGESIZE)
    return fd
