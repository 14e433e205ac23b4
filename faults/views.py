"""What a daemon's `status` and the kernel say, taken apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

MIB = 1024 * 1024
_OUTCOMES = ("succeeded", "failed", "timed_out", "expired", "rejected", "skipped", "cancelled")


def pipeline_of(status: dict[str, Any], name: str) -> dict[str, Any]:
    """One pipeline's part."""
    found: dict[str, Any] = next(pipeline for pipeline in status["pipelines"] if pipeline["name"] == name)
    return found


def ends_of(pipeline: dict[str, Any]) -> dict[str, int]:
    """How its runs ended, without what is zero."""
    return {name: pipeline[name] for name in _OUTCOMES if pipeline[name]}


def peak_rss(pid: int) -> int:
    """Bytes of resident memory, the most so far; 0 where the kernel does not say."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
