"""What the user wrote, as the runtime sees it: checked, frozen, free of YAML and of Hamilton."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .caching import CacheSpec
from .hooks import Named
from .materials import Material
from .retry import RetryPolicy
from .schedule import Schedule

#: Seconds that a message may stay with the broker while it is executed (`acknowledge: when_executed`).
LONGEST_UNSAVED = 60.0

Format = Literal["json", "jsonlines", "text", "bytes", "msgpack", "cbor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A topic filter and what to do with the messages that match it."""

    #: As written, with captures: ``plant/{line}/temperature``, ``site/{rest#}``.
    topic: str
    qos: int = 1
    #: None: by content type, then by sniffing.
    format: Format | None = None
    #: Input name -> dotted path (``payload.value``, ``topic.line``, ``message.received_at``).
    #: None: `payload`, the captures and `message`, as far as the plan asks for them.
    map: Mapping[str, str] | None = None
    #: The payload's fields become inputs by name.
    spread: bool = False
    #: What to do with messages that the broker sends because they were retained.
    retained: Literal["skip", "process"] = "skip"
    #: Template over captures and payload fields; runs with the same key go one at a time, in order.
    key: str | None = None
    #: When the broker is told that we have the message: `when_saved`: the ledger has it; `when_received`: at once,
    #: and no ledger; `when_executed`: its runs are settled, and no ledger.
    acknowledge: Literal["when_saved", "when_received", "when_executed"] = "when_saved"
    #: Runs of this trigger under way at a time.
    concurrency: int = 64
    #: Dotted path to what tells two messages apart; None: the `message_id` user property.
    identity: str | None = None
    #: Seconds from `received_at`; older messages end EXPIRED before they start.
    expires_after: float | None = None
    #: ``file:line`` of the trigger, for messages to the user.
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A node whose value is published."""

    node: str
    #: Template over captures, payload and value fields; None: ``<base>/results/<pipeline>/<node>``.
    topic: str | None = None
    #: One message per item of a list.
    each: bool = False
    qos: int = 1
    retain: bool = False
    #: Seconds; the message expiry that the broker is told.
    expires_after: float | None = None
    #: How NaN and the infinities are written in JSON.
    nan: Literal["null", "error"] = "null"
    where: str = ""


@dataclass(frozen=True, slots=True)
class ExecutorSpec:
    """Where whole runs execute. Pipelines with equal specs share one executor."""

    type: Literal["local", "threadpool", "processpool", "ray", "dask", "rq"]
    #: Threads or processes, or attempts on workers at a time; None: the executor's own default.
    max_workers: int | None = None
    #: Of Redis, for `rq`; may hold a password.
    url: str = field(default="", repr=False)
    #: RQ's queue.
    queue: str = ""
    #: For `ray`: processors of a cluster of our own; None: as many as this machine has.
    num_cpus: int | None = None
    #: Of an existing cluster, for `ray` and `dask`; empty: one of our own.
    address: str = ""
    #: Where the workers of an existing cluster find the project's folder; empty: where the daemon does.
    project: str = ""
    #: JSON object of what each task of `ray` or `dask` is given.
    options: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """One pipeline's settings, all levels merged."""

    name: str
    #: Import name of the module under the project's folder.
    module: str
    triggers: tuple[Trigger, ...] = ()
    outputs: tuple[Output, ...] = ()
    #: Node -> the input that gets its last value for the same key.
    state: Mapping[str, str] = field(default_factory=dict)
    #: `run.inputs`: defaults for inputs, below a map and above `params`.
    inputs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    #: `run.config`: for Hamilton's `@config.when`.
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    #: Empty: the nodes named in `outputs`, else every node that nothing else consumes.
    final_vars: tuple[str, ...] = ()
    #: None: threadpool where the plan has a sync node, else local.
    executor: ExecutorSpec | None = None
    #: Seconds per attempt.
    timeout: float | None = None
    #: Seconds for the whole run, from its creation.
    deadline: float | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    #: While a run waits for a retry: `hold` its key, or let later runs `pass`.
    on_retry: Literal["hold", "pass"] = "hold"
    log_level: str | None = None
    #: Which runs are traced, node by node; `auto`: those that no message caused, and those of plans with marks.
    trace: Literal["auto", "always", "never"] = "auto"
    #: The adapters that its runs have, in the order of `adapters.ADAPTERS`.
    adapters: tuple[str, ...] = ()
    #: What each of them needs, by its name; plain values, secrets among them; empty: nothing was said.
    adapter: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    #: Input -> what loads it.
    loads: Mapping[str, Material] = field(default_factory=dict)
    #: Name of a node that is added to the module's -> what it saves.
    saves: Mapping[str, Material] = field(default_factory=dict)
    #: Kind of hook (`hooks.KINDS`) -> the functions that are called, in order.
    hooks: Mapping[str, tuple[Named, ...]] = field(default_factory=dict)
    #: Input -> what opens it, once per worker; the project's too, whether or not the pipeline has such an input.
    resources: Mapping[str, Named] = field(default_factory=dict)
    #: Dotted ``module:function`` called after the outcome is durable.
    on_success: str | None = None
    on_failure: str | None = None
    schedules: tuple[Schedule, ...] = ()
    #: `run.cache`: which nodes' values are kept from run to run, and where.
    cache: CacheSpec = field(default_factory=CacheSpec)
    enabled: bool = True
    #: ``file`` of the pipeline's YAML, for messages to the user.
    where: str = ""
    #: Setting (``params.limit``, ``triggers[0].key``) -> where it was written, as far as it was.
    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def where_of(self, setting: str) -> str:
        """Where a setting was written, for messages to the user; the pipeline's file where that is not known."""
        return self.origins.get(setting) or self.where
