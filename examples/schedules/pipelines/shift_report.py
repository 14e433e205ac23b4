"""What a shift has made; `scheduled_at` is the instant for which the report is."""

from datetime import datetime, timedelta


def begin(scheduled_at: datetime) -> datetime:
    """When the shift began, eight hours before."""
    return scheduled_at - timedelta(hours=8)


def report(shift: str, begin: datetime, scheduled_at: datetime) -> dict:
    """The report that is published."""
    return {"shift": shift, "from": begin, "to": scheduled_at}
