"""What a call of the facade says about one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any, TypedDict, get_args, get_type_hints

from fp_events.app.single import Call, Callback
from fp_events.domain.durations import parse_duration
from fp_events.domain.errors import UsageError
from fp_events.domain.pipeline import ExecutorSpec

#: What a run may say of its executor.
_ASKED = ("type", "max_workers", "num_cpus")
#: Settings of a run in this process alone.
_ONLY_HERE = ("adapters", "retry_exceptions", "on_success", "on_failure", "reload")


class RunOptions(TypedDict, total=False):
    """The keyword arguments of `Project.run`; they mean what the fields of `RunConfig` mean."""

    inputs: Mapping[str, Any] | None
    final_vars: Sequence[str] | None
    config: Mapping[str, Any] | RunConfig | None
    executor: str | Mapping[str, Any] | ExecutorSpec | None
    cache: bool | Mapping[str, Any] | None
    with_adapter: Mapping[str, bool] | None
    adapters: Sequence[Any]
    max_retries: int | None
    retry_delay: float | str | None
    jitter_factor: float | None
    retry_exceptions: Sequence[str | type[BaseException]] | None
    timeout: float | str | None
    log_level: str | None
    reload: bool
    on_success: Callback | None
    on_failure: Callback | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Settings of one run, above those of its pipeline; None: as the pipeline has them."""

    #: By name; any Python objects under an executor of this process.
    inputs: Mapping[str, Any] | None = None
    #: Nodes to compute.
    final_vars: Sequence[str] | None = None
    #: For Hamilton's `@config.when`, laid over `run.config`.
    config: Mapping[str, Any] | None = None
    #: ``"threadpool"``, or ``{"type": "processpool", "max_workers": 4}``: as the project configures that type.
    executor: str | Mapping[str, Any] | ExecutorSpec | None = None
    #: On, off, or ``{"recompute": ["node"]}``.
    cache: bool | Mapping[str, Any] | None = None
    #: Adapter of the configuration -> whether it is used.
    with_adapter: Mapping[str, bool] | None = None
    #: Hamilton's lifecycle adapters, as objects; for executors of this process.
    adapters: Sequence[Any] = ()
    max_retries: int | None = None
    #: Seconds, or text such as ``"1m"``.
    retry_delay: float | str | None = None
    jitter_factor: float | None = None
    #: Classes or names of exceptions that are worth another attempt.
    retry_exceptions: Sequence[str | type[BaseException]] | None = None
    #: Seconds per attempt, or text such as ``"1m"``.
    timeout: float | str | None = None
    log_level: str | None = None
    #: Look at the project's files again before the run.
    reload: bool = False
    #: Functions of a `RunRecord`, in the place of the pipeline's own.
    on_success: Callback | None = field(default=None, compare=False)
    on_failure: Callback | None = field(default=None, compare=False)

    @classmethod
    def of(cls, run_config: RunConfig | None, options: RunOptions, *, submitted: Sequence[str] = ()) -> RunConfig:
        """One of both: options go before `run_config`. Raises UsageError for what neither knows.

        `submitted`: what else may be said of a run that goes to a daemon.
        """
        given: dict[str, Any] = dict(options)
        if isinstance(given.get("config"), RunConfig):
            if run_config is not None:
                raise UsageError("config and run_config are both a RunConfig", mend="give one of them")
            run_config = given.pop("config")
        known = {each.name for each in fields(cls)}
        unknown = [name for name in given if name not in known]
        if unknown:
            right = {*known.difference(_ONLY_HERE), *submitted} if submitted else known
            raise UsageError(f"there is no option '{unknown[0]}'", mend=f"there are {', '.join(sorted(right))}")
        return replace(run_config or cls(), **{name: value for name, value in given.items() if value is not None})

    def call(
        self, pipeline: str, adapters: Sequence[Any], executor_for: Callable[[Mapping[str, Any]], ExecutorSpec]
    ) -> Call:
        """The run as this process executes it. `adapters`: those of the project. Raises UsageError.

        `executor_for`: from what was asked for to the executor that the project configures.
        """
        self._check()
        asked = asked_executor(self.executor)
        return Call(
            pipeline=pipeline,
            inputs=dict(self.inputs or {}),
            final_vars=self.final_vars,
            config=self.config,
            executor=executor_for(asked) if isinstance(asked, Mapping) else asked,
            cache=self.cache,
            with_adapter=self.with_adapter,
            adapters=(*adapters, *self.adapters),
            max_retries=self.max_retries,
            retry_delay=seconds("retry_delay", self.retry_delay),
            jitter_factor=self.jitter_factor,
            retry_exceptions=_names(self.retry_exceptions),
            timeout=seconds("timeout", self.timeout),
            log_level=self.log_level,
            on_success=self.on_success,
            on_failure=self.on_failure,
        )

    def request(self) -> dict[str, Any]:
        """The same for a daemon. Raises UsageError for what only this process can do."""
        for name in _ONLY_HERE:
            if getattr(self, name):
                raise UsageError(f"{name} cannot be sent to a daemon", mend="use `run`, or configure it")
        self._check()
        asked = asked_executor(self.executor)
        if isinstance(asked, ExecutorSpec):
            asked = {"type": asked.type, "max_workers": asked.max_workers}
        given = {
            "inputs": None if self.inputs is None else dict(self.inputs),
            "final_vars": None if self.final_vars is None else list(self.final_vars),
            "config": None if self.config is None else dict(self.config),
            "executor": asked,
            "cache": self.cache,
            "with_adapter": None if self.with_adapter is None else dict(self.with_adapter),
            "max_retries": self.max_retries,
            "retry_delay": seconds("retry_delay", self.retry_delay),
            "jitter_factor": self.jitter_factor,
            "timeout": seconds("timeout", self.timeout),
            "log_level": self.log_level,
        }
        return {name: value for name, value in given.items() if value is not None}

    def _check(self) -> None:
        for name, (is_right, wanted) in _KINDS.items():
            value = getattr(self, name)
            if value is not None and not is_right(value):
                raise UsageError(f"{name} is {wanted}, not {value!r}")


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _are(kinds: tuple[type, ...], value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(each, kinds) for each in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


#: Setting -> whether a value is one, and what it is to be; the others are looked at where they are used.
_KINDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "inputs": (_is_mapping, "a dict of inputs by name"),
    "config": (_is_mapping, "a dict"),
    "with_adapter": (_is_mapping, "a dict such as {'mlflow': False}"),
    "final_vars": (partial(_are, (str,)), "a list of names"),
    "max_retries": (lambda value: isinstance(value, int) and _is_number(value) and value >= 0, "a whole number from 0"),
    "jitter_factor": (lambda value: _is_number(value) and 0 <= value <= 1, "a number from 0 to 1"),
    "retry_exceptions": (partial(_are, (str, type)), "a list of classes or names of exceptions"),
    "on_success": (callable, "a function"),
    "on_failure": (callable, "a function"),
}


