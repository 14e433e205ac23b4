"""What the kernel and the daemon itself say of a daemon's appetite."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from .harness import Daemon


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One look."""

    HEAD: ClassVar[str] = "seconds   rss KiB   fds  threads  tasks  pending  finished"

    #: Seconds since the load began.
    at: float
    rss_kib: int
    fds: int
    threads: int
    #: asyncio tasks; None where `status` does not tell.
    tasks: int | None
    pending: int
    finished: int

    @property
    def row(self) -> str:
        """A line of a table."""
        tasks = "-" if self.tasks is None else self.tasks
        return (
            f"{self.at:7.1f} {self.rss_kib:9d} {self.fds:5d} {self.threads:8d} {tasks:>6}"
            f" {self.pending:8d} {self.finished:9d}"
        )


async def sample(daemon: Daemon, at: float) -> Sample:
    """Look at a daemon; the connection on which it answers is closed before its files are counted."""
    status = await daemon.ask("status")
    root = Path("/proc") / str(daemon.pid)
    pages = int((root / "statm").read_text().split()[1])
    return Sample(
        at=round(at, 1),
        rss_kib=pages * os.sysconf("SC_PAGE_SIZE") // 1024,
        fds=len(list((root / "fd").iterdir())),
        threads=len(list((root / "task").iterdir())),
        tasks=status.get("tasks"),
        pending=status["totals"]["pending"],
        finished=status["totals"]["finished"],
    )


def cpu_seconds(pid: int) -> float:
    """User and system time of a process (proc(5), fields 14 and 15)."""
    fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def slope(samples: Sequence[Sample], name: str) -> float:
    """Growth per minute, by linear regression."""
    at = [one.at / 60 for one in samples]
    return statistics.linear_regression(at, [float(getattr(one, name)) for one in samples]).slope
