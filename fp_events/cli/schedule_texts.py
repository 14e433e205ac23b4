"""How rules and times to come read."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from fp_events.domain.durations import format_duration

from .output import Row, to_json

#: Days from which on a time needs its year.
_FAR = 300


def rule(row: Row) -> str:
    """``cron 0 5 * * 1-5``, ``every 45m``, ``at Tue 1 Jan 2030 03:00 UTC``."""
    expression = row["expression"]
    if row["kind"] == "interval":
        return f"every {_span(expression)}"
    if row["kind"] == "date":
        return f"at {at(expression, row['timezone'])}" if isinstance(expression, str) else f"at {len(expression)} times"
    return f"cron {expression if isinstance(expression, str) else to_json(expression, indent=None)}"


def fires_in(row: Row, now: datetime | None = None) -> str:
    """``in 3 h 12 min, Mon 23 Nov 05:00 Europe/Berlin``; nothing for one that does not fire."""
    if row["next_fire_at"] is None:
        return ""
    return f"{until(row['next_fire_at'], now)}, {at(row['next_fire_at'], row['timezone'], now)}"


def at(moment: str, zone: str, now: datetime | None = None) -> str:
    """``Mon 23 Nov 05:00 Europe/Berlin``, by the clock of that zone; the year where it is far away."""
    local = datetime.fromisoformat(moment).astimezone(ZoneInfo(zone))
    far = abs((local - (now or datetime.now(UTC))).days) > _FAR
    clock = f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"
    return f"{local:%a} {local.day} {local:%b}{f' {local.year}' if far else ''} {clock} {zone}"


def until(moment: str, now: datetime | None = None) -> str:
    """``in 3 h 12 min``; ``now`` for what is due."""
    seconds = (datetime.fromisoformat(moment) - (now or datetime.now(UTC))).total_seconds()
    if seconds < 1:
        return "now"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (rest, "s"))
    first = next(index for index, (count, _) in enumerate(parts) if count)
    shown = parts[first : first + 2] if first < 2 else parts[first : first + 1]
    return "in " + " ".join(f"{count} {unit}" for count, unit in shown)


def _span(seconds: float) -> str:
    """``1d6h``: as one writes it."""
    whole = int(seconds)
    if whole != seconds:
        return format_duration(seconds)
    text = ""
    for size, unit in ((604800, "w"), (86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        count, whole = divmod(whole, size)
        text += f"{count}{unit}" if count else ""
    return text
