"""A pipeline's adapters, from its configuration; and what is missing for them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fp_events import __version__
from fp_events.domain.adapters import ADAPTERS, chosen, missing
from fp_events.domain.errors import ConfigError, Problem, UsageError
from fp_events.domain.pipeline import Pipeline

if TYPE_CHECKING:
    from fp_events.adapters.making import Adapters
    from fp_events.config import Config
    from fp_events.plans.catalogue import Catalogue

#: The adapters of a run that turns some on and off.
Choice = Callable[[Mapping[str, bool]], Sequence[Any]]


def adapters_of(config: Config, pipeline: Pipeline, *, in_foreground: bool) -> Choice:
    """The adapters of one pipeline; each is made when it is first asked for, which may raise ConfigError."""
    made: Adapters | None = None

    def choose(asked: Mapping[str, bool]) -> Sequence[Any]:
        if not pipeline.adapters and not any(asked.values()):
            return ()
        nonlocal made
        asked = check_adapters(pipeline, asked)
        if made is None:
            from fp_events.adapters.making import Adapters
            from fp_events.plans.hamilton_api import hamilton

            # Before any library does it in a way of its own.
            hamilton("lifecycle")
            made = Adapters(pipeline.name, pipeline.adapters, _settings(config, pipeline), in_foreground=in_foreground)
        return made.of(asked)

    return choose


def _blocks(pipeline: Pipeline) -> Mapping[str, Mapping[str, Any]]:
    """What is configured for each adapter, or its defaults."""
    from fp_events.config.adapter_keys import AdapterSettings

    return pipeline.adapter or AdapterSettings().model_dump()


def _settings(config: Config, pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    """What adapters need, with secrets read and files of the project found."""
    from fp_events.observe.logging import register_secret

    settings = {name: dict(block) for name, block in _blocks(pipeline).items()}
    tracker, mlflow, telemetry = (settings[name] for name in ("hamilton_tracker", "mlflow", "opentelemetry"))
    file = tracker.pop("api_key_file")
    if file is not None:
        from fp_events.config.secret_files import first_line

        tracker["api_key"] = first_line(
            config, f"pipelines.{pipeline.name}.adapter.hamilton_tracker.api_key_file", file
        )
    if tracker["api_key"]:
        register_secret(tracker["api_key"])
    if isinstance(tracker["verify"], str):
        tracker["verify"] = str(config.local_path(tracker["verify"]))
    for name in ("tracking_uri", "registry_uri"):
        mlflow[name] = _in_project(config, mlflow[name])
    telemetry["service_name"] = telemetry["service_name"] or config.name
    telemetry["version"] = __version__
    return settings


def _in_project(config: Config, uri: str | None) -> str | None:
    """An MLflow store whose path is relative, as a path below the project."""
    sqlite = "sqlite:///"
    if uri is None:
        return None
    if uri.startswith(sqlite) and not uri.startswith(f"{sqlite}/") and ":memory:" not in uri:
        return f"{sqlite}{config.state_path(uri.removeprefix(sqlite))}"
    if ":" not in uri:
        return config.state_path(uri).as_uri()
    hide_password(uri)
    return uri


def flush() -> None:
    """Let the adapters of this process tell their servers what waits; takes a few seconds where one is away."""
    sender = sys.modules.get("fp_events.adapters.sender")
    if sender is not None:
        sender.flush_all()


def hide_password(url: str) -> None:
    """Keep a URL's password out of the log, whoever quotes it."""
    from urllib.parse import unquote, urlsplit

    from fp_events.observe.logging import register_secret

    password = urlsplit(url).password
    if password:
        register_secret(password)
        register_secret(unquote(password))


def check_adapters(pipeline: Pipeline, given: Mapping[str, bool]) -> dict[str, bool]:
    """What a run turns on and off, by the names that we have; raises UsageError or ConfigError for what it cannot."""
    try:
        asked = chosen(given)
    except ValueError as error:
        raise UsageError(f"with_adapter: {error}") from None
    for name in (name for name, on in asked.items() if on and name not in pipeline.adapters):
        module = missing(name)
        if module:
            what = f"the adapter '{name}' needs the package {module}, which is not installed"
            raise ConfigError(what, mend=f"pip install '{ADAPTERS[name].requirement}'")
        if name == "hamilton_tracker":
            tracker = _blocks(pipeline)[name]
            absent = next((key for key in ("username", "project_id") if tracker[key] is None), None)
            if absent:
                what = f"the adapter 'hamilton_tracker' needs adapter.hamilton_tracker.{absent}"
                raise ConfigError(what, where=pipeline.where, mend="give it; Hamilton UI shows it")
    return asked


def adapter_problems(config: Config, plans: Catalogue, pipelines: Sequence[Pipeline]) -> Iterator[Problem]:
    """Adapters that are on and not installed, keys that cannot be read, and functions that cannot go to Ray."""
    for pipeline in pipelines:
        yield from _problems(config, plans, pipeline, pipeline.adapters)


def refuse_adapters(config: Config, plans: Catalogue, pipeline: Pipeline, asked: Mapping[str, bool]) -> None:
    """Raise ConfigError for what `adapter_problems` finds, unless the run turns the adapter off."""
    names = [name for name in pipeline.adapters if asked.get(name, True)]
    problems = list(_problems(config, plans, pipeline, names))
    if problems:
        raise ConfigError.of(problems)


def _problems(config: Config, plans: Catalogue, pipeline: Pipeline, names: Sequence[str]) -> Iterator[Problem]:
    for name in names:
        module = missing(name)
        if module:
            yield Problem(
                what=f"the adapter '{name}' needs the package {module}, which is not installed",
                where=config.origin(f"pipelines.{pipeline.name}.run.with_adapter.{name}"),
                mend=f"pip install '{ADAPTERS[name].requirement}'",
            )
    if "hamilton_tracker" in names:
        try:
            _settings(config, pipeline)
        except ConfigError as error:
            yield from error.problems
    if "ray" in names and not missing("ray"):
        only = {name: name == "ray" for name in ADAPTERS}
        try:
            plans.plan(pipeline, adapters=adapters_of(config, pipeline, in_foreground=False)(only))
        except ConfigError as error:
            yield from error.problems
