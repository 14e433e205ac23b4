"""A site's energy per UTC day.

The sums of the day under way are state; the first reading of a later day closes it. No clock is asked:
the readings' own times decide, so a day replayed gives the same summary.
"""

from datetime import UTC, datetime


def date(measured_at: str) -> str:
    """The reading's UTC day, ``2025-03-01``. A time without a zone is taken as UTC."""
    moment = datetime.fromisoformat(measured_at)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).date().isoformat()


def day(date: str, energy: float, previous_day: dict | None) -> dict:
    """The day under way: its date, kWh, readings, largest reading, and how many came too late to count."""
    if previous_day is None or date > previous_day["date"]:
        return {"date": date, "kwh": energy, "readings": 1, "largest": energy, "late": 0}
    if date < previous_day["date"]:
        return {**previous_day, "late": previous_day["late"] + 1}
    return {
        **previous_day,
        "kwh": round(previous_day["kwh"] + energy, 6),
        "readings": previous_day["readings"] + 1,
        "largest": max(previous_day["largest"], energy),
    }


def summary(site: str, date: str, previous_day: dict | None) -> dict | None:
    """The day that `date` has closed; None while it lasts."""
    if previous_day is None or date <= previous_day["date"]:
        return None
    return {"site": site, **previous_day}
