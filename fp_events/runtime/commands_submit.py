"""The command `run`: start a run, now or later."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any, get_args, get_type_hints

from uuid_utils import uuid7

from fp_events.domain.adapters import ADAPTERS, chosen, missing
from fp_events.domain.caching import CacheSpec
from fp_events.domain.errors import CommandRefused
from fp_events.domain.pipeline import ExecutorSpec
from fp_events.domain.records import NewRun
from fp_events.domain.run import AttemptResult, Cause, Outcome, RunState
from fp_events.domain.schedule import SCHEDULED_AT

from .arguments import Arguments
from .command import Command, Desk
from .views import moment, one_line, run_row

#: Ids that callers may give to runs; a colon would make one look like a publication's.
RUN_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")
#: More retries, and a higher priority, than anybody needs.
MOST_RETRIES = 10_000
MOST_PRIORITY = 9
EXECUTORS: tuple[str, ...] = get_args(get_type_hints(ExecutorSpec)["type"])
_OF_EXECUTORS = ("type", "max_workers", "num_cpus")
_MOST_WORKERS = 10_000


async def _run(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    """Start a run; durable before it is confirmed. With `wait`: until it has ended."""
    name = desk.pipeline(arguments.needed("pipeline"))
    run = _new(desk, name, arguments)
    wait = arguments.flag("wait")
    timeout = arguments.number("timeout_s")
    ended: asyncio.Future[tuple[Outcome, AttemptResult | None]] = asyncio.get_running_loop().create_future()

    def then(outcome: Outcome, result: AttemptResult | None) -> None:
        if not ended.done():
            ended.set_result((outcome, result))

    new = await desk.live.submit(run, may_be_known=arguments.given("run_id"))
    if not wait or not desk.live.when_ended(run.run_id, then):
        return await _as_it_is(desk, run.run_id, known=not new)
    try:
        async with asyncio.timeout(timeout):
            outcome, result = await ended
    except TimeoutError:
        return await _as_it_is(desk, run.run_id, known=not new)
    return {
        "run_id": run.run_id,
        "pipeline": name,
        "state": RunState.FINISHED.value,
        "outcome": outcome.value,
        "values": json.loads(result.values) if result and result.values else None,
        "error": one_line(result.failure) if result else None,
        "node": result.failure.node if result and result.failure else None,
    }


def _new(desk: Desk, pipeline: str, arguments: Arguments) -> NewRun:
    request = request_of(arguments)
    check_request(desk, pipeline, request, where=arguments.command)
    run_id = arguments.text("run_id")
    if run_id is not None and not RUN_ID.fullmatch(run_id):
        raise CommandRefused("'run_id' must be 1 to 100 letters, digits, dots, dashes or underscores", where="run")
    now = datetime.now(UTC)
    due_at = _due_at(arguments, now)
    deadline = arguments.duration("deadline")
    check_filled(desk, pipeline, request, where=arguments.command)
    return NewRun(
        run_id=run_id or str(uuid7()),
        pipeline=pipeline,
        cause=Cause.COMMAND,
        key=arguments.text("key"),
        state=RunState.QUEUED if due_at is None else RunState.WAITING,
        request=json.dumps(request).encode(),
        created_at=now,
        due_at=due_at,
        deadline_at=None if deadline is None else _after(due_at or now, deadline, "deadline"),
    )


#: Of the log.
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def request_of(arguments: Arguments) -> dict[str, Any]:
    """What runs are given, and what they do differently from their pipeline; see `overrides`."""
    where = arguments.command
    jitter = arguments.number("jitter_factor")
    if jitter is not None and not 0 <= jitter <= 1:
        raise CommandRefused("'jitter_factor' must be a number from 0 to 1", where=where)
    timeout = arguments.duration("timeout")
    if timeout == 0:
        raise CommandRefused("'timeout' must be longer than nothing", where=where)
    request = {
        "inputs": arguments.mapping("inputs"),
        "final_vars": arguments.texts("final_vars"),
        "config": arguments.mapping("config"),
        "max_retries": arguments.whole("max_retries", 0, MOST_RETRIES),
        "retry_delay": arguments.duration("retry_delay"),
        "jitter_factor": jitter,
        "timeout": timeout,
        "priority": arguments.whole("priority", 0, MOST_PRIORITY),
        "log_level": arguments.choice("log_level", LEVELS),
        "executor": executor_of(arguments),
        "with_adapter": adapters_of(arguments),
        "cache": cache_of(arguments),
    }
    return {name: value for name, value in request.items() if value or value == 0}


def _due_at(arguments: Arguments, now: datetime) -> datetime | None:
    """When the run is to start; None: now. What is past is now."""
    at, delay = arguments.moment("run_at"), arguments.duration("run_in")
    if at is not None and delay is not None:
        raise CommandRefused("'run_at' and 'run_in' exclude each other", where="run", mend="give one of them")
    if delay is not None:
        at = _after(now, delay, "run_in")
    return None if at is None or at <= now else at


def _after(moment: datetime, seconds: float, name: str) -> datetime:
    try:
        return moment + timedelta(seconds=seconds)
    except OverflowError:
        raise CommandRefused(f"'{name}' leads past the year 9999", where="run") from None


def executor_of(arguments: Arguments) -> dict[str, Any] | None:
    """The executor that is asked for: its type, or an object with it, `max_workers` and `num_cpus`."""
    given = arguments.value("executor")
    if given is None:
        return None
    asked = {"type": given} if isinstance(given, str) else given
    if not isinstance(asked, dict) or asked.get("type") not in EXECUTORS:
        what = f"'executor' must be one of {', '.join(EXECUTORS)}, or an object with such a `type`"
        raise CommandRefused(what, where=arguments.command)
    for name, value in asked.items():
        if name not in _OF_EXECUTORS:
            mend = f"it knows {', '.join(_OF_EXECUTORS)}; the rest is as the project configures it"
            raise CommandRefused(f"'executor' has no '{name}' here", where=arguments.command, mend=mend)
        if name != "type" and (isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _MOST_WORKERS):
            what = f"'executor.{name}' must be a whole number from 1 to {_MOST_WORKERS}"
            raise CommandRefused(what, where=arguments.command)
    return asked


def cache_of(arguments: Arguments) -> Any:
    """What the run keeps and takes of its nodes' values: true, false, or an object."""
    given = arguments.value("cache")
    if given is not None:
        try:
            CacheSpec().over(given)
        except ValueError as error:
            raise CommandRefused(f"'cache': {error}", where=arguments.command) from None
    return {"enabled": True} if given == {} else given


