"""Other executors than the pipelines' own, as single runs ask for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from fp_events.domain.errors import UsageError
from fp_events.domain.pipeline import ExecutorSpec, Pipeline
from fp_events.domain.ports import Executor

if TYPE_CHECKING:
    from fp_events.config import Config

#: Type -> the packages that it needs beside ours, and the extra that has them.
_NEEDS: Mapping[str, tuple[str, ...]] = {"rq": ("rq", "redis"), "ray": ("ray",), "dask": ("distributed",)}
#: What `run.executor` says by default of where RQ's Redis is.
_RQ = ExecutorSpec("rq", url="redis://127.0.0.1:6379/0", queue="fp-events")


def missing_extra(executor: str) -> tuple[str, str] | None:
    """The package that an executor's type needs and that is not installed, and how to mend that."""
    for name in _NEEDS.get(executor, ()):
        if find_spec(name) is None:
            return name, f"pip install 'fp-events[{executor}]'"
    return None


def spec_asked(asked: Mapping[str, Any], pipelines: Sequence[Pipeline]) -> ExecutorSpec:
    """The executor that a run asks for: as the project configures that type, the first of `pipelines` that does.

    What the run says of workers and processors goes before. Raises UsageError where its extra is missing.
    """
    kind = asked["type"]
    missing = missing_extra(kind)
    if missing is not None:
        raise UsageError(f"the executor '{kind}' needs the package {missing[0]}", mend=missing[1])
    configured = (p.executor for p in pipelines if p.executor is not None and p.executor.type == kind)
    spec = next(configured, _RQ if kind == "rq" else ExecutorSpec(kind))
    return replace(spec, **{name: asked[name] for name in ("max_workers", "num_cpus") if asked.get(name) is not None})


def executor_for(config: Config, pipeline: str, asked: Mapping[str, Any]) -> ExecutorSpec:
    """The executor for a run of the pipeline; raises UsageError where its extra is missing."""
    own = [config.pipelines[pipeline]] if pipeline in config.pipelines else []
    return spec_asked(asked, [*own, *config.pipelines.values()])


class Places:
    """The executors of a daemon's single runs; see `runtime.placing`."""

    def __init__(
        self,
        pipelines: Mapping[str, Pipeline],
        find: Callable[[ExecutorSpec], Executor | None],
        make: Callable[[ExecutorSpec, str], Executor],
    ) -> None:
        """`find`: an executor that some pipeline has; `make`: a new one, for the first run of the pipeline named."""
        self._pipelines = pipelines
        self._find = find
        self._make = make
        self._made: dict[ExecutorSpec, Executor] = {}

    @property
    def types(self) -> Collection[str]:
        """The types that the project configures."""
        return frozenset(p.executor.type for p in self._pipelines.values() if p.executor is not None)

    def check(self, pipeline: str, asked: Mapping[str, Any]) -> None:
        """Raise UsageError for an executor that cannot be had."""
        spec_asked(asked, list(self._ordered(pipeline)))

    def executor(self, pipeline: str, asked: str) -> tuple[Executor, bool]:
        """The executor for a JSON object of what a run of the pipeline asks for, and whether some pipeline has it.

        One of our own starts when it is first used.
        """
        from fp_events.executors.late import LateExecutor

        given = json.loads(asked)
        order = list(self._ordered(pipeline))
        try:
            spec = spec_asked(given, order)
        except UsageError:
            # The extra has gone since the run was accepted: its attempts are to say so.
            return LateExecutor(lambda: self._make(spec_asked(given, order), pipeline)), False
        found = self._find(spec)
        if found is not None:
            return found, True
        if spec not in self._made:
            self._made[spec] = LateExecutor(lambda: self._make(spec, pipeline))
        return self._made[spec], False

    def renew(self) -> None:
        """The project's files have changed: processes with the old code take no more."""
        for spec in [spec for spec in self._made if spec.type == "processpool"]:
            del self._made[spec]

    def _ordered(self, pipeline: str) -> Iterator[Pipeline]:
        """The pipeline itself first."""
        yield self._pipelines[pipeline]
        yield from self._pipelines.values()
