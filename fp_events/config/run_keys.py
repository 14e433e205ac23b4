"""The keys of a ``run`` block: FlowerPower's names, meanings and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from .adapter_keys import WithAdapterSettings
from .keys import Block, not_available, setting
from .kinds import ANYTHING, TEXT, Kind, checked, duration, matching, number, one_of, whole
from .urls import check_redis_url

LEVEL: Kind = one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", fold=str.upper)
#: As Python and Hamilton name nodes and inputs.
NAME: Kind = matching(r"[^\W\d]\w*", "a name such as reading")
_HOOK = matching(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", "a function such as hooks.notify:failed")
_EXCEPTION = matching(r"[^\W\d]\w*(\.[^\W\d]\w*)*", "an exception such as requests.exceptions.ConnectionError")
_AVAILABLE = "is not available in this version; available are local, threadpool, processpool and rq"
_MISSING_EXECUTORS: Mapping[str, str] = {name: f"the executor '{name}' {_AVAILABLE}" for name in ("ray", "dask")}
#: As RQ names its list of jobs in Redis; no comma, which separates queues on the command line.
_QUEUE = matching(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", "a name such as fp-events")
#: Seconds; a year, so that adding it to a date is always possible.
_LONGEST = 366 * 24 * 3600.0
_SHORTEST = 0.001

_Type = Literal["local", "threadpool", "processpool", "rq"]
_TYPE = one_of("local", "threadpool", "processpool", "rq", missing=_MISSING_EXECUTORS)


class ExecutorSettings(Block):
    """Where whole runs execute; a bare word is the type."""

    unavailable = not_available("num_cpus")
    shorthand = "type"

    type: Annotated[_Type, _TYPE] | None = setting(
        None, "Where runs execute.", shown="`threadpool` where a node is not async, else `local`"
    )
    max_workers: Annotated[int, whole(1)] | None = setting(
        None,
        "Threads or processes of a pool; with `rq`, attempts handed over at a time.",
        shown="the executor's own; four jobs per worker",
    )
    url: Annotated[str, checked("Redis URL", check_redis_url)] = setting(
        "redis://127.0.0.1:6379/0", "`rq`: where Redis is; `redis://`, `rediss://` with TLS, or `unix://`."
    )
    queue: Annotated[str, _QUEUE] = setting("fp-events", "`rq`: RQ's queue, one for each project.")


class RunDefaults(Block):
    """How runs are executed and tried again."""

    unavailable: ClassVar = {
        **not_available("cache"),
        "inputs": "`inputs` belongs to one pipeline, in conf/pipelines/<name>.yml",
        "final_vars": "`final_vars` belongs to one pipeline, in conf/pipelines/<name>.yml",
    }

    config: dict[Annotated[str, TEXT], Annotated[Any, ANYTHING]] = setting({}, "For Hamilton's `@config.when`.")
    executor: ExecutorSettings = setting(ExecutorSettings(), "Where runs execute; a bare word is its `type`.")
    with_adapter: WithAdapterSettings = setting(WithAdapterSettings(), "Which adapters runs have.")
    log_level: Annotated[str, LEVEL] | None = setting(None, "Level of the pipeline's own log.", shown="`log.level`")
    timeout: Annotated[float, duration(_SHORTEST, _LONGEST)] | None = setting(
        None, "The longest that one attempt may take.", shown="no limit"
    )
    deadline: Annotated[float, duration(_SHORTEST, _LONGEST)] | None = setting(
        None, "The longest that a run may take, from its creation, retries and waiting counted.", shown="no limit"
    )
    max_retries: Annotated[int, whole(0)] = setting(0, "Attempts after the first.")
    retry_delay: Annotated[float, duration(0, _LONGEST)] = setting(5.0, "Time before the first retry.")
    jitter_factor: Annotated[float, number(0, 1)] = setting(
        0.0, "Spreads delays: `delay * (1 + uniform(-jitter_factor, jitter_factor))`."
    )
    retry_backoff: Annotated[Literal["fixed", "exponential"], one_of("fixed", "exponential")] = setting(
        "fixed", "`fixed`: every delay is `retry_delay`. `exponential`: doubled with each retry."
    )
    max_delay: Annotated[float, duration(0, _LONGEST)] = setting(3600.0, "No delay is longer.")
    retry_exceptions: tuple[Annotated[str, _EXCEPTION], ...] = setting(
        (), "Exceptions worth a retry: dotted names, which must import, or bare class names.", shown="all"
    )
    on_retry: Annotated[Literal["hold", "pass"], one_of("hold", "pass")] = setting(
        "hold", "While a run waits for a retry, later runs of its key wait (`hold`) or go on (`pass`)."
    )
    on_success: Annotated[str, _HOOK] | None = setting(None, "`module:function` called after a run has succeeded.")
    on_failure: Annotated[str, _HOOK] | None = setting(None, "`module:function` called after a run has failed.")


class RunSettings(RunDefaults):
    """The same, with what belongs to one pipeline only."""

    unavailable = not_available("cache")

    inputs: dict[Annotated[str, NAME], Annotated[Any, ANYTHING]] = setting(
        {}, "Defaults for inputs; a trigger's `map` wins over them, they win over `params`."
    )
    final_vars: tuple[Annotated[str, NAME], ...] = setting(
        (), "The nodes to compute.", shown="the nodes in `outputs`, else every node that no other uses"
    )
