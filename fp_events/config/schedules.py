"""From ``schedule`` and ``schedules`` to the domain's `Schedule`s, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from fp_events.domain.errors import Problem
from fp_events.domain.schedule import Schedule, ScheduleSpec
from fp_events.schedules.reading import make_spec
from fp_events.schedules.rules import rule_of

from .layers import Layer, Path, origin, path_text
from .pipeline_keys import PipelineSettings
from .result import Sourced
from .schedule_keys import ScheduleSettings

_REQUEST = ("inputs", "final_vars", "config", "max_retries", "retry_delay", "jitter_factor", "timeout", "with_adapter")


def written(settings: PipelineSettings) -> Iterator[tuple[Path, ScheduleSettings]]:
    """The schedules with their places; a block in which every key is null is none."""
    if settings.schedule is not None and any(
        getattr(settings.schedule, name) is not None for name in settings.schedule.model_fields_set - {"enabled"}
    ):
        yield ("schedule",), settings.schedule
    for index, schedule in enumerate(settings.schedules):
        yield ("schedules", index), schedule


def build_schedules(name: str, settings: PipelineSettings, layers: Sequence[Layer]) -> tuple[Schedule, ...]:
    """The schedules of one pipeline, whose settings are valid."""
    return tuple(
        Schedule(
            schedule_id=_id(name, path, schedule),
            pipeline=name,
            spec=_spec(schedule),
            request=_request(schedule),
            key=schedule.key,
            enabled=schedule.enabled,
            where=origin(layers, path),
        )
        for path, schedule in written(settings)
    )


def schedule_rules(settings: PipelineSettings, layers: Sequence[Layer]) -> Iterator[Problem]:
    """Problems and warnings of schedules that are valid key by key."""
    for path, schedule in written(settings):
        where, name = origin(layers, path), path_text(path)
        if schedule.executor.type is None and schedule.executor.model_fields_set - {"type"}:
            yield Problem(what=f"{name}.executor: `type` is missing", where=where, mend="say which executor is meant")
        try:
            spec = _spec(schedule)
        except ValueError as error:
            yield Problem(what=f"{name}: {error}", where=where)
            continue
        now = datetime.now(UTC)
        if schedule.enabled and rule_of(spec, now).next(now) is None:
            yield Problem(
                what=f"{name}: its last time is over, it will not fire",
                where=where,
                mend="remove it, or give it a time to come",
                warning=True,
            )


def unique_ids(pipelines: Mapping[str, Sourced]) -> Iterator[Problem]:
    """Problems of schedules that have the same id."""
    seen: dict[str, str] = {}
    for name, source in pipelines.items():
        assert isinstance(source.settings, PipelineSettings)
        for path, schedule in written(source.settings):
            schedule_id, where = _id(name, path, schedule), origin(source.layers, path)
            if schedule_id in seen:
                yield Problem(
                    what=f"{path_text(path)}: the schedule at {seen[schedule_id]} has the id '{schedule_id}' too",
                    where=where,
                    mend="give one of them an `id` of its own",
                )
            seen.setdefault(schedule_id, where)


def _id(pipeline: str, path: Path, schedule: ScheduleSettings) -> str:
    number = "".join(f".{part + 1}" for part in path[1:] if isinstance(part, int))
    return schedule.id or f"{pipeline}{number}"


def _spec(schedule: ScheduleSettings) -> ScheduleSpec:
    return make_spec(
        cron=schedule.cron,
        interval=schedule.interval,
        date=schedule.date,
        zone=schedule.timezone,
        start=schedule.start,
        end=schedule.end,
        jitter=schedule.jitter,
        misfire_grace=schedule.misfire_grace,
        coalesce=schedule.coalesce,
        max_missed=schedule.max_missed,
    )


def _request(schedule: ScheduleSettings) -> dict[str, object]:
    found = {name: getattr(schedule, name) for name in _REQUEST}
    found["cache"] = schedule.cache.asked()
    if schedule.executor.type is not None:
        found["executor"] = schedule.executor.model_dump(exclude_none=True)
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in found.items()
        if value is not None and value not in ({}, ())
    }
