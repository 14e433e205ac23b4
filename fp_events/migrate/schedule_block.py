"""``schedule``: when a pipeline runs by the clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final

from .blocks import New, Old, is_empty
from .report import Kind

_FIELDS: Final = ("year", "month", "day", "week", "day_of_week", "hour", "minute", "second")
_UNITS: Final = {"weeks": 604800.0, "days": 86400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0}
_ZONE = "FlowerPower took the machine's time zone where none is given; without `timezone` it is UTC here"


def schedule_block(old: Old, new: New) -> None:
    """Translate today's ``cron``, ``interval``, ``date``, and the older ``run`` and ``trigger`` blocks."""
    run, trigger = old.block("run"), old.block("trigger")
    kind = trigger.take("type_") or trigger.take("type")
    if trigger.left:
        _trigger(trigger, str(kind or "").removesuffix("trigger"), new)
    else:
        trigger.end()
    for name in ("cron", "interval", "date"):
        value = old.take(name)
        if is_empty(value):
            continue
        if isinstance(value, Mapping):
            value = {field: item for field, item in value.items() if item is not None}
        new.put(old, name, _moment(value) if name == "date" else value, ("schedule", name))
    enabled = old.take("enabled")
    if enabled is False:
        new.put(old, "enabled", False, ("schedule", "enabled"))
    timezone = old.take("timezone")
    if timezone:
        new.put(old, "timezone", timezone, ("schedule", "timezone"))
    if new.get(("schedule",)):
        _run(run, new)
    else:
        run.left.clear()
    old.end()


def shared_schedule(old: Old, new: New) -> None:
    """Translate a pipeline's block of ``conf/scheduler.yml``, where rule and policies stand side by side."""
    kind = old.take("trigger_type") or old.take("type") or ""
    policies = {name: old.take(name) for name in ("id", "id_", "paused", "coalesce", "misfire_grace_time", "max_jitter",
                                                  "max_running_jobs", "conflict_policy", "executor")}  # fmt: skip
    weekdays = old.take("days_of_week")
    if weekdays is not None:
        old.left["day_of_week"] = weekdays
    _trigger(old, str(kind), new)
    if new.get(("schedule",)):
        old.left.update({name: value for name, value in policies.items() if value is not None})
        _run(old, new)


def _trigger(old: Old, kind: str, new: New) -> None:
    """A rule: the block of its kind, or, before version 0.8, the fields of all kinds side by side."""
    nested = {name: old.block(name) for name in ("cron", "interval", "calendar", "date") if name in old.left}
    if nested:
        written = [name for name, block in nested.items() if not is_empty(block.left)]
        chosen = kind if kind in nested else "".join(written[:1])
        for name, block in nested.items():
            if name == chosen:
                _rule(block, name, new)
            elif not is_empty(block.left):
                block.tell(Kind.DROPPED, "", block.left, note=f"the schedule's kind is `{chosen}`")
        old.end()
    else:
        _rule(old, kind or _guess(old), new)


def _guess(old: Old) -> str:
    if old.left.get("crontab") or any(old.left.get(name) is not None for name in _FIELDS):
        return "cron"
    return "interval" if any(old.left.get(name) for name in _UNITS) else "date"


def _rule(old: Old, kind: str, new: New) -> None:
    if kind == "cron":
        _cron(old, new)
    elif kind == "interval":
        _interval(old, new)
    elif kind.startswith("calendar"):
        _calendar(old, new)
    else:
        moment = old.take("run_time")
        if moment:
            new.put(old, "run_time", _moment(moment), ("schedule", "date"))
    if not new.get(("schedule",)):
        old.left.clear()
        return
    for before, after in (("start_time", "start"), ("start_date", "start"), ("end_time", "end"), ("end_date", "end")):
        value = old.take(before)
        if value:
            new.put(old, before, _moment(value), ("schedule", after))
    zone = old.take("timezone")
    if zone:
        new.put(old, "timezone", str(zone), ("schedule", "timezone"))
    elif kind == "cron" or kind.startswith("calendar"):
        old.migration.tell(Kind.MEANING, old.where(), old.key("timezone"), "", "schedule.timezone: UTC", _ZONE)
    # What belongs to the other kinds, with its defaults.
    old.drop(*(name for name in (*_FIELDS, *_UNITS, "crontab", "microseconds") if is_zero(old.left.get(name))))
    old.end()


