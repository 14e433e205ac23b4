"""Which layers a project has: files, overlays, environment, command line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fp_events.domain.errors import ConfigError, Problem

from .environment import environment_layers
from .files import ProjectFiles
from .layers import Layer
from .pipeline_keys import PipelineSettings
from .project_keys import ProjectSettings
from .validate import tidied
from .values import describe

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Tidied layers, the lowest precedence first: file, overlay, environment, command."""

    project: Sequence[Layer]
    pipelines: Mapping[str, Sequence[Layer]]

    def of_pipeline(self, name: str) -> list[Layer]:
        """A pipeline's layers, each level's `run` and `adapter` of the project below what the pipeline says itself."""
        layers: list[Layer] = []
        for project, pipeline in zip(self.project, self.pipelines[name], strict=True):
            layers += [project.only("run", "adapter"), pipeline]
        return layers


def read_sources(
    files: ProjectFiles,
    *,
    environment: str,
    environ: Mapping[str, str],
    overrides: Mapping[str, Any],
    problems: list[Problem],
) -> Sources:
    """All layers of a project; adds to `problems`."""
    overlay = _overlay(files, environment)
    modules = [n.removesuffix(".py") for n in files.names("pipelines") if n.endswith(".py") and not n.startswith("_")]
    names = [name for name in modules if _named_well(name, problems)]
    folders = ["conf", *([overlay] if overlay else [])]
    for folder in folders:
        _check_names(files, folder, names, problems)
    project_env, pipeline_env, found = environment_layers(environ, names)
    problems += found
    command = Layer(data={k: v for k, v in overrides.items() if k != "pipelines"}, where="command")
    commands = _commands(overrides, names, problems)

    def read(file: str) -> list[Layer]:
        return [
            files.layer(f"conf/{file}", environ, problems),
            files.layer(f"{overlay}/{file}", environ, problems) if overlay else Layer(data={}, where=""),
        ]

    empty = Layer(data={}, where="environment")
    project = [*read("project.yml"), project_env, command]
    pipelines = {
        name: [*read(f"pipelines/{name}.yml"), pipeline_env.get(name, empty), commands.get(name, empty)]
        for name in names
    }
    return Sources(
        project=[tidied(ProjectSettings, layer) for layer in project],
        pipelines={name: [tidied(PipelineSettings, layer) for layer in own] for name, own in pipelines.items()},
    )


def _overlay(files: ProjectFiles, environment: str) -> str:
    """The overlay's folder; empty without one. Raises ConfigError where it is not there."""
    if not environment:
        return ""
    known = files.names("conf/env")
    if environment not in known:
        raise ConfigError(
            f"there is no folder conf/env/{environment} for the environment '{environment}'",
            where="environment FP_EVENTS_ENV",
            mend=f"there are: {', '.join(known)}" if known else "make it, or leave out FP_EVENTS_ENV and --env",
        )
    return f"conf/env/{environment}"


def _named_well(name: str, problems: list[Problem]) -> bool:
    if _NAME.fullmatch(name):
        return True
    problems.append(
        Problem(
            what=f"'{name}' cannot be a pipeline's name",
            where=f"pipelines/{name}.py",
            mend="a name is a letter, then letters, digits, '_' and '-'; a module that is no pipeline begins with '_'",
        )
    )
    return False


def _check_names(files: ProjectFiles, folder: str, pipelines: Sequence[str], problems: list[Problem]) -> None:
    """Find files that are there and would never be read."""
    if files.has(f"{folder}/project.yaml"):
        problems.append(_misnamed(f"{folder}/project.yaml"))
    for name in files.names(f"{folder}/pipelines"):
        file = f"{folder}/pipelines/{name}"
        stem = name.removesuffix(".yml")
        if name.endswith(".yaml"):
            problems.append(_misnamed(file))
        elif name.endswith(".yml") and stem not in pipelines and not files.has(f"pipelines/{stem}.py"):
            what = f"there is no module pipelines/{stem}.py for this file"
            problems.append(Problem(what=what, where=file, mend=f"`fp-events new {stem}` makes one"))


def _misnamed(file: str) -> Problem:
    return Problem(what="is not read", where=file, mend=f"rename it to {file.removesuffix('.yaml')}.yml")


def _commands(overrides: Mapping[str, Any], pipelines: Sequence[str], problems: list[Problem]) -> dict[str, Layer]:
    given = overrides.get("pipelines") or {}
    if not isinstance(given, Mapping):
        problems.append(Problem(what=f"pipelines: expected a block of keys, got {describe(given)}", where="command"))
        return {}
    found: dict[str, Layer] = {}
    for name, data in given.items():
        if name not in pipelines:
            mend = f"there are: {', '.join(pipelines) or 'none'}"
            problems.append(Problem(what=f"there is no pipeline '{name}'", where="command", mend=mend))
        elif not isinstance(data, Mapping):
            what = f"pipelines.{name}: expected a block of keys, got {describe(data)}"
            problems.append(Problem(what=what, where="command"))
        else:
            found[name] = Layer(data=data, where="command")
    return found