def asked_executor(given: str | Mapping[str, Any] | ExecutorSpec | None) -> Mapping[str, Any] | ExecutorSpec | None:
    """The executor that was named, as a run asks for it. Raises UsageError."""
    if given is None or isinstance(given, ExecutorSpec):
        return given
    asked = {"type": given} if isinstance(given, str) else dict(given)
    types = get_args(get_type_hints(ExecutorSpec)["type"])
    if asked.get("type") not in types:
        raise UsageError(f"there is no executor '{asked.get('type')}'", mend=f"there are {', '.join(types)}")
    for name in asked:
        if name not in _ASKED:
            raise UsageError(
                f"a run's executor has no '{name}'", mend=f"it has {', '.join(_ASKED)}; configure the rest"
            )
    return asked


def seconds(name: str, value: float | str | None) -> float | None:
    """A duration as the domain has it. Raises UsageError."""
    if value is None:
        return None
    try:
        return parse_duration(value)
    except ValueError:
        raise UsageError(f"{name} {value!r} is no duration", mend="give seconds, or text such as '90s'") from None


def _names(given: Sequence[str | type[BaseException]] | None) -> tuple[str, ...] | None:
    if given is None:
        return None
    return tuple(each if isinstance(each, str) else f"{each.__module__}.{each.__qualname__}" for each in given)
