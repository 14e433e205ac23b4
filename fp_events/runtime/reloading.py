"""Newer versions of pipelines take the place of older ones while the daemon runs.

The connection stays, with the subscriptions that are still of use, and runs under way end with the version that they
began with; runs that wait take the newest. Everything that changed is taken over, or nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.abc

from fp_events.domain.errors import CommandRefused, ConfigError, FpEventsError
from fp_events.domain.pipeline import Pipeline
from fp_events.domain.ports import Executor
from fp_events.domain.run import PlanRef
from fp_events.domain.schedule import Schedule

from .lane import Lane
from .router import Router
from .runner import Runner

if TYPE_CHECKING:
    from .options import ServiceOptions
    from .routers import Routers

T = TypeVar("T")

#: Seconds between two looks at the project's files, and at executors that are no longer used.
LOOK = 1.0
#: Settings of a trigger that what it has caused depends on.
_SUBSCRIBED = ("topic", "qos", "retained", "acknowledge")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """One pipeline as its files have it now."""

    pipeline: Pipeline
    version: str
    inputs: Mapping[str, bool]
    nodes: frozenset[str]
    executor: Executor
    #: How the executor is called.
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The project as its files have it now, checked and compiled."""

    #: Names of all its pipelines.
    names: frozenset[str]
    #: Those that are not what they were.
    changed: Sequence[NewVersion]
    #: Executors that were made for them, not started.
    made: Sequence[Executor]
    #: Settings that only a start reads, and that are not what they were.
    at_start: Sequence[str]
    #: Has executors hand out the new handlers, and callbacks be called as they are now.
    install: Callable[[], None]


