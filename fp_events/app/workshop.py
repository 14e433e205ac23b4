"""What runs the pipelines of a daemon: handlers and executors, and newer ones once the files have changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from fp_events import config as configuration
from fp_events.domain.errors import ConfigError
from fp_events.domain.pipeline import ExecutorSpec
from fp_events.domain.ports import Executor, Handler
from fp_events.domain.run import PlanRef
from fp_events.runtime.reloading import NewVersion, Project

from .building import callbacks, catalogue, check, handler_loader, make_executor, spec_of

if TYPE_CHECKING:
    from fp_events.config import Config

#: Settings of the project that only a start reads.
_AT_START = ("name", "mqtt", "ledger", "control", "events", "health", "log")


class Handlers:
    """The loader of a daemon's own threads: the newest handler of each pipeline."""

    def __init__(self) -> None:
        self._made: dict[str, Handler] = {}

    def __call__(self, ref: PlanRef) -> Handler:
        """The handler of `ref`'s pipeline."""
        return self._made[ref.pipeline]

    def install(self, made: Mapping[str, Handler]) -> None:
        """Hand these out from now on."""
        self._made.update(made)


@dataclass(frozen=True, slots=True)
class _Compiled:
    handler: Handler
    spec: ExecutorSpec
    version: str
    inputs: frozenset[str]


def _compiled(config: Config) -> dict[str, _Compiled]:
    """All pipelines of a configuration, compiled; raises ConfigError."""
    plans = catalogue(config)
    load = handler_loader(config, plans)
    found = {}
    for name, pipeline in config.pipelines.items():
        plan = plans.plan(pipeline)
        inputs = frozenset(plan.inputs)
        found[name] = _Compiled(load(PlanRef(name)), spec_of(pipeline, plan), plan.ref.version, inputs)
    return found


class Workshop:
    """Makes what runs the pipelines, and makes it anew when the daemon is told to reload."""

    def __init__(
        self,
        config: Config,
        on_blocked: Callable[[str, float], None],
        on_link: Callable[[str], None] | None = None,
    ) -> None:
        """Compile everything; raises ConfigError. `on_link`: why workers elsewhere are out of reach; empty: back."""
        self._config = config
        self._on_blocked = on_blocked
        self._on_link = on_link
        self._handlers = Handlers()
        compiled = _compiled(config)
        self._install(compiled)
        self._executors = {spec: self._executor(spec, config, compiled) for spec in _specs(compiled)}
        #: What the daemon needs of each pipeline; a reload changes them in place.
        self.pipelines = dict(config.pipelines)
        self.versions = {name: each.version for name, each in compiled.items()}
        self.inputs = {name: each.inputs for name, each in compiled.items()}
        self.executor_of = {name: (self._executors[each.spec], label(each.spec)) for name, each in compiled.items()}
        self.on_success, self.on_failure = callbacks(config)

    @property
    def executors(self) -> tuple[Executor, ...]:
        """Those that pipelines use."""
        return tuple(self._executors.values())

    def read(self) -> Project:
        """The project as its files have it now; raises ConfigError. Takes its time: not for the loop."""
        old = self._config
        config = configuration.load(old.root, environment=old.environment, overrides=old.overrides)
        errors = [problem for problem in check(config) if not problem.warning]
        if errors:
            raise ConfigError.of(errors)
        compiled = _compiled(config)
        changed = [
            name
            for name, pipeline in config.pipelines.items()
            if pipeline != self.pipelines.get(name) or compiled[name].version != self.versions.get(name)
        ]
        executors, made = self._renewed(config, compiled, changed)
        on_success, on_failure = callbacks(config)
        return Project(
            names=frozenset(config.pipelines),
            changed=[
                NewVersion(
                    pipeline=config.pipelines[name],
                    version=compiled[name].version,
                    inputs=compiled[name].inputs,
                    executor=executors[compiled[name].spec],
                    label=label(compiled[name].spec),
                )
                for name in compiled
                # An executor that is made anew takes all its pipelines along.
                if name in changed or executors[compiled[name].spec] in made
            ],
            made=made,
            at_start=[name for name in _AT_START if getattr(config, name) != getattr(old, name)],
            install=partial(self._take_over, config, compiled, executors, on_success, on_failure),
        )

    def _renewed(
        self, config: Config, compiled: Mapping[str, _Compiled], changed: list[str]
    ) -> tuple[dict[ExecutorSpec, Executor], list[Executor]]:
        """The executors, and those of them that are new: processes have the code that they were started with."""
        stale = {compiled[name].spec for name in changed if compiled[name].spec.type == "processpool"}
        executors: dict[ExecutorSpec, Executor] = {}
        made = []
        for spec in _specs(compiled):
            kept = None if spec in stale else self._executors.get(spec)
            executors[spec] = kept or self._executor(spec, config, compiled)
            if kept is None:
                made.append(executors[spec])
        return executors, made

    def _take_over(
        self,
        config: Config,
        compiled: Mapping[str, _Compiled],
        executors: dict[ExecutorSpec, Executor],
        on_success: Mapping[str, Any],
        on_failure: Mapping[str, Any],
    ) -> None:
        self._config = config
        self._executors = executors
        self._install(compiled)
        for table, new in ((self.on_success, on_success), (self.on_failure, on_failure)):
            table.clear()
            table.update(new)

    def _install(self, compiled: Mapping[str, _Compiled]) -> None:
        self._handlers.install({name: each.handler for name, each in compiled.items()})

    def _executor(self, spec: ExecutorSpec, config: Config, compiled: Mapping[str, _Compiled]) -> Executor:
        users = [name for name, each in compiled.items() if each.spec == spec]
        return make_executor(
            spec, config, self._handlers, pipelines=users, on_blocked=self._on_blocked, on_link=self._on_link
        )


def _specs(compiled: Mapping[str, _Compiled]) -> list[ExecutorSpec]:
    return list(dict.fromkeys(each.spec for each in compiled.values()))


def label(spec: ExecutorSpec) -> str:
    """How an executor is called."""
    if spec.type == "rq":
        return f"rq({spec.queue})"
    return spec.type if spec.max_workers is None else f"{spec.type}({spec.max_workers})"
