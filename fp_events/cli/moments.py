"""Times as people write them on the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fp_events.domain.durations import parse_duration
from fp_events.domain.errors import UsageError


def moment(text: str | None, option: str, *, ago: bool = False) -> str | None:
    """An ISO time with its zone for ``2026-01-31T08:00`` (local time) and, with `ago`, for ``2h``; None for None."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo is not None else at.astimezone()).isoformat()
    except (ValueError, OverflowError):
        pass
    try:
        if ago:
            return (datetime.now(UTC) - timedelta(seconds=parse_duration(text))).isoformat()
    except (ValueError, OverflowError):
        pass
    mend = "write 2h for two hours ago, or 2026-01-31T08:00" if ago else "write 2026-01-31T08:00, or with a zone"
    raise UsageError(f"{option} '{text}' is no time", mend=mend)


def seconds(text: str | None, option: str) -> float | None:
    """Seconds in ``90``, ``90s``, ``2h30m``; None for None."""
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError:
        raise UsageError(f"{option} '{text}' is no duration", mend="write 90s, 15m or 2h30m") from None
