"""Which files an old project has, and which FlowerPower wrote them."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path as LocalPath
from typing import Final

from fp_events.domain.errors import UsageError

from .reading import MIGRATED, OldFile

_ENDINGS: Final = (".yml", ".yaml")
#: Keys that only this program's files have.
_OURS_PROJECT: Final = ("ledger", "control", "events", "health")
_OURS_PIPELINE: Final = ("triggers", "outputs", "state", "resources")


@dataclass(slots=True)
class OldPipeline:
    """A pipeline of the old project."""

    #: Its name here, which is a Python identifier.
    name: str
    #: Its name in FlowerPower, with dots for folders.
    old_name: str
    #: Its module, from the project's folder; None: there is none.
    module: str | None = None
    #: Its YAML file; None: there is none, or one file for all pipelines has its settings.
    file: OldFile | None = None


@dataclass(slots=True)
class OldProject:
    """The files of the old project that are read."""

    root: LocalPath
    layout: str
    project: OldFile | None
    pipelines: dict[str, OldPipeline]
    #: One file for all pipelines each, before version 0.6: pipeline, scheduler, tracker.
    shared: dict[str, OldFile] = field(default_factory=dict)
    #: The file of the flowerpower-mqtt plugin.
    mqtt_plugin: OldFile | None = None
    #: The file of the built-in MQTT plugin.
    mqtt: OldFile | None = None

    @property
    def files(self) -> set[str]:
        """Names of the YAML files that were read."""
        single = (self.project, self.mqtt_plugin, self.mqtt)
        found: Iterable[OldFile | None] = [*single, *self.shared.values(), *(p.file for p in self.pipelines.values())]
        return {file.name for file in found if file is not None}


def find(root: LocalPath, mqtt_config: str | None = None) -> OldProject:
    """The project in a folder.

    Raises UsageError where there is none, or one of this program; ConfigError and StorageError for files that cannot be
    read.
    """
    if not root.is_dir():
        raise UsageError(f"{root} is no folder", mend="name the folder of a FlowerPower project, which has `conf`")
    project = _first(root, "conf/project")
    shared = {name: file for name in ("pipeline", "scheduler", "tracker") if (file := _first(root, f"conf/{name}"))}
    files = _pipeline_files(root)
    if project is None and not shared and not files:
        what = f"there is no FlowerPower project in {root}: neither conf/project.yml nor conf/pipelines"
        raise UsageError(what, mend="name the folder that has `conf`")
    found = OldProject(root=root, layout="", project=project, pipelines={}, shared=shared)
    _find_pipelines(found, files)
    found.mqtt_plugin = _plugin_file(root, mqtt_config)
    found.mqtt = _built_in_file(root)
    _not_ours(found)
    found.layout = _layout(found)
    return found


def identifier(name: str) -> str:
    """A pipeline's name as a Python identifier: ``reports.daily-sum`` is ``reports_daily_sum``."""
    made = re.sub(r"\W", "_", name, flags=re.ASCII)
    return f"_{made}" if not made or made[0].isdigit() or keyword.iskeyword(made) else made


def _first(root: LocalPath, stem: str) -> OldFile | None:
    for ending in _ENDINGS:
        if (root / f"{stem}{ending}").is_file():
            return OldFile.read(root, f"{stem}{ending}")
    return None


def _pipeline_files(root: LocalPath) -> dict[str, str]:
    """Name with dots -> YAML file."""
    folder = root / "conf" / "pipelines"
    paths = sorted(path for path in folder.rglob("*") if path.suffix in _ENDINGS and path.is_file())
    return {
        ".".join(path.relative_to(folder).with_suffix("").parts): path.relative_to(root).as_posix() for path in paths
    }


def _find_pipelines(found: OldProject, files: dict[str, str]) -> None:
    root = found.root
    for old_name, file in files.items():
        module = f"pipelines/{old_name.replace('.', '/').replace('-', '_')}.py"
        plain = f"pipelines/{old_name.replace('.', '/')}.py"
        there = next((name for name in (module, plain) if (root / name).is_file()), None)
        _add(found, OldPipeline(identifier(old_name), old_name, module=there, file=OldFile.read(root, file)))
    known = {pipeline.module for pipeline in found.pipelines.values()}
    for path in sorted((root / "pipelines").glob("*.py")):
        name = path.relative_to(root).as_posix()
        if name not in known and not path.name.startswith("_"):
            _add(found, OldPipeline(identifier(path.stem), path.stem, module=name))


def _add(found: OldProject, pipeline: OldPipeline) -> None:
    other = found.pipelines.get(pipeline.name)
    if other is not None:
        what = f"pipelines '{other.old_name}' and '{pipeline.old_name}' would both be '{pipeline.name}' here"
        raise UsageError(what, mend="rename one of them first")
    found.pipelines[pipeline.name] = pipeline


def _plugin_file(root: LocalPath, given: str | None) -> OldFile | None:
    if given is not None:
        path = LocalPath(given)
        if not path.is_file():
            raise UsageError(f"{given} is no file", mend="name flowerpower-mqtt's configuration, mqtt_config.yml")
        return OldFile.read(path.parent, path.name)
    return _first(root, "mqtt_config") or _first(root, "conf/mqtt_config")


def _built_in_file(root: LocalPath) -> OldFile | None:
    return _first(root, "conf/mqtt") or _first(root, "mqtt")


def _not_ours(found: OldProject) -> None:
    """Raise UsageError where a file has what only this program's projects have."""
    for file, keys in (
        (found.project, _OURS_PROJECT),
        *((pipeline.file, _OURS_PIPELINE) for pipeline in found.pipelines.values()),
    ):
        if file is not None and file.is_migrated:
            what = f"it is a project of fp-events already, {MIGRATED}, as {file.name}:1 says"
            raise UsageError(what, where=str(found.root), mend="try `fp-events check`")
        for key in keys:
            if file is not None and key in file.data:
                what = f"it is a project of fp-events already, as `{key}` at {file.where((key,))} says"
                raise UsageError(what, where=str(found.root), mend="try `fp-events check`")
    url = found.project.data.get("mqtt") if found.project else None
    if isinstance(url, dict) and "url" in url:
        assert found.project is not None
        what = f"it is a project of fp-events already, as `mqtt.url` at {found.project.where(('mqtt', 'url'))} says"
        raise UsageError(what, where=str(found.root), mend="try `fp-events check`")


def _layout(found: OldProject) -> str:
    if found.shared:
        return "FlowerPower 0.3 to 0.5: one file each for pipelines, schedules and the tracker"
    keys = set(found.project.data) if found.project else set()
    blocks = [set(pipeline.file.data) for pipeline in found.pipelines.values() if pipeline.file]
    runs = [p.file.data.get("run") or {} for p in found.pipelines.values() if p.file]
    if keys & {"worker", "scheduler", "tracker", "open_telemetry"} or any(
        block & {"tracker", "func"} for block in blocks
    ):
        return "FlowerPower 0.6 to 0.9: worker, tracker, schedules with triggers"
    if "job_queue" in keys or any("schedule" in block for block in blocks):
        return "FlowerPower 0.10 and 0.11: job queue, adapters, schedules"
    if any(isinstance(run, dict) and "retry" in run for run in runs):
        return "FlowerPower 0.31 and later: no job queue, a block for retries"
    return "FlowerPower 0.20 and later: no job queue"
