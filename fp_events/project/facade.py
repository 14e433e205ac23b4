"""A project as an object."""

from __future__ import annotations

import asyncio
import json
import threading
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from fp_events import app
from fp_events import config as configuration
from fp_events.app.calling import Calls
from fp_events.app.single import Call
from fp_events.app.values import ObjectValues
from fp_events.domain.errors import Problem, UsageError
from fp_events.domain.run import Outcome

from .ledgers import Runs, Schedules
from .loops import LoopThread
from .options import RunConfig, RunOptions, seconds
from .pipelines import Pipelines
from .results import Results, failed
from .submitted import Submitted

if TYPE_CHECKING:
    from fp_events.config import Config
    from fp_events.plans.catalogue import Catalogue

#: The file that makes a folder a project.
_MARKER = Path("conf", "project.yml")
#: Seconds that executors have to end.
_PATIENCE = 10.0
#: What `submit` takes beside settings of a run.
_SUBMITTED = ("run_at", "run_in", "priority", "run_id", "key", "deadline")


class Project:
    """A project: its pipelines run in this process, or by its daemon.

    Plans and executors are kept between runs; `close`, or leaving a `with` block, ends them. May be used from several
    threads, in a notebook, and while an event loop runs.
    """

    def __init__(self, config: Config, *, adapters: Sequence[Any] = ()) -> None:
        """`adapters`: Hamilton's lifecycle adapters, as objects, for every run in this process."""
        self._config = config
        self._adapters = tuple(adapters)
        self._loop = LoopThread()
        self._calls = _Calls(config)
        # Also when the interpreter ends.
        weakref.finalize(self, _close, self._loop, self._calls)
        self.pipelines = Pipelines(lambda: self._config, self._catalogue)
        self.runs = Runs(self._ask)
        self.schedules = Schedules(self._ask)

    @classmethod
    def load(
        cls,
        path_or_url: str | Path = ".",
        *,
        environment: str | None = None,
        adapters: Sequence[Any] = (),
        **overrides: Any,
    ) -> Project:
        """The project in a folder (or the nearest above the working directory) or at an fsspec URL.

        `environment` is the overlay ``conf/env/<environment>``; `overrides` are settings above all others, nested like
        ``conf/project.yml`` with ``pipelines={name: {...}}`` beside. Raises ConfigError.
        """
        root = _nearest() if str(path_or_url) == "." else path_or_url
        return cls(configuration.load(root, environment=environment, overrides=overrides), adapters=adapters)

    @classmethod
    def create(cls, path: str | Path, name: str | None = None, *, force: bool = False) -> Project:
        """Make a project that runs at once, and load it. With `force` the folder may hold files, which stay.

        Raises UsageError where the folder is not empty, StorageError.
        """
        from fp_events.app import scaffold

        scaffold.init_project(Path(path), force=force, name=name)
        return cls.load(path)

    @property
    def name(self) -> str:
        """Its name."""
        return self._config.name

    @property
    def config(self) -> Config:
        """Its settings."""
        return self._config

    def __repr__(self) -> str:
        return f"Project({self.name!r}, pipelines={self.pipelines.list()})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    def run(self, name: str, run_config: RunConfig | None = None, **options: Unpack[RunOptions]) -> Results:
        """Run a pipeline here and now; its outputs as they are, by name.

        What `options` and `run_config` say goes before the pipeline's settings. Raises RunFailed where it ends with
        another outcome than SUCCEEDED, PipelineNotFound, ConfigError for code that cannot be compiled, and UsageError
        for an input, a node or an option that there is not.
        """
        return self._loop.do(self._run(name, RunConfig.of(run_config, options)))

    async def run_async(self, name: str, run_config: RunConfig | None = None, **options: Unpack[RunOptions]) -> Results:
        """The same, awaited; a caller that is cancelled cancels the run."""
        return await self._loop.wait(self._run(name, RunConfig.of(run_config, options)))

    def submit(
        self,
        name: str,
        run_config: RunConfig | None = None,
        *,
        run_at: datetime | str | None = None,
        run_in: timedelta | float | str | None = None,
        priority: int | None = None,
        run_id: str | None = None,
        key: str | None = None,
        deadline: timedelta | float | str | None = None,
        **options: Unpack[RunOptions],
    ) -> Submitted:
        """Hand a run to the daemon, durably. The same `run_id` a second time is the same run.

        Raises DaemonUnavailable where none runs, CommandRefused.
        """
        found = self._ask(
            "run",
            {
                "pipeline": self.pipelines[name].name,
                **RunConfig.of(run_config, options, submitted=_SUBMITTED).request(),
                "run_at": _moment(run_at),
                "run_in": _delay("run_in", run_in),
                "priority": priority,
                "run_id": run_id,
                "key": key,
                "deadline": _delay("deadline", deadline),
            },
        )
        return Submitted(found["run_id"], self._ask)

    def check(self) -> list[Problem]:
        """Everything that is wrong, found without connecting or running anything; warnings among it."""
        return app.check(self._config)

    def reload(self) -> None:
        """Look at the project's files again; the next run has what they say. Raises ConfigError."""
        self._loop.do(self._reload())

    def close(self) -> None:
        """End what runs, the executors and their resources. A run after that starts them again."""
        _close(self._loop, self._calls)

    async def _run(self, name: str, options: RunConfig) -> Results:
        if options.reload:
            await self._reload()
        executor_for = partial(app.executor_for, self._config, name)
        report = await self._calls.run(options.call(name, self._adapters, executor_for))
        if report.outcome is not Outcome.SUCCEEDED:
            raise failed(report)
        return Results(report)

    async def _reload(self) -> None:
        self._config = await asyncio.to_thread(configuration.reload, self._config)
        await self._calls.renew(self._config)

    def _catalogue(self) -> Catalogue:
        return self._calls.plans

    def _ask(self, command: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        given = {name: value for name, value in arguments.items() if value is not None}
        try:
            json.dumps(given)
        except (TypeError, ValueError) as error:
            raise UsageError(f"a daemon takes values that JSON has: {error}", where=command) from error
        return self._loop.do(app.call(self._config, command, given))


class _Calls:
    """Runs in this process, by the newest configuration."""

    def __init__(self, config: Config) -> None:
        self._now = Calls(config, ObjectValues(), logs=False)
        self._retiring: set[asyncio.Task[None]] = set()

    @property
    def plans(self) -> Catalogue:
        """The plans in force."""
        return self._now.plans

    async def run(self, call: Call) -> app.RunReport:
        """See `Calls.run`."""
        return await self._now.run(call)

    async def renew(self, config: Config) -> None:
        """Runs from now on have this configuration; those under way end as they began."""
        old, self._now = self._now, Calls(config, ObjectValues(), logs=False)
        task = asyncio.create_task(old.retire())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def close(self) -> None:
        """End the executors."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await self._now.close()


def _close(loop: LoopThread, calls: _Calls) -> None:
    if loop.is_here:
        # The collector of garbage runs wherever it likes; a loop cannot wait for itself.
        threading.Thread(target=_close, args=(loop, calls)).start()
    elif loop.running:
        with suppress(TimeoutError):
            loop.do(calls.close(), _PATIENCE)
        loop.stop()


def _nearest() -> Path:
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / _MARKER).is_file()), here)


def _moment(at: datetime | str | None) -> str | None:
    if at is None:
        return None
    try:
        moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    except ValueError:
        mend = "give a datetime, or text such as 2026-01-31T08:00"
        raise UsageError(f"run_at {at!r} is no time", mend=mend) from None
    # Without a zone: local time.
    return (moment if moment.tzinfo is not None else moment.astimezone()).isoformat()


def _delay(name: str, value: timedelta | float | str | None) -> float | None:
    return seconds(name, value.total_seconds() if isinstance(value, timedelta) else value)
