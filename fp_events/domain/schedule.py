"""Schedules: rules in time that create runs, as they are configured and as the ledger keeps them."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

#: The input that gets the instant, aware UTC, of the run that a schedule made.
SCHEDULED_AT: Final = "scheduled_at"

Kind = Literal["cron", "interval", "date"]
Coalesce = Literal["latest", "all"]
#: A cron string or its fields by name; seconds; moments as ISO 8601 texts with their offset, in order.
Expression = str | Mapping[str, str] | float | tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSpec:
    """When to fire, and what to do about instants that were missed."""

    kind: Kind
    expression: Expression
    #: IANA name of the zone whose clock a cron rule follows.
    zone: str = "UTC"
    #: No instant lies before, or after. Intervals are counted from the start.
    start_at: datetime | None = None
    end_at: datetime | None = None
    #: Seconds; a run comes up to so much after its instant.
    jitter: float = 0.0
    #: Seconds after its instant by which a run must have started, else it ends EXPIRED; None: no limit.
    misfire_grace: float | None = None
    #: Of several missed instants the last one alone, or each of the last `max_missed`.
    coalesce: Coalesce = "latest"
    max_missed: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One rule of one pipeline, with what its runs are given."""

    schedule_id: str
    pipeline: str
    spec: ScheduleSpec
    #: What its runs are asked, as the command `run` has it: `inputs`, `final_vars`, `config`, `max_retries`, …
    request: Mapping[str, Any] = field(default_factory=dict, repr=False)
    #: Key of its runs, for order and state.
    key: str | None = None
    enabled: bool = True
    #: Written in the project's files, or added by a command.
    source: Literal["project", "command"] = "project"
    #: ``file:line`` for messages to the user; empty for a command's.
    where: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSchedule:
    """A schedule as the ledger has it."""

    schedule: Schedule
    #: By an operator; lasts over restarts.
    paused: bool = False
    #: Intervals without a start are counted from here.
    anchor_at: datetime
    #: The next instant that is not yet accounted for; None: it will not fire.
    next_fire_at: datetime | None
    #: The last instant that made a run.
    last_fire_at: datetime | None = None
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleWrite:
    """A schedule's new row; None deletes it."""

    schedule_id: str
    stored: StoredSchedule | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleFired:
    """A schedule has gone on to its next instant; committed with the runs it made."""

    schedule_id: str
    last_fire_at: datetime
    next_fire_at: datetime | None


def scheduled_inputs(request: Mapping[str, Any], wanted: Container[str]) -> dict[str, Any]:
    """What a run knows of the instant that it was made for, as far as its plan asks for it."""
    about = request.get("schedule")
    if about is None or SCHEDULED_AT not in wanted:
        return {}
    return {SCHEDULED_AT: datetime.fromisoformat(about["scheduled_at"])}


def identity(schedule_id: str, instant: datetime) -> str:
    """What makes a second run for the same instant a duplicate."""
    return f"schedule:{schedule_id}:{instant.isoformat()}"
