"""How numbers and times read."""

from __future__ import annotations

from datetime import UTC, datetime


def duration(seconds: float | None) -> str:
    """``0.4 ms``, ``12 ms``, ``3.2 s``, ``4 m 10 s``, ``3 h 5 m``, ``2 d 4 h``."""
    if seconds is None:
        return ""
    if seconds < 0.001:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    for size, unit, smaller, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} {int(seconds % size // smaller)} {small}"
    return ""


def ago(moment: str | None, now: datetime | None = None) -> str:
    """``3.2 s ago`` for an ISO 8601 time."""
    if not moment:
        return ""
    passed = ((now or datetime.now(UTC)) - datetime.fromisoformat(moment)).total_seconds()
    return f"{duration(max(passed, 0.0))} ago" if passed >= 0.001 else "now"


def until(moment: str | None, now: datetime | None = None) -> str:
    """``3.2 s`` to go to an ISO 8601 time; empty where it is over."""
    if not moment:
        return ""
    left = (datetime.fromisoformat(moment) - (now or datetime.now(UTC))).total_seconds()
    return duration(left) if left > 0 else ""


def size(count: float | None) -> str:
    """``512 B``, ``1.5 KiB``, ``20 MiB``."""
    if count is None:
        return ""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1024
    return ""


def plural(count: int, one: str, many: str = "") -> str:
    """``1 run``, ``2 runs``."""
    return f"{count} {one if count == 1 else many or one + 's'}"


OUTCOME_STYLES = {
    "succeeded": "green",
    "failed": "red",
    "timed_out": "red",
    "rejected": "red",
    "expired": "yellow",
    "skipped": "yellow",
    "cancelled": "yellow",
    "running": "cyan",
    "waiting": "magenta",
    "cached": "cyan",
}


def outcome_style(text: str) -> str:
    """The Rich style of an outcome or a run's state."""
    return OUTCOME_STYLES.get(text.strip(), "")
