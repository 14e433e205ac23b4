"""The keys of a ``run`` block: FlowerPower's names, meanings and defaults."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from .adapter_keys import WithAdapterSettings
from .cache_keys import CacheSettings
from .hook_keys import FUNCTION
from .keys import Block, of_flowerpower, setting
from .kinds import ANYTHING, TEXT, Kind, checked, duration, matching, number, one_of, whole
from .urls import check_redis_url

LEVEL: Kind = one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", fold=str.upper)
#: As Python and Hamilton name nodes and inputs.
NAME: Kind = matching(r"[^\W\d]\w*", "a name such as reading")
_EXCEPTION = matching(r"[^\W\d]\w*(\.[^\W\d]\w*)*", "an exception such as requests.exceptions.ConnectionError")
#: As RQ names its list of jobs in Redis; no comma, which separates queues on the command line.
_QUEUE = matching(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", "a name such as fp-events")
#: Seconds; a year, so that adding it to a date is always possible.
_LONGEST = 366 * 24 * 3600.0
_SHORTEST = 0.001

_Type = Literal["local", "threadpool", "processpool", "ray", "dask", "rq"]
_TYPE = one_of("local", "threadpool", "processpool", "ray", "dask", "rq")


class ExecutorChoice(Block):
    """Another executor than the pipeline's; a bare word is the type."""

    shorthand = "type"

    type: Annotated[_Type, _TYPE] | None = setting(
        None, "Where runs execute.", shown="`threadpool` where a node is not async, else `local`"
    )
    max_workers: Annotated[int, whole(1)] | None = setting(
        None,
        "Threads or processes of a pool; with `ray` and `dask`, tasks at a time; with `rq`, attempts handed over.",
        shown="the executor's own; as many as there is room for",
    )
    num_cpus: Annotated[int, whole(1)] | None = setting(
        None, "`ray`: processors of the cluster that is started.", shown="`max_workers`, else this machine's"
    )


class ExecutorSettings(ExecutorChoice):
    """Where whole runs execute; a bare word is the type."""

    address: Annotated[str, TEXT] = setting(
        "",
        "An existing cluster: `auto` or `host:6379` for `ray`, `tcp://host:8786` or `tls://…` for `dask`.",
        shown="none: one is started on this machine, and ended",
    )
    project: Annotated[str, TEXT] = setting(
        "",
        "Where the workers of an existing cluster find the project: a folder or a URL.",
        shown="the folder that the daemon has",
    )
    options: dict[Annotated[str, TEXT], Annotated[Any, ANYTHING]] = setting(
        {},
        "Given with each task: `num_cpus`, `num_gpus`, `resources`, … of Ray's tasks; "
        "`resources`, `workers`, `priority`, … of Dask's `submit`.",
        shown="none",
    )
    url: Annotated[str, checked("Redis URL", check_redis_url)] = setting(
        "redis://127.0.0.1:6379/0", "`rq`: where Redis is; `redis://`, `rediss://` with TLS, or `unix://`."
    )
    queue: Annotated[str, _QUEUE] = setting("fp-events", "`rq`: RQ's queue, one for each project.")


_OF_FLOWERPOWER = of_flowerpower(
    "retry", "with_tracker", "with_opentelemetry", "with_progressbar", "async_driver", "additional_modules", "reload"
)


class RunDefaults(Block):
    """How runs are executed and tried again."""

    unavailable: ClassVar = {
        **_OF_FLOWERPOWER,
        "inputs": "`inputs` belongs to one pipeline, in conf/pipelines/<name>.yml",
        "final_vars": "`final_vars` belongs to one pipeline, in conf/pipelines/<name>.yml",
    }

    config: dict[Annotated[str, TEXT], Annotated[Any, ANYTHING]] = setting({}, "For Hamilton's `@config.when`.")
    executor: ExecutorSettings = setting(ExecutorSettings(), "Where runs execute; a bare word is its `type`.")
    with_adapter: WithAdapterSettings = setting(WithAdapterSettings(), "Which adapters runs have.")
    cache: CacheSettings = setting(
        CacheSettings(), "Values of nodes that are kept from run to run; a bare `true` or `false` is its `enabled`."
    )
    log_level: Annotated[str, LEVEL] | None = setting(None, "Level of the pipeline's own log.", shown="`log.level`")
    trace: Annotated[Literal["auto", "always", "never"], one_of("auto", "always", "never")] = setting(
        "auto",
        "Which runs are traced, node by node, for `runs show` and events. "
        "`auto`: runs that no message caused, and all runs of a pipeline whose functions have marks.",
    )
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
    on_success: Annotated[str, FUNCTION] | None = setting(None, "`module:function` called after a run has succeeded.")
    on_failure: Annotated[str, FUNCTION] | None = setting(None, "`module:function` called after a run has failed.")


class RunSettings(RunDefaults):
    """The same, with what belongs to one pipeline only."""

    unavailable: ClassVar = _OF_FLOWERPOWER

    inputs: dict[Annotated[str, NAME], Annotated[Any, ANYTHING]] = setting(
        {}, "Defaults for inputs; a trigger's `map` wins over them, they win over `params`."
    )
    final_vars: tuple[Annotated[str, NAME], ...] = setting(
        (), "The nodes to compute.", shown="the nodes in `outputs`, else every node that no other uses"
    )