def is_zero(value: object) -> bool:
    """Whether a field of another kind of rule has its default."""
    return value is None or value == 0


def _cron(old: Old, new: New) -> None:
    crontab = old.take("crontab")
    fields = {name: value for name in _FIELDS if (value := old.take(name)) is not None}
    if crontab:
        new.put(old, "crontab", str(crontab), ("schedule", "cron"))
    elif fields:
        new.put(old, next(iter(fields)), fields, ("schedule", "cron"))


def _interval(old: Old, new: New) -> None:
    units = {name: value for name in _UNITS if (value := old.take(name))}
    micro = old.take("microseconds") or 0
    if micro:
        total = sum(_UNITS[name] * value for name, value in units.items()) + micro / 1e6
        new.put(old, "microseconds", total, ("schedule", "interval"))
    elif units:
        new.put(old, next(iter(units)), units, ("schedule", "interval"))


def _calendar(old: Old, new: New) -> None:
    """Every day, week or month at a time of day: as cron fields where they can say it."""
    counts = {name: old.take(name) or 0 for name in ("years", "months", "weeks", "days")}
    at = {name: old.take(name) or 0 for name in ("hour", "minute", "second")}
    start = old.left.get("start_date")
    fields: dict[str, Any] | None = None
    if counts == {"years": 0, "months": 0, "weeks": 0, "days": 1}:
        fields = at
    elif counts == {"years": 0, "months": 0, "weeks": 1, "days": 0} and isinstance(start, date):
        fields = {"day_of_week": start.weekday(), **at}
    elif counts == {"years": 0, "months": 1, "weeks": 0, "days": 0} and isinstance(start, date):
        fields = {"day": start.day, **at}
    if fields is not None:
        new.put(old, "days", fields, ("schedule", "cron"))
    elif any(counts.values()):
        old.tell(Kind.TODO, "days", counts, note="a calendar interval has no counterpart: write it as `schedule.cron`")


def _run(old: Old, new: New) -> None:
    """The policies of a schedule."""
    for name in ("id_", "id"):
        value = old.take(name)
        if value:
            new.put(old, name, str(value), ("schedule", "id"))
    if old.take("paused"):
        new.put(old, "paused", False, ("schedule", "enabled"), note="a paused schedule is one that is not enabled")
    coalesce = old.take("coalesce")
    if coalesce == "earliest":
        old.tell(Kind.TODO, "coalesce", coalesce, note="of missed times the latest is made up for, or `coalesce: all`")
    elif coalesce == "all":
        new.put(old, "coalesce", coalesce, ("schedule", "coalesce"))
    for before, after in (("misfire_grace_time", "misfire_grace"), ("max_jitter", "jitter")):
        value = old.take(before)
        if value:
            new.put(old, before, value, ("schedule", after))
    running = old.take("max_running_jobs")
    if running == 1:
        note = "runs of one key go one at a time"
        new.put(old, "max_running_jobs", "one-at-a-time", ("schedule", "key"), note=note)
    elif running:
        note = "a limit for all runs of a pipeline is its pool: `run.executor.max_workers`"
        old.tell(Kind.TODO, "max_running_jobs", running, note=note)
    # Version 0.6 misspelt it.
    policy = old.take("conflict_policy") or old.take("conflict_poilcy")
    if policy not in (None, "do_nothing"):
        old.tell(Kind.DROPPED, "conflict_policy", policy, note="what the files say is taken over at each start")
    executor = old.take("executor")
    if executor:
        note = "all runs of a pipeline go where `run.executor` says"
        old.tell(Kind.DROPPED, "executor", executor, note=note)
    old.end()


def _moment(value: Any) -> Any:
    """Dates of YAML 1.1 as ISO text."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return [_moment(item) for item in value] if isinstance(value, list) else value
