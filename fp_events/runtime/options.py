"""What a daemon is made of, and what it tells once it serves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from fp_events.domain.health import Watcher
from fp_events.domain.hooks import Hook
from fp_events.domain.message import ConnectionStatus
from fp_events.domain.observation import Observer, RetryRecord
from fp_events.domain.pipeline import Pipeline
from fp_events.domain.ports import Executor, Ledger, ReceivedIds, Transport
from fp_events.domain.records import RetentionPolicy
from fp_events.domain.schedule import Schedule

from .formats import Formats
from .guard import ControlRules
from .limits import Limits
from .listening import HttpAnswer, Listener
from .names import Names
from .placing import Places
from .reloading import Project
from .router import Router
from .settlement import EventStatus


class StateFormats(Formats, Protocol):
    """Codecs, and how state is shown."""

    def state_to_json(self, data: bytes) -> Any:
        """State as JSON-able values."""


class Log(Protocol):
    """What the service tells of itself; structlog's loggers fit."""

    def info(self, event: str, **facts: Any) -> Any:
        """Something that happened."""

    def warning(self, event: str, **facts: Any) -> Any:
        """Something to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOptions:
    """What a daemon is made of; `app` fills it in."""

    project: str
    version: str
    names: Names
    protocol: str
    #: The project's ``.fp-events`` folder.
    folder: Path
    #: This and the next mappings are changed in place by a reload.
    pipelines: MutableMapping[str, Pipeline]
    executors: Sequence[Executor]
    #: Pipeline -> its executor, and how that is called.
    executor_of: MutableMapping[str, tuple[Executor, str]]
    #: Makes executors that single runs ask for; None: none may.
    places: Places | None = None
    #: Pipeline -> version of its plan; the inputs it knows, and whether a run that no message causes must be given
    #: them; the names of its nodes.
    versions: MutableMapping[str, str]
    inputs: MutableMapping[str, Mapping[str, bool]]
    nodes: MutableMapping[str, frozenset[str]]
    ledger: Ledger
    ledger_path: Path | None
    retention: RetentionPolicy
    #: Makes the transport: stale filters, router's subscriptions are known by then.
    transport: Callable[[Router, Sequence[str], Callable[[ConnectionStatus], None], ReceivedIds], Transport]
    #: The same for triggers that acknowledge when_executed: a connection of their own.
    direct_transport: Callable[[Router, Sequence[str], Callable[[ConnectionStatus], None]], Transport]
    formats: StateFormats
    events: EventStatus
    #: None: no control by MQTT. Else pipelines with the inputs that `run` may give (None: all).
    control: Mapping[str, frozenset[str] | None] | None
    control_rules: ControlRules = field(default_factory=ControlRules)
    #: Pipeline -> users' functions that are called after commits, by kind.
    hooks: Mapping[str, Mapping[str, Sequence[Hook]]] = field(default_factory=dict)
    #: Closes what the pipelines have opened, once no executor runs any more.
    close_resources: Callable[[], Awaitable[None]] | None = None
    observers: tuple[Observer, ...] = ()
    retry_observers: tuple[Callable[[RetryRecord], None], ...] = ()
    #: Has a door answer by HTTP what is asked with this token; None: no commands by HTTP.
    http: Callable[[HttpAnswer], Listener] | None = None
    http_token: str = field(default="", repr=False)
    #: Tell supervisors how the daemon is.
    watchers: tuple[Watcher, ...] = ()
    #: Reads what the project's files say of schedules now; None: what `pipelines` say. Raises ConfigError.
    read_schedules: Callable[[], Sequence[Schedule]] | None = None
    #: The wall clock that schedules go by; aware, UTC.
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    #: Reads, checks and compiles the project anew, off the loop; raises ConfigError. None: there is nothing to read.
    reload: Callable[[], Project] | None = None
    #: A value that changes when files of the project do; None: they are not watched.
    watch: Callable[[], object] | None = None
    #: Pipeline -> what happened how often to kept values of its nodes, in this process.
    cache: Callable[[], Mapping[str, Mapping[str, int]]] = dict
    #: Called about once a second.
    tick: Callable[[], None] = lambda: None
    log: Log
    limits: Limits = field(default_factory=Limits)
    #: Seconds that running attempts have to end at a drain.
    grace: float = 30.0
    #: A broker that does not answer at the start ends the daemon.
    fail_fast: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeInfo:
    """What `serve` tells once it is connected and subscribed."""

    address: str
    #: (filter, QoS granted or the reason code of a refusal, pipelines).
    subscriptions: Sequence[tuple[str, int, Sequence[str]]]
    ledger: str
    queued: int
    waiting: int
    #: Runs that were under way when the last process died.
    interrupted: int
    unsent: int
    socket: str
    control: bool
