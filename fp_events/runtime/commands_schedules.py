"""Commands about schedules: list, show, add, pause, resume, remove, sync."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from fp_events.domain.errors import CommandRefused, ScheduleNotFound
from fp_events.domain.schedule import Schedule, ScheduleSpec, StoredSchedule
from fp_events.schedules import reading
from fp_events.schedules.syncing import changed, new, paused, resumed
from fp_events.schedules.zones import zone_of

from .arguments import Arguments
from .command import MOST, Command, Desk
from .commands_submit import RUN_ID, check_filled, check_request, request_of
from .schedule_book import Rows, ScheduleBook
from .schedule_views import schedule_row, schedule_whole


async def _book(desk: Desk) -> ScheduleBook:
    if desk.live_or_none is not None:
        return desk.live.scheduler.book
    book = ScheduleBook(desk.ledger.commit)
    book.fill(await desk.ledger.schedules())
    return book


def _now(desk: Desk) -> datetime:
    return datetime.now(UTC) if desk.live_or_none is None else desk.live.scheduler.clock()


def _is_served(desk: Desk, stored: StoredSchedule) -> bool:
    return desk.live_or_none is None or desk.live.scheduler.fires(stored)


async def _list(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    """Schedules in the order of their ids; `next` is what the next page begins `after`."""
    pipeline, after = arguments.text("pipeline"), arguments.text("after") or ""
    limit = arguments.count("limit", MOST, MOST)
    rows = sorted((await _book(desk)).rows.items())
    found = [row for name, row in rows if name > after and pipeline in (None, row.schedule.pipeline)]
    return {
        "schedules": [schedule_row(row, is_served=_is_served(desk, row)) for row in found[:limit]],
        "next": found[limit - 1].schedule.schedule_id if len(found) > limit else None,
    }


async def _show(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    """One schedule, whole."""
    stored = _find((await _book(desk)).rows, arguments.needed("schedule_id"))
    return schedule_whole(stored, is_served=_is_served(desk, stored))


def _find(rows: Rows, schedule_id: str) -> StoredSchedule:
    if schedule_id not in rows:
        raise ScheduleNotFound(schedule_id, tuple(rows))
    return rows[schedule_id]


async def _add(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    """Add a schedule; durable before it is confirmed."""
    schedule = _schedule(desk, arguments)
    name = schedule.schedule_id
    now = _now(desk)
    stored = new(schedule, now)
    if stored.next_fire_at is None:
        raise CommandRefused("the schedule's last time is over, it would not fire", where="schedules.add")
    check_filled(desk, schedule.pipeline, schedule.request, where="schedules.add")
    overwrite = arguments.flag("overwrite")

    def decide(rows: Rows) -> dict[str, StoredSchedule | None]:
        old = rows.get(name)
        if old is None:
            return {name: stored}
        if old.schedule.source == "project":
            raise CommandRefused(
                f"schedule '{name}' is the project's, at {old.schedule.where}",
                where="schedules.add",
                mend="change it there, or choose another id",
            )
        if not overwrite:
            raise CommandRefused(
                f"there is a schedule '{name}' already",
                where="schedules.add",
                mend="add --overwrite, or choose another id",
            )
        return {name: changed(old, schedule, now)}

    book = await _book(desk)
    await book.change(decide)
    return schedule_whole(book.rows[name])


def _schedule(desk: Desk, arguments: Arguments) -> Schedule:
    pipeline = desk.pipeline(arguments.needed("pipeline"))
    request = request_of(arguments)
    check_request(desk, pipeline, request, where=arguments.command)
    name = arguments.text("schedule_id") or pipeline
    if not RUN_ID.fullmatch(name):
        what = "'schedule_id' must be 1 to 100 letters, digits, dots, dashes or underscores"
        raise CommandRefused(what, where=arguments.command)
    return Schedule(
        schedule_id=name,
        pipeline=pipeline,
        spec=_spec(arguments),
        request=request,
        key=arguments.text("key"),
        source="command",
    )


def _spec(arguments: Arguments) -> ScheduleSpec:
    def read(name: str, reader: Callable[[object], Any]) -> Any:
        if not arguments.given(name):
            return None
        try:
            return reader(arguments.value(name))
        except ValueError as error:
            raise CommandRefused(f"'{name}': {error}", where=arguments.command) from None

    coalesce = arguments.text("coalesce") or "latest"
    if coalesce not in ("latest", "all"):
        raise CommandRefused("'coalesce' must be latest or all", where=arguments.command)
    zone = arguments.text("timezone") or "UTC"
    given = {
        "cron": read("cron", reading.read_cron),
        "interval": read("interval", reading.read_interval),
        "date": read("date", reading.read_dates),
        "start": read("start", reading.read_moment),
        "end": read("end", reading.read_moment),
    }
    try:
        zone_of(zone)
        return reading.make_spec(
            **given,
            zone=zone,
            jitter=arguments.duration("jitter") or 0.0,
            misfire_grace=arguments.duration("misfire_grace"),
            coalesce="all" if coalesce == "all" else "latest",
            max_missed=arguments.whole("max_missed", 1, reading.MOST_MISSED) or 100,
        )
    except ValueError as error:
        raise CommandRefused(str(error), where=arguments.command) from None


async def _pause(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    """Fire no more until resumed, over restarts too."""
    now = _now(desk)
    names = await _change(desk, arguments, lambda row: row if row.paused else paused(row, now))
    return {"paused": names}


async def _resume(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    """Go on from now; what would have fired meanwhile is not made up for."""
    now = _now(desk)
    names = await _change(desk, arguments, lambda row: resumed(row, now) if row.paused else row)
    return {"resumed": names}


async def _remove(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    """Delete schedules that commands have added; with `all`, all of those."""

    def delete(row: StoredSchedule) -> StoredSchedule | None:
        if row.schedule.source == "command":
            return None
        if arguments.flag("all"):
            return row
        raise CommandRefused(
            f"schedule '{row.schedule.schedule_id}' is the project's, at {row.schedule.where}",
            where="schedules.remove",
            mend="remove it there, or pause it",
        )

    return {"removed": await _change(desk, arguments, delete)}


async def _change(
    desk: Desk, arguments: Arguments, change: Callable[[StoredSchedule], StoredSchedule | None]
) -> list[str]:
    """Change the schedules that are named, or all (of a pipeline); the ids of those that are different now."""
    ids, every = arguments.texts("schedule_ids"), arguments.flag("all")
    if (ids is None) != every:
        raise CommandRefused("name schedules, or say all", where=arguments.command)
    pipeline = arguments.text("pipeline")
    done: dict[str, StoredSchedule | None] = {}

    def decide(rows: Rows) -> Mapping[str, StoredSchedule | None]:
        named: Iterable[StoredSchedule] = rows.values() if ids is None else [_find(rows, name) for name in ids]
        for row in named:
            if pipeline in (None, row.schedule.pipeline) and (following := change(row)) is not row:
                done[row.schedule.schedule_id] = following
        return done

    await (await _book(desk)).change(decide)
    return sorted(done)


async def _sync(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    """Read the project's files again and make its schedules what they say."""
    scheduler = desk.live.scheduler
    before = set(scheduler.book.rows)
    configured = await desk.live.configured_schedules()
    known = [schedule for schedule in configured if schedule.pipeline in desk.live.pipelines]
    synced = await scheduler.sync(known, overwrite=arguments.flag("overwrite"))
    changes = synced.changes
    return {
        "added": sorted(name for name, row in changes.items() if row is not None and name not in before),
        "changed": sorted(name for name, row in changes.items() if row is not None and name in before),
        "removed": sorted(name for name, row in changes.items() if row is None),
        "not_used": [schedule.schedule_id for schedule in synced.conflicts],
        "unknown_pipelines": sorted({s.pipeline for s in configured if s.pipeline not in desk.live.pipelines}),
    }


_RULE = ("cron", "interval", "date", "timezone", "start", "end", "jitter", "misfire_grace", "coalesce", "max_missed")
_RUN = (
    "inputs", "final_vars", "config", "key", "priority", "max_retries", "retry_delay", "jitter_factor", "timeout",
    "log_level",
    "executor",
    "with_adapter",
    "cache",
)  # fmt: skip
_CHOOSING = ("schedule_ids", "all", "pipeline")

SCHEDULE_COMMANDS = (
    Command("schedules.list", _list, ("pipeline", "limit", "after"), live=False, changes=False),
    Command("schedules.show", _show, ("schedule_id",), live=False, changes=False),
    Command(
        "schedules.add",
        _add,
        ("pipeline", "schedule_id", "overwrite", *_RULE, *_RUN),
        live=True,
        changes=True,
    ),
    Command("schedules.pause", _pause, _CHOOSING, live=False, changes=True),
    Command("schedules.resume", _resume, _CHOOSING, live=False, changes=True),
    Command("schedules.remove", _remove, _CHOOSING, live=False, changes=True),
    Command("schedules.sync", _sync, ("overwrite",), live=True, changes=True),
)