class Reloader:
    """Swaps pipelines, one reload at a time."""

    def __init__(
        self,
        o: ServiceOptions,
        *,
        runner: Runner,
        routers: Routers,
        renew: Callable[[], None],
        subscribe: Callable[[], Awaitable[None]],
        schedule: Callable[[Iterable[Schedule]], Awaitable[object]],
    ) -> None:
        """`routers`: to be given the new pipelines; `renew`: what was derived from the old ones is forgotten.

        `subscribe`: has the broker asked for what the routers want now.
        """
        self._o = o
        self._runner = runner
        self._routers = routers
        self._renew = renew
        self._subscribe = subscribe
        self._schedule = schedule
        self._one = asyncio.Lock()
        self._asked = asyncio.Event()
        self._new: asyncio.Queue[Executor] = asyncio.Queue()
        #: Those that no pipeline uses any more, but runs of which may still be under way.
        self._retired: list[Executor] = []
        self._started: list[Executor] = []
        #: Of what collects from executors that a reload has brought, by their identity.
        self._scopes: dict[int, anyio.CancelScope] = {}
        #: Since the start of the daemon.
        self.reloads = 0
        self.refused = 0

    def shown(self) -> dict[str, int]:
        """What `status` shows."""
        return {"done": self.reloads, "refused": self.refused}

    @property
    def retiring(self) -> int:
        """Executors that no pipeline uses any more and that are not closed yet."""
        return len(self._retired)

    def ask(self) -> None:
        """Have the project read again soon; what comes of it is logged."""
        self._asked.set()

    async def reload(self) -> dict[str, Any]:
        """Read the project again and take over what has changed; raises CommandRefused, and then nothing has."""
        read = self._o.reload
        if read is None:
            raise CommandRefused("this daemon was started without files to read again", where="reload")
        async with self._one:
            try:
                project = await asyncio.to_thread(_guarded, read)
                routers = self._check(project)
                await self._start(project)
            except FpEventsError as error:
                self.refused += 1
                self._o.log.warning("reload_refused", error=str(error))
                raise _refusal(error) from error
            self._swap(project, routers)
            await self._subscribe()
            await self._schedule(each for pipeline in self._o.pipelines.values() for each in pipeline.schedules)
            self.reloads += 1
            changed = {new.pipeline.name: new.version for new in project.changed}
            self._o.log.info("reloaded", pipelines=changed, needs_restart=list(project.at_start) or None)
            return {"reloaded": changed, "needs_restart": list(project.at_start)}

    async def _start(self, project: Project) -> None:
        """Start the executors that it brings: all, or none."""
        started: list[Executor] = []
        try:
            for executor in project.made:
                await executor.start()
                started.append(executor)
        except FpEventsError:
            for executor in started:
                await executor.close(0.0)
            raise
        self._started += started
        for executor in started:
            self._new.put_nowait(executor)

    def _check(self, project: Project) -> tuple[Router, Router]:
        """Refuse what runs under way, or that wait, could not stand; the routers of what is to come."""
        gone = frozenset(self._o.pipelines) - project.names
        if gone:
            raise CommandRefused(
                f"pipeline '{min(gone)}' is gone",
                where="reload",
                mend="write `enabled: false` until its runs have ended, and restart the daemon then",
            )
        pipelines = {**self._o.pipelines, **{new.pipeline.name: new.pipeline for new in project.changed}}
        for new in project.changed:
            pipeline, before = new.pipeline, self._o.pipelines.get(new.pipeline.name)
            if before is None:
                continue
            if pipeline.state != before.state:
                raise CommandRefused(
                    f"pipeline '{pipeline.name}' keeps other state than before, and runs are under way without it",
                    where=pipeline.where or "reload",
                    mend="restart the daemon to take that over",
                )
            if _subscribed(pipeline)[: len(before.triggers)] != _subscribed(before):
                raise CommandRefused(
                    f"pipeline '{pipeline.name}' has other triggers, and runs that the old ones caused may wait",
                    where=pipeline.where or "reload",
                    mend="add new triggers after the old ones, or restart the daemon to take that over",
                )
        main, direct = self._routers.main, self._routers.direct
        renewed = main.renewed(pipelines.values()), direct.renewed(pipelines.values())
        if renewed[1].subscriptions and not direct.subscriptions:
            raise CommandRefused(
                "the first trigger that acknowledges when_executed needs a connection of its own",
                where="reload",
                mend="restart the daemon to take that over",
            )
        return renewed

    def _swap(self, project: Project, routers: tuple[Router, Router]) -> None:
        """No await in here: no message sees half of it."""
        o = self._o
        before = {id(executor): executor for executor, _ in o.executor_of.values()}
        project.install()
        for new in project.changed:
            name = new.pipeline.name
            o.pipelines[name] = new.pipeline
            o.versions[name] = new.version
            o.inputs[name] = new.inputs
            o.nodes[name] = new.nodes
            o.executor_of[name] = (new.executor, new.label)
            lane = self._runner.lanes.get(name)
            if lane is None:
                lane = self._runner.lanes[name] = Lane(new.pipeline, new.executor)
            lane.replace(new.pipeline, PlanRef(name, new.version), new.executor)
        self._routers.main.become(routers[0])
        self._routers.direct.become(routers[1])
        self._renew()
        used = {id(executor) for executor, _ in o.executor_of.values()}
        self._retired += [executor for executor in before.values() if id(executor) not in used]
        self._runner.pump_all()

    async def run(self) -> None:
        """Collect from new executors, close old ones, reload when asked or when files change. Runs for ever."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._collect, tasks, name="collect from new executors")
                tasks.start_soon(self._reload_when_asked, name="reload")
                tasks.start_soon(self._retire, name="retire executors")
                if self._o.watch is not None:
                    tasks.start_soon(self._watch, self._o.watch, name="watch files")
        finally:
            with anyio.CancelScope(shield=True):
                for executor in self._started:
                    await executor.close(0.0)

    async def _collect(self, tasks: anyio.abc.TaskGroup) -> None:
        while True:
            executor = await self._new.get()
            tasks.start_soon(self._collect_from, executor, name=f"collect:{type(executor).__name__}")

    async def _collect_from(self, executor: Executor) -> None:
        with anyio.CancelScope() as scope:
            self._scopes[id(executor)] = scope
            await self._runner.collect(executor)

    async def _reload_when_asked(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            with suppress(CommandRefused):  # it is logged
                await self.reload()

    async def _retire(self) -> None:
        """Close what is no longer used, once it was idle at two looks: what it returned has been taken by then."""
        idle: set[int] = set()
        while True:
            await asyncio.sleep(LOOK)
            for executor in list(self._retired):
                status = executor.status()
                if status.get("busy") or status.get("queued"):
                    idle.discard(id(executor))
                elif id(executor) in idle:
                    idle.discard(id(executor))
                    # A drain must not leave it half closed.
                    with anyio.CancelScope(shield=True):
                        await executor.close(0.0)
                    self._forget(executor)
                else:
                    idle.add(id(executor))

    def _forget(self, executor: Executor) -> None:
        """Nothing of a closed executor stays, however often the daemon reloads."""
        self._retired.remove(executor)
        if executor in self._started:
            self._started.remove(executor)
        for lane in self._runner.lanes.values():
            lane.former = tuple(one for one in lane.former if one is not executor)
        scope = self._scopes.pop(id(executor), None)
        if scope is not None:
            scope.cancel()

    async def _watch(self, look: Callable[[], object]) -> None:
        """Reload once the files have changed, and a second later are still the same: an editor writes in steps."""
        loaded = before = await asyncio.to_thread(look)
        while True:
            await asyncio.sleep(LOOK)
            now = await asyncio.to_thread(look)
            if now == before != loaded:
                loaded = now
                self.ask()
            before = now


def _guarded(read: Callable[[], T]) -> T:
    """Whatever a user's module does when it is imported refuses the reload; SystemExit would end the daemon."""
    try:
        return read()
    except FpEventsError:
        raise
    except (Exception, SystemExit) as error:
        raise ConfigError(f"the project cannot be read again: {type(error).__name__}: {error}") from error


def _subscribed(pipeline: Pipeline) -> list[tuple[object, ...]]:
    return [tuple(getattr(trigger, name) for name in _SUBSCRIBED) for trigger in pipeline.triggers]


def _refusal(error: FpEventsError) -> CommandRefused:
    """Every problem in a sentence; the old versions run on."""
    if not isinstance(error, ConfigError):
        return CommandRefused(error.what, where=error.where, mend=error.mend)
    first, *more = error.problems
    what = "; ".join([first.what, *(str(problem) for problem in more)])
    return CommandRefused(what, where=first.where, mend=f"{first.mend or 'mend it'}; the old version runs on")
