"""The keys of a ``schedule`` block: FlowerPower's `cron`, `interval` and `date`, and what belongs to them here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from fp_events.domain.adapters import ADAPTERS
from fp_events.schedules import reading
from fp_events.schedules.zones import zone_of

from .cache_keys import CacheChoice
from .keys import Block, not_available, setting
from .kinds import ANYTHING, FLAG, TEXT, Kind, checked, duration, matching, number, one_of, refuse, whole
from .run_keys import NAME, ExecutorChoice
from .values import Substituted, describe, typed

_ID = matching(r"[A-Za-z0-9._-]{1,100}", "letters, digits, dots, dashes or underscores, at most 100")
_YEAR = 366 * 24 * 3600.0
_SHORTEST = 0.001


def _plain(value: object) -> object:
    """`value` with substitutions in it as the scalars that they mean."""
    if isinstance(value, Mapping):
        return {typed(name): typed(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [typed(item) for item in value]
    return typed(value)


def _rule(label: str, read: Callable[[object], object]) -> Kind:
    def reads(value: object) -> object:
        try:
            return read(_plain(value))
        except ValueError as error:
            hidden = isinstance(value, Substituted) and value.hidden
            refuse(f"{describe(value)} is not a {label}" if hidden else str(error))

    return Kind(label, reads)


_CRON = _rule("cron string or block of fields", reading.read_cron)
_INTERVAL = _rule("duration or block of units", reading.read_interval)
_DATE = _rule("date and time, or list of them", reading.read_dates)
_MOMENT = _rule("date and time", reading.read_moment)


class ScheduleSettings(Block):
    """When runs start by the clock, and what they are given."""

    unavailable = not_available("log_level")

    id: Annotated[str, _ID] | None = setting(
        None,
        "Names the schedule in commands; one of its kind in the project.",
        shown="the pipeline's name; in `schedules`, `.1` and so on behind it",
    )
    enabled: Annotated[bool, FLAG] = setting(True, "Whether it fires.")
    cron: Annotated[Any, _CRON] | None = setting(
        None, "Cron string (five fields, six with the second first, `@daily`), or fields by name.", shown="none"
    )
    interval: Annotated[float, _INTERVAL] | None = setting(
        None, "Seconds, text such as `2h30m`, or units by name: `{hours: 2}`.", shown="none"
    )
    date: Annotated[tuple[str, ...], _DATE] | None = setting(None, "One moment, or a list of moments.", shown="none")
    timezone: Annotated[str, checked("time zone", zone_of)] = setting(
        "UTC", "Whose clock `cron`, and moments without an offset, go by."
    )
    start: Annotated[str, _MOMENT] | None = setting(
        None, "Nothing fires before; an interval is counted from here.", shown="when it was first seen"
    )
    end: Annotated[str, _MOMENT] | None = setting(None, "Nothing fires after.", shown="never")
    jitter: Annotated[float, duration(0, _YEAR)] = setting(
        0.0, "Runs come up to this much later, each by an amount of its own."
    )
    misfire_grace: Annotated[float, duration(_SHORTEST, _YEAR)] | None = setting(
        None, "A run that has not started so long after its time ends EXPIRED.", shown="no limit"
    )
    coalesce: Annotated[Literal["latest", "all"], one_of("latest", "all")] = setting(
        "latest", "Of the times that were missed: the latest, or all up to `max_missed`."
    )
    max_missed: Annotated[int, whole(1, reading.MOST_MISSED)] = setting(
        100, "The most missed times that are made up for with `coalesce: all`, the latest ones."
    )
    key: Annotated[str, TEXT] | None = setting(None, "Key of its runs, for order and state.", shown="none")
    inputs: dict[Annotated[str, NAME], Annotated[Any, ANYTHING]] = setting(
        {}, "Inputs of its runs; they win over `run.inputs` and `params`.", shown="none"
    )
    final_vars: tuple[Annotated[str, NAME], ...] = setting(
        (), "The nodes to compute beside those in `outputs`.", shown="as `run.final_vars`"
    )
    config: dict[Annotated[str, TEXT], Annotated[Any, ANYTHING]] = setting(
        {}, "For Hamilton's `@config.when`; laid over `run.config`.", shown="as `run.config`"
    )
    max_retries: Annotated[int, whole(0)] | None = setting(
        None, "Attempts after the first.", shown="as `run.max_retries`"
    )
    retry_delay: Annotated[float, duration(0, _YEAR)] | None = setting(
        None, "Time before the first retry.", shown="as `run.retry_delay`"
    )
    jitter_factor: Annotated[float, number(0, 1)] | None = setting(
        None, "Spreads delays.", shown="as `run.jitter_factor`"
    )
    cache: CacheChoice = setting(
        CacheChoice(),
        "Which values its runs keep and take; a bare `true` or `false` is its `enabled`.",
        shown="as `run.cache`",
    )
    with_adapter: dict[Annotated[str, one_of(*ADAPTERS)], Annotated[bool, FLAG]] = setting(
        {}, "Adapters to turn on and off for its runs.", shown="as `run.with_adapter`"
    )
    timeout: Annotated[float, duration(_SHORTEST, _YEAR)] | None = setting(
        None, "The longest that one attempt may take.", shown="as `run.timeout`"
    )
    executor: ExecutorChoice = setting(
        ExecutorChoice(),
        "Where its runs execute; a bare word is its `type`. What else that type needs is as a pipeline configures it.",
        shown="as `run.executor`",
    )
