"""What runs the pipelines of a daemon: handlers and executors, and newer ones once the files have changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from fp_events import config as configuration
from fp_events.domain.errors import ConfigError
from fp_events.domain.hooks import Hook
from fp_events.domain.pipeline import ExecutorSpec
from fp_events.domain.ports import Executor, Handler
from fp_events.domain.run import PlanRef
from fp_events.runtime.hooked import HookedHandler
from fp_events.runtime.reloading import NewVersion, Project
from fp_events.runtime.resources import Pool

from .building import catalogue, check, handler_loader, make_executor, spec_of
from .hooking import after_commit
from .places import Places

if TYPE_CHECKING:
    from fp_events.config import Config
    from fp_events.plans.catalogue import Catalogue

#: Settings of the project that only a start reads.
_AT_START = ("name", "mqtt", "ledger", "control", "events", "health", "http", "log")


class Handlers:
    """The loader of a daemon's own threads: the newest handler of each pipeline."""

    def __init__(self) -> None:
        self._made: dict[str, Handler] = {}

    def __call__(self, ref: PlanRef) -> Handler:
        """The handler of `ref`'s pipeline."""
        return self._made[ref.pipeline]

    def install(self, made: Mapping[str, Handler]) -> None:
        """Hand these out from now on."""
        replaced = [self._made[name] for name in made if name in self._made]
        for handler in made.values():
            if isinstance(handler, HookedHandler):
                handler.hold()
        self._made.update(made)
        for handler in replaced:
            if isinstance(handler, HookedHandler):
                handler.retire()


@dataclass(frozen=True, slots=True)
class _Compiled:
    handler: Handler
    spec: ExecutorSpec
    version: str
    #: Input -> whether a run must be given it: nothing else fills it.
    inputs: Mapping[str, bool]
    nodes: frozenset[str]


def _compiled(config: Config, plans: Catalogue, pool: Pool) -> dict[str, _Compiled]:
    """All pipelines of a configuration, compiled; raises ConfigError."""
    load = handler_loader(config, plans, pool=pool)
    found = {}
    for name, pipeline in config.pipelines.items():
        plan = plans.plan(pipeline)
        filled = {*pipeline.inputs, *pipeline.params, *pipeline.state.values(), *pipeline.resources}
        inputs = {each: required and each not in filled for each, required in plan.inputs.items()}
        nodes = frozenset(plan.selection.graph.nodes)
        found[name] = _Compiled(load(PlanRef(name)), spec_of(pipeline, plan), plan.ref.version, inputs, nodes)
    return found


class Workshop:
    """Makes what runs the pipelines, and makes it anew when the daemon is told to reload."""

    def __init__(
        self,
        config: Config,
        on_blocked: Callable[[str, float], None],
        on_link: Callable[[str, str], None] = lambda executor, problem: None,
    ) -> None:
        """Compile everything; raises ConfigError. `on_link`: why an executor's workers are away; empty: back."""
        self._config = config
        self._on_blocked = on_blocked
        self._on_link = on_link
        self._handlers = Handlers()
        #: What resources of all pipelines are opened in, over reloads.
        self.pool = Pool()
        plans = catalogue(config)
        compiled = _compiled(config, plans, self.pool)
        self._install(compiled)
        self._executors = {spec: self._executor(spec, config, compiled) for spec in _specs(compiled)}
        #: What the daemon needs of each pipeline; a reload changes them in place.
        self.pipelines = dict(config.pipelines)
        self.versions = {name: each.version for name, each in compiled.items()}
        self.inputs = {name: each.inputs for name, each in compiled.items()}
        self.nodes = {name: each.nodes for name, each in compiled.items()}
        self.executor_of = {name: (self._executors[each.spec], label(each.spec)) for name, each in compiled.items()}
        self.after_commit = after_commit(config, plans)
        self.places = Places(self.pipelines, self._used, self._place)

    @property
    def executors(self) -> tuple[Executor, ...]:
        """Those that pipelines use."""
        return tuple(self._executors.values())

    def read(self) -> Project:
        """The project as its files have it now; raises ConfigError. Takes its time: not for the loop."""
        old = self._config
        config = configuration.reload(old)
        errors = [problem for problem in check(config) if not problem.warning]
        if errors:
            raise ConfigError.of(errors)
        plans = catalogue(config)
        compiled = _compiled(config, plans, self.pool)
        changed = [
            name
            for name, pipeline in config.pipelines.items()
            if pipeline != self.pipelines.get(name) or compiled[name].version != self.versions.get(name)
        ]
        executors, made = self._renewed(config, compiled, changed)
        return Project(
            names=frozenset(config.pipelines),
            changed=[
                NewVersion(
                    pipeline=config.pipelines[name],
                    version=compiled[name].version,
                    inputs=compiled[name].inputs,
                    nodes=compiled[name].nodes,
                    executor=executors[compiled[name].spec],
                    label=label(compiled[name].spec),
                )
                for name in compiled
                # An executor that is made anew takes all its pipelines along.
                if name in changed or executors[compiled[name].spec] in made
            ],
            made=made,
            at_start=[name for name in _AT_START if getattr(config, name) != getattr(old, name)],
            install=partial(self._take_over, config, compiled, executors, after_commit(config, plans)),
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
        hooks: Mapping[str, Mapping[str, Sequence[Hook]]],
    ) -> None:
        self._config = config
        self._executors = executors
        self._install(compiled)
        self.places.renew()
        self.after_commit.clear()
        self.after_commit.update(hooks)

    def _install(self, compiled: Mapping[str, _Compiled]) -> None:
        self._handlers.install({name: each.handler for name, each in compiled.items()})

    def _executor(self, spec: ExecutorSpec, config: Config, compiled: Mapping[str, _Compiled]) -> Executor:
        return self._made(spec, config, [name for name, each in compiled.items() if each.spec == spec])

    def _used(self, spec: ExecutorSpec) -> Executor | None:
        return self._executors.get(spec)

    def _place(self, spec: ExecutorSpec, pipeline: str) -> Executor:
        """An executor that no pipeline has, for a run of this one."""
        return self._made(spec, self._config, [pipeline])

    def _made(self, spec: ExecutorSpec, config: Config, pipelines: Sequence[str]) -> Executor:
        return make_executor(
            spec,
            config,
            self._handlers,
            pipelines=pipelines,
            on_blocked=self._on_blocked,
            on_link=partial(self._on_link, label(spec)),
        )


def _specs(compiled: Mapping[str, _Compiled]) -> list[ExecutorSpec]:
    return list(dict.fromkeys(each.spec for each in compiled.values()))


def label(spec: ExecutorSpec) -> str:
    """How an executor is called."""
    if spec.type == "rq":
        return f"rq({spec.queue})"
    if spec.address:
        return f"{spec.type}({spec.address})"
    return spec.type if spec.max_workers is None else f"{spec.type}({spec.max_workers})"
