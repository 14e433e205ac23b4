"""Reading a project: files, environment and command line to one `Config`."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path as LocalPath
from typing import Any

from fp_events import filesystems
from fp_events.domain.errors import ConfigError, Problem
from fp_events.domain.pipeline import Pipeline

from .build import build_pipeline
from .environment import ENVIRONMENT
from .files import ProjectFiles
from .pipeline_keys import PipelineSettings
from .project_keys import MqttSettings, ProjectSettings
from .result import Config, Sourced
from .rules import pipeline_rules, project_rules, without_outranked_password
from .schedules import unique_ids
from .sources import Sources, read_sources
from .validate import merged, problems_in


def load(
    root: str | LocalPath,
    *,
    environment: str | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    snapshot: str | LocalPath | None = None,
) -> Config:
    """The settings of the project in `root`, a folder or an fsspec URL, which is copied to this machine first.

    `environment` names the overlay (default: FP_EVENTS_ENV). `overrides` are the command line's settings,
    nested like ``project.yml`` with ``pipelines.<name>`` beside; nothing outranks them. `snapshot` is a copy of the
    project that is there already.
    Raises ConfigError with the problems of all files, StorageError where a remote project cannot be read.
    """
    environ = os.environ if environ is None else environ
    environment = environ.get(ENVIRONMENT, "") if environment is None else environment
    files = _files(os.fspath(root), snapshot, environ)
    if not files.has_folder("conf") and not files.has_folder("pipelines"):
        what = f"{files.root} is not a project: it has neither a folder conf nor a folder pipelines"
        raise ConfigError(what, mend="go to a project's folder, or make one with `fp-events init`")
    problems: list[Problem] = []
    sources = read_sources(
        files, environment=environment, environ=environ, overrides=overrides or {}, problems=problems
    )
    problems = _judged(sources, problems)
    if problems:
        raise ConfigError.of(problems)
    return replace(_Merging(files, environment, sources).config(), overrides=overrides or {})


def reload(config: Config) -> Config:
    """The settings as the project's files have them now. Raises what `load` raises."""
    return load(config.source, environment=config.environment, overrides=config.overrides)


def _files(root: str, snapshot: str | LocalPath | None, environ: Mapping[str, str]) -> ProjectFiles:
    if not filesystems.is_remote(root) or LocalPath(root).is_dir():
        return ProjectFiles(root)
    if root.endswith(".zip") and "://" not in root:
        root = str(LocalPath(root).expanduser().resolve())
    home = filesystems.home_of(root, environ)
    copy = LocalPath(snapshot) if snapshot is not None else filesystems.take(root, home).folder
    return ProjectFiles(copy, source=root, home=home)


def _judged(sources: Sources, reading: list[Problem]) -> list[Problem]:
    """The problems of reading, and of each layer by itself, in the order of files and lines."""
    found = [problem for layer in sources.project for problem in problems_in(ProjectSettings, layer)]
    for layers in sources.pipelines.values():
        found += [problem for layer in layers for problem in problems_in(PipelineSettings, layer)]
    # Where reading failed there is no value, and nothing else to say of the line.
    unread = {problem.where for problem in reading if ":" in problem.where}
    return _in_order([*reading, *(problem for problem in found if problem.where not in unread)])


def _in_order(problems: list[Problem]) -> list[Problem]:
    def place(problem: Problem) -> tuple[str, int]:
        file, _, line = problem.where.rpartition(":")
        return (file, int(line)) if line.isdigit() else (problem.where, 0)

    return sorted(dict.fromkeys(problems), key=place)


class _Merging:
    """Layers that are valid one by one, on their way to a `Config`."""

    def __init__(self, files: ProjectFiles, environment: str, sources: Sources) -> None:
        self._files = files
        self._environment = environment
        self._sources = sources
        self._problems: list[Problem] = []

    def config(self) -> Config:
        """The configuration; raises ConfigError where rules between keys are broken."""
        layers, self._problems = without_outranked_password(self._sources.project)
        settings = self._named(merged(ProjectSettings, layers))
        self._problems += project_rules(settings, layers, list(self._sources.pipelines))
        project = Sourced(settings=settings, layers=layers)
        sources = {name: self._source(name) for name in self._sources.pipelines}
        self._problems += unique_ids(sources)
        found = _in_order(self._problems)
        errors = [problem for problem in found if not problem.warning]
        if errors:
            raise ConfigError.of(errors)
        assert settings.name is not None
        return Config(
            root=self._files.root,
            source=self._files.source,
            home=self._files.home,
            environment=self._environment,
            name=settings.name,
            mqtt=settings.mqtt,
            ledger=settings.ledger,
            control=settings.control,
            events=settings.events,
            health=settings.health,
            http=settings.http,
            log=settings.log,
            pipelines={name: self._pipeline(name, source, project) for name, source in sources.items()},
            warnings=tuple(found),
            _project=project,
            _sources=sources,
        )

    def _source(self, name: str) -> Sourced:
        layers = self._sources.of_pipeline(name)
        settings = merged(PipelineSettings, layers)
        module = self._files.text(f"pipelines/{name}.py") if settings.run.retry_exceptions else ""
        self._problems += pipeline_rules(settings, layers, module)
        return Sourced(settings=settings, layers=layers)

    def _pipeline(self, name: str, source: Sourced, project: Sourced) -> Pipeline:
        file = f"conf/pipelines/{name}.yml"
        where = file if self._files.has(file) else f"pipelines/{name}.py"
        assert isinstance(source.settings, PipelineSettings)
        assert isinstance(project.settings, ProjectSettings)
        return build_pipeline(name, source.settings, source.layers, where, project.settings, project.layers)

    def _named(self, settings: ProjectSettings) -> ProjectSettings:
        """The settings with the defaults that depend on the folder and the machine."""
        name = settings.name or re.sub(r"[^a-z0-9_-]+", "-", self._files.folder.lower()).strip("-")[:64] or "project"
        host = re.sub(r"[^A-Za-z0-9_.-]+", "-", socket.gethostname())
        mqtt: MqttSettings = settings.mqtt.model_copy(
            update={
                "client_id": settings.mqtt.client_id or f"fp-{name}-{host}",
                "base_topic": settings.mqtt.base_topic or f"fp/{name}",
            }
        )
        return settings.model_copy(update={"name": name, "mqtt": mqtt})
