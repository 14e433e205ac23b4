"""The adapters there are: observers of runs and nodes that other libraries bring, and where nodes execute.

Here stand their names and what each needs to be installed; what they are made of is in `fp_events.adapters`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from importlib.util import find_spec
from string import Formatter
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterKind:
    """One kind of adapter."""

    #: Modules that must be found.
    modules: tuple[str, ...]
    #: What `pip install` is told.
    requirement: str = ""


_GRPC: Final = "opentelemetry.exporter.otlp.proto.grpc"
_HTTP: Final = "opentelemetry.exporter.otlp.proto.http"
#: By the name that `run.with_adapter` and `adapter` give it.
ADAPTERS: Final[Mapping[str, AdapterKind]] = {
    "hamilton_tracker": AdapterKind(modules=("hamilton_sdk",), requirement="fp-events[tracker]"),
    "mlflow": AdapterKind(modules=("mlflow",), requirement="fp-events[mlflow]"),
    "opentelemetry": AdapterKind(modules=("opentelemetry.sdk", _HTTP, _GRPC), requirement="fp-events[opentelemetry]"),
    "progressbar": AdapterKind(modules=("rich",)),
    "ray": AdapterKind(modules=("ray",), requirement="fp-events[ray]"),
}
#: FlowerPower's guide has both.
_OTHER_NAMES: Final = {"tracker": "hamilton_tracker"}


def missing(name: str) -> str:
    """The first module that an adapter needs and that is not installed; empty where nothing is missing."""
    return next((module for module in ADAPTERS[name].modules if not _is_there(module)), "")


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        # A package above it.
        return False


def chosen(given: Any) -> dict[str, bool]:
    """What ``{"mlflow": true, "progressbar": false}`` turns on and off; raises ValueError with one sentence."""
    if not isinstance(given, Mapping):
        raise ValueError('expected an object such as {"mlflow": true}')
    found: dict[str, bool] = {}
    for word, on in given.items():
        name = str(_OTHER_NAMES.get(word, word))
        if name not in ADAPTERS:
            near = get_close_matches(name, [*ADAPTERS, *_OTHER_NAMES], n=1)
            raise ValueError(
                f"there is no adapter '{word}'; "
                + (f"did you mean '{near[0]}'?" if near else f"there are {', '.join(ADAPTERS)}")
            )
        if not isinstance(on, bool):
            raise ValueError(f"adapter '{word}': expected true or false")
        found[name] = on
    return found


def enabled(configured: Iterable[str], asked: Mapping[str, bool]) -> tuple[str, ...]:
    """The adapters of one run: those of its pipeline, and over them what was asked for the run."""
    names = set(configured)
    return tuple(name for name in ADAPTERS if asked.get(name, name in names))


#: What the name that a run gets elsewhere may be made of.
_IN_RUN_NAME: Final = ("pipeline_name", "timestamp", "run_id", "attempt")


def run_name(template: str, *, pipeline: str, run_id: str, attempt: int, timestamp: datetime) -> str:
    """A run's name from a template that `check_run_name` has passed."""
    return template.format(pipeline_name=pipeline, timestamp=timestamp, run_id=run_id, attempt=attempt)


def check_run_name(template: str) -> None:
    """Raise ValueError with one sentence for a template whose placeholders cannot be filled."""
    try:
        fields = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
        wrong = next((name for name in fields if name not in _IN_RUN_NAME), None)
        if wrong is None:
            run_name(template, pipeline="p", run_id="r", attempt=1, timestamp=datetime.now(UTC))
            return
    except (ValueError, LookupError) as error:
        raise ValueError(f"the placeholders cannot be filled: {error}") from None
    known = ", ".join(f"{{{name}}}" for name in _IN_RUN_NAME)
    raise ValueError(f"there is no placeholder {{{wrong}}}; there are {known}, and {{timestamp:%Y%m%d_%H%M%S}}")


@dataclass(slots=True, kw_only=True)
class Running:
    """The attempt that the calling context executes, for adapters; `handler` fills it in, they may add to it."""

    run_id: str
    #: From 1.
    attempt: int
    pipeline: str
    #: Of the plan.
    version: str
    #: Of the message that caused the run; empty without one.
    topic: str = ""
    #: W3C Trace Context of the message that caused the run; empty without one.
    traceparent: str = ""
    #: W3C Trace Context that results carry; an adapter sets it.
    sent_traceparent: str = ""
    #: Inputs that are resources, which nobody is told of.
    resources: frozenset[str] = frozenset()


#: None outside of attempts with adapters.
RUNNING: ContextVar[Running | None] = ContextVar("fp_events_running", default=None)


def without_resources(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of the run under way that may be told: a connection may show its password."""
    running = RUNNING.get()
    hidden = frozenset[str]() if running is None else running.resources
    return {name: value for name, value in inputs.items() if name not in hidden}
