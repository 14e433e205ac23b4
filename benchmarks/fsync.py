"""What a durable write costs here: 4 KiB and fdatasync, as a ledger's commit does it."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path


def fsync_ms(folder: Path, *, times: int = 300) -> float:
    """Median in milliseconds, on the file system of `folder`."""
    file = folder / "fsync"
    block, taken = os.urandom(4096), []
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for _ in range(times):
            started = time.perf_counter()
            os.write(descriptor, block)
            os.fdatasync(descriptor)
            taken.append(time.perf_counter() - started)
    finally:
        os.close(descriptor)
        file.unlink()
    return statistics.median(taken) * 1000
