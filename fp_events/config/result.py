"""What `load` returns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as LocalPath
from typing import Any, Final

from pydantic import BaseModel

from fp_events.domain.errors import Problem
from fp_events.domain.pipeline import Pipeline
from fp_events.filesystems import without_credentials

from .layers import Layer, Path, origin
from .pipeline_keys import PipelineSettings
from .project_keys import (
    ControlSettings,
    EventSettings,
    HealthSettings,
    HttpSettings,
    LedgerSettings,
    LogSettings,
    MqttSettings,
    ProjectSettings,
)

_REDACTED: Final = "***"
_SECRET_NAME: Final = re.compile(r"pass(word|wd|phrase)?$|secret|token|credential|(api|access|private|hmac)_?key", re.I)
_PART: Final = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Sourced:
    """Merged settings with the layers that they come from, lowest first."""

    settings: ProjectSettings | PipelineSettings
    layers: Sequence[Layer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings of a project, every level merged. Its `repr` holds no setting that may be secret."""

    #: Absolute path of the project's files; for a remote project, of a read-only copy.
    root: str = field(repr=False)
    #: The URL that was loaded, which may hold credentials; the root of a project that is here.
    source: str = field(repr=False)
    #: Where the project keeps what it writes; the root of a project that is here.
    home: LocalPath = field(repr=False)
    #: The overlay, as FP_EVENTS_ENV named it; empty without one.
    environment: str
    name: str
    mqtt: MqttSettings = field(repr=False)
    ledger: LedgerSettings = field(repr=False)
    control: ControlSettings
    events: EventSettings
    health: HealthSettings
    http: HttpSettings
    log: LogSettings
    pipelines: Mapping[str, Pipeline] = field(repr=False)
    warnings: tuple[Problem, ...]
    #: The command line's settings as they were given, for processes that load the same configuration.
    overrides: Mapping[str, Any] = field(default_factory=dict, repr=False, kw_only=True)
    _project: Sourced = field(repr=False)
    _sources: Mapping[str, Sourced] = field(repr=False)

    def origin(self, path: str) -> str:
        """Where the setting at `path` (``mqtt.url``, ``pipelines.p.triggers[0].topic``) comes from.

        ``conf/project.yml:4``, ``environment FP_EVENTS_MQTT__URL``, ``command`` or ``default``.
        """
        parts = _parts(path)
        if parts[:1] == ("pipelines",) and len(parts) > 1:
            source = self._sources.get(str(parts[1]))
            return origin(source.layers, parts[2:]) if source else "default"
        return origin(self._project.layers, parts)

    def show(self, *, origins: bool = False) -> dict[str, Any]:
        """All settings as plain values without secrets; with `origins`, leaves are ``{value, origin}``."""
        shown = _Shown(self._project, origins=origins).block(self._project.settings, ())
        shown["pipelines"] = {
            name: _Shown(source, origins=origins).block(source.settings, ()) for name, source in self._sources.items()
        }
        return shown

    @property
    def remote(self) -> bool:
        """Whether the project is elsewhere, and `root` a copy."""
        return self.source != self.root

    @property
    def shown(self) -> str:
        """Where the project is, without credentials."""
        return without_credentials(self.source)

    @property
    def ledger_file(self) -> LocalPath | None:
        """The ledger's absolute path; None for a ledger in memory."""
        return None if self.ledger.file is None else self.state_path(self.ledger.file)

    def local_path(self, file: str) -> LocalPath:
        """The absolute path of a file that a setting names relative to the project."""
        return LocalPath(self.root, LocalPath(file).expanduser())

    def state_path(self, file: str) -> LocalPath:
        """The absolute path of a file that is written; relative ones are in the project's folder, or its home."""
        return LocalPath(self.home, LocalPath(file).expanduser())


def _parts(path: str) -> Path:
    return tuple(int(index) if index else name for index, name in _PART.findall(path))


class _Shown:
    """Settings on their way to plain values."""

    def __init__(self, source: Sourced, *, origins: bool) -> None:
        self._layers = source.layers
        self._origins = origins

    def block(self, block: BaseModel, path: Path) -> dict[str, Any]:
        return {name: self._value(getattr(block, name), (*path, name)) for name in type(block).model_fields}

    def _value(self, value: object, path: Path) -> Any:
        if isinstance(value, BaseModel):
            return self.block(value, path)
        if isinstance(value, Mapping) and value:
            return {name: self._value(item, (*path, name)) for name, item in value.items()}
        if isinstance(value, list | tuple) and value:
            return [self._value(item, (*path, index)) for index, item in enumerate(value)]
        shown = self._redacted(value, path)
        return {"value": shown, "origin": origin(self._layers, path)} if self._origins else shown

    def _redacted(self, value: object, path: Path) -> object:
        if value is None or isinstance(value, bool):
            return value
        if _SECRET_NAME.search(str(path[-1])):
            return _REDACTED
        return without_credentials(value) if isinstance(value, str) else value