def adapters_of(arguments: Arguments) -> dict[str, bool] | None:
    """The adapters that are turned on and off for the run."""
    given = arguments.value("with_adapter")
    if given is None:
        return None
    try:
        asked = chosen(given)
    except ValueError as error:
        raise CommandRefused(f"'with_adapter': {error}", where=arguments.command) from None
    for name in (name for name, on in asked.items() if on and missing(name)):
        what = f"the adapter '{name}' needs the package {missing(name)}, which is not installed"
        raise CommandRefused(what, where=arguments.command, mend=f"pip install '{ADAPTERS[name].requirement}'")
    return asked


def check_request(desk: Desk, pipeline: str, request: Mapping[str, Any], *, where: str) -> None:
    """Raise CommandRefused, or UsageError, for what a run of the pipeline cannot be given."""
    check_inputs(desk, pipeline, request.get("inputs", {}), where=where)
    _check_nodes(desk, pipeline, request.get("final_vars") or (), where=where)
    if "executor" in request:
        desk.live.check_executor(pipeline, request["executor"])


def check_inputs(desk: Desk, pipeline: str, inputs: Mapping[str, Any], *, where: str) -> None:
    """Raise CommandRefused for an input that the pipeline does not know."""
    known = desk.live.pipelines[pipeline]
    for given in inputs:
        if given not in known:
            near = get_close_matches(given, known, n=1)
            mend = f"did you mean '{near[0]}'?" if near else f"it knows {', '.join(sorted(known)) or 'none'}"
            raise CommandRefused(f"pipeline '{pipeline}' has no input '{given}'", where=where, mend=mend)


def _check_nodes(desk: Desk, pipeline: str, names: Iterable[str], *, where: str) -> None:
    known = desk.live.nodes(pipeline)
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            mend = f"did you mean '{near[0]}'?" if near else "`fp-events pipelines show` lists them"
            raise CommandRefused(f"pipeline '{pipeline}' has no node '{name}'", where=where, mend=mend)


def check_filled(desk: Desk, pipeline: str, request: Mapping[str, Any], *, where: str) -> None:
    """Raise CommandRefused where a run would lack an input."""
    if request.get("final_vars") or request.get("config"):
        return  # other nodes, or other functions, may need fewer
    known, inputs = desk.live.pipelines[pipeline], request.get("inputs", {})
    by_calendar = {SCHEDULED_AT} if where == "schedules.add" else set()
    missing = [name for name, needed in known.items() if needed and name not in inputs and name not in by_calendar]
    if missing:
        names = ", ".join(f"'{name}'" for name in missing)
        raise CommandRefused(
            f"pipeline '{pipeline}' needs {'inputs' if len(missing) > 1 else 'input'} {names}",
            where=where,
            mend="give it, or fill it by `run.inputs` or `params`, or give the parameter a default",
        )


async def _as_it_is(desk: Desk, run_id: str, *, known: bool) -> dict[str, Any]:
    run = await desk.run(run_id)
    return {
        "run_id": run_id,
        "pipeline": run.pipeline,
        "state": run.state.value,
        "known": known,
        "outcome": run.outcome.value if run.outcome else None,
        "due_at": moment(run.due_at),
    }


async def _wait(desk: Desk, arguments: Arguments) -> dict[str, Any]:
    """A run once it has ended, or after `timeout_s` as it is then."""
    timeout = arguments.number("timeout_s")
    run_id = (await desk.run(arguments.needed("run_id"))).run_id
    ended = asyncio.Event()
    if desk.live.when_ended(run_id, lambda *_: ended.set()):
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await ended.wait()
    return run_row(await desk.run(run_id))


SUBMIT_COMMANDS = (
    Command("runs.wait", _wait, ("run_id", "timeout_s"), live=True, changes=False),
    Command(
        "run",
        _run,
        (
            "pipeline",
            "inputs",
            "final_vars",
            "config",
            "key",
            "run_id",
            "run_at",
            "run_in",
            "deadline",
            "priority",
            "max_retries",
            "retry_delay",
            "jitter_factor",
            "timeout",
            "log_level",
            "executor",
            "with_adapter",
            "cache",
            "wait",
            "timeout_s",
        ),
        live=True,
        changes=True,
    ),
)
